"""The composer: exact edit pairs from real pictures. A scene is data; rendering it is a pure function.

Real photographs and clips are the background, named cut-outs with alpha the objects, so every edit has a true answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from features.motion import STILL, Drift
from features.params import ComposeParams
from features.vocabulary import Named, Place, Size

Look = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Background:
    """Real frames [f h w 3] uint8, already at the pair's geometry, with what is known of them."""

    frames: np.ndarray
    caption: str
    clip_id: str
    scene: str


@dataclass(frozen=True)
class Placed:
    """An object in a scene."""

    name: Named
    place: Place
    size: Size
    drift: Drift = STILL

    @property
    def phrase(self) -> str:
        """As it stands in a caption or an instruction."""
        article, _, noun = self.name.with_article.partition(" ")
        article = "a" if article == "an" else article
        return f"{article} {self.size.value} {noun} {self.place.phrase}"


@dataclass(frozen=True)
class Scene:
    """A background, objects on it from back to front, and a look over all of it."""

    background: Background
    objects: tuple[Placed, ...] = ()
    look: str | None = None

    def with_object(self, item: Placed) -> "Scene":
        return replace(self, objects=(*self.objects, item))

    def without(self, item: Placed) -> "Scene":
        return replace(self, objects=tuple(other for other in self.objects if other != item))

    def swapped(self, item: Placed, other: Placed) -> "Scene":
        return replace(self, objects=tuple(other if each == item else each for each in self.objects))

    @property
    def caption(self) -> str:
        """What the scene shows, in words."""
        told = [self.background.caption, *(item.phrase for item in self.objects)]
        text = " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 2 else " with ".join(told)
        return f"{text}, {self.look}" if self.look else text


class Cutouts:
    """Named objects with alpha [h w 4] uint8, trimmed to what is visible."""

    def __init__(self, pictures: Mapping[str, np.ndarray]) -> None:
        self._pictures = dict(pictures)

    @property
    def nouns(self) -> tuple[str, ...]:
        return tuple(sorted(self._pictures))

    def sized(self, noun: str, share: float, frame: int) -> np.ndarray:
        """The object [h w 4] scaled so that what is opaque of it covers `share` of a square frame."""
        picture = self._pictures[noun]
        coverage = float((picture[..., 3] > 127).mean())
        scale = np.sqrt(share * frame**2 / max(coverage * picture.shape[0] * picture.shape[1], 1.0))
        height, width = (max(2, min(frame, round(side * scale))) for side in picture.shape[:2])
        # Alpha is premultiplied for resampling, so that invisible pixels do not bleed into the edge.
        premultiplied = Image.fromarray(picture).convert("RGBa").resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(premultiplied.convert("RGBA"))


def render(scene: Scene, cutouts: Cutouts, params: ComposeParams, looks: Mapping[str, Look]) -> np.ndarray:
    """The scene's frames [f h w 3] uint8."""
    frames = scene.background.frames.astype(np.float32)
    side = frames.shape[1]
    for item in scene.objects:
        share = params.small_share if item.size is Size.SMALL else params.big_share
        picture = cutouts.sized(item.name.noun, share, side).astype(np.float32)
        for number, frame in enumerate(frames):
            row, column = item.drift.at(number, len(frames))
            centre = ((item.place.value[0] + row) * side, (item.place.value[1] + column) * side)
            _paste(frame, picture, centre)
    finished = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return looks[scene.look](finished) if scene.look else finished


def _paste(frame: np.ndarray, picture: np.ndarray, centre: tuple[float, float]) -> None:
    """Blend an RGBA picture into a float frame around a centre, clipped at the borders, in place."""
    height, width = picture.shape[:2]
    top, left = round(centre[0] - height / 2), round(centre[1] - width / 2)
    y0, y1 = max(top, 0), min(top + height, frame.shape[0])
    x0, x1 = max(left, 0), min(left + width, frame.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    part = picture[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = part[..., 3:] / 255.0
    frame[y0:y1, x0:x1] = frame[y0:y1, x0:x1] * (1 - alpha) + part[..., :3] * alpha
