"""The composer: exact edit pairs from real pictures. A scene is data; rendering it is a pure function.

Real photographs and clips are the background, named cut-outs with alpha the objects, so every edit has a true answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from features.backdrops import Backdrop
from features.motion import STILL, Drift
from features.paint import Box, levels, marked, outline, paste, tint_change, tinted, visible
from features.params import ComposeParams
from features.pictures import scaled_layer
from features.vocabulary import Named, Place, Size

Look = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Background:
    """Real frames [f h w 3] uint8, already at the pair's geometry, with what is known of them.

    `subject` is the alpha [h w] uint8 of what stands out in a picture, None where nothing plainly does.
    """

    frames: np.ndarray
    caption: str
    clip_id: str
    scene: str
    subject: np.ndarray | None = None

    @property
    def subject_layer(self) -> np.ndarray:
        """The subject as a layer [h w 4]; ValueError if there is none."""
        if self.subject is None:
            raise ValueError(f"background {self.clip_id} has no subject of its own")
        return np.concatenate([self.frames[0], self.subject[..., None]], axis=-1)


@dataclass(frozen=True)
class Placed:
    """An object in a scene, perhaps in a colour that is not its own, perhaps marked in one."""

    name: Named
    place: Place
    size: Size
    drift: Drift = STILL
    colour: str | None = None
    mark: str | None = None

    @property
    def phrase(self) -> str:
        """As it stands in a caption or an instruction."""
        article, _, noun = self.name.with_article.partition(" ")
        article = "a" if article == "an" else article
        looks = f"{self.size.value} {self.colour}" if self.colour else self.size.value
        return f"{article} {looks} {noun} {self.place.phrase}"


@dataclass(frozen=True)
class Subject:
    """What happens to the background's own subject; `kept` before a backdrop."""

    colour: str | None = None
    mark: str | None = None
    kept: bool = False

    @property
    def painted(self) -> bool:
        return self.kept or self.colour is not None or self.mark is not None


@dataclass(frozen=True)
class Boxed:
    """A box in a colour around an object, or around the background's subject where that is None."""

    item: Placed | None
    colour: str


@dataclass(frozen=True)
class Scene:
    """A background or a backdrop in its place, objects on it from back to front, a box, a look over all of it."""

    background: Background
    objects: tuple[Placed, ...] = ()
    look: str | None = None
    backdrop: str | None = None
    subject: Subject = Subject()
    box: Boxed | None = None

    def with_object(self, item: Placed) -> "Scene":
        return replace(self, objects=(*self.objects, item))

    def without(self, item: Placed) -> "Scene":
        return replace(self, objects=tuple(other for other in self.objects if other != item))

    def swapped(self, item: Placed, other: Placed) -> "Scene":
        return replace(self, objects=tuple(other if each == item else each for each in self.objects))

    def coloured(self, item: Placed | None, colour: str) -> "Scene":
        """With an object, or with None the background's subject, in another colour."""
        if item is None:
            return replace(self, subject=replace(self.subject, colour=colour))
        return self.swapped(item, replace(item, colour=colour))

    def marked(self, item: Placed | None, colour: str) -> "Scene":
        """With an object, or the subject, under a flat colour."""
        if item is None:
            return replace(self, subject=replace(self.subject, mark=colour))
        return self.swapped(item, replace(item, mark=colour))

    def boxed(self, item: Placed | None, colour: str) -> "Scene":
        """With a box around an object, or around the subject."""
        return replace(self, box=Boxed(item, colour))

    def before(self, backdrop: str, with_subject: bool) -> "Scene":
        """With a backdrop in place of the background, of which the subject may stay."""
        return replace(self, backdrop=backdrop, subject=replace(self.subject, kept=with_subject))

    @property
    def caption(self) -> str:
        """What the scene shows, in words."""
        told = [self.ground, *(item.phrase for item in self.objects)]
        text = " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 2 else " with ".join(told)
        marks = [(item.name.spoken, item.mark) for item in self.objects] + [("main object", self.subject.mark)]
        text += "".join(f", the {name} marked in {colour}" for name, colour in marks if colour)
        if self.box:
            name = self.box.item.name.spoken if self.box.item else "main object"
            text += f", a {self.box.colour} box around the {name}"
        return f"{text}, {as_shown(self.look)}" if self.look else text

    @property
    def ground(self) -> str:
        """What its objects stand on or before, in words."""
        text = self.background.caption
        if self.subject.colour:
            text += f", the main object in {self.subject.colour}"
        if self.backdrop is None:
            return text
        return f"{text}, in front of {self.backdrop}" if self.subject.kept else self.backdrop


def as_shown(look: str) -> str:
    """A look that is a kind of picture is shown as one."""
    return f"as {look}" if look.startswith(("a ", "an ", "pixel")) else look


class Cutouts:
    """Named objects with alpha [h w 4] uint8, trimmed to what is visible."""

    def __init__(self, pictures: Mapping[str, np.ndarray]) -> None:
        self._pictures = dict(pictures)
        self.tint_change = cache(self._tint_change)

    @property
    def nouns(self) -> tuple[str, ...]:
        return tuple(sorted(self._pictures))

    def sized(self, noun: str, share: float, frame: int) -> np.ndarray:
        """The object [h w 4] scaled so that what is opaque of it covers `share` of a square frame."""
        picture = self._pictures[noun]
        coverage = float((picture[..., 3] > 127).mean())
        scale = np.sqrt(share * frame**2 / max(coverage * picture.shape[0] * picture.shape[1], 1.0))
        height, width = (max(2, min(frame, round(side * scale))) for side in picture.shape[:2])
        return scaled_layer(picture, height, width)

    def _tint_change(self, noun: str, colour: str) -> float:
        """How much an object would change in another colour; see `paint.tint_change`."""
        return tint_change(self._pictures[noun], colour)


def render(
    scene: Scene,
    cutouts: Cutouts,
    params: ComposeParams,
    looks: Mapping[str, Look],
    backdrops: Mapping[str, Backdrop],
) -> np.ndarray:
    """The scene's frames [f h w 3] uint8."""
    frames = scene.background.frames.astype(np.float32)
    if scene.backdrop is not None:
        frames[:] = backdrops[scene.backdrop].picture
    side, boxed = frames.shape[1], scene.box
    around: list[Box | None] = [None] * len(frames)
    if scene.subject.painted or (boxed and boxed.item is None):
        layer = _treated(scene.background.subject_layer, scene.subject)
        seen = [paste(frame, layer, 0, 0) if scene.subject.painted else visible(layer) for frame in frames]
        around = seen if boxed and boxed.item is None else around
    for item in scene.objects:
        share = params.small_share if item.size is Size.SMALL else params.big_share
        layer = _treated(cutouts.sized(item.name.noun, share, side), item)
        seen = [paste(frame, layer, *_corner(item, layer, number, frames)) for number, frame in enumerate(frames)]
        around = seen if boxed and boxed.item == item else around
    for frame, box in zip(frames, around, strict=True):
        if boxed and box:
            outline(frame, box, boxed.colour)
    finished = levels(frames)
    return looks[scene.look](finished) if scene.look else finished


def _treated(layer: np.ndarray, how: Placed | Subject) -> np.ndarray:
    layer = tinted(layer, how.colour) if how.colour else layer
    return marked(layer, how.mark) if how.mark else layer


def _corner(item: Placed, layer: np.ndarray, number: int, frames: np.ndarray) -> tuple[int, int]:
    side, (height, width) = frames.shape[1], layer.shape[:2]
    row, column = item.drift.at(number, len(frames))
    centre = ((item.place.value[0] + row) * side, (item.place.value[1] + column) * side)
    return round(centre[0] - height / 2), round(centre[1] - width / 2)
