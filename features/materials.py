"""Backgrounds at the pair's geometry, drawn from the published clips."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from features.backdrops import Backdrop
from features.composer import Background
from features.framing import Framing, draw_framing
from features.motion import pan
from features.paint import OPAQUE
from features.params import ComposeParams, GeometryParams
from stores.clip_files import read_clip
from stores.clip_types import MediaLimits
from stores.feature_store import PublishedTable
from stores.media_rows import COLUMNS, WorkingSize, decode_row

CACHED_CLIPS = 256  # a row draws any of them: with fewer in memory, most rows would decode one


class Backgrounds:
    """Real pictures and clips of one split, decoded when first needed."""

    def __init__(
        self, clips: PublishedTable, split: str, geometry: GeometryParams, compose: ComposeParams, limits: MediaLimits
    ) -> None:
        table = clips.rows([*COLUMNS, "caption", "scene", "mask"], where=f"split = '{split}'")
        self._rows = {row["id"]: row for row in table.to_pylist()}
        self._geometry, self._compose, self._limits = geometry, compose, limits
        self.pictures = [key for key, row in self._rows.items() if row["kind"] == "picture"]
        self.videos = [key for key, row in self._rows.items() if row["kind"] == "video"]
        self._decoded = lru_cache(CACHED_CLIPS)(self._decode)

    @property
    def scenes(self) -> frozenset[str]:
        """All that was filmed or photographed in this split."""
        return frozenset(row["scene"] for row in self._rows.values())

    def still(self, rng: np.random.Generator) -> Background:
        """One frame: of a picture four times in five, else of a clip."""
        take_video = bool(self.videos) and (not self.pictures or rng.random() < 0.2)
        return self._frame(self._pick(self.videos if take_video else self.pictures, rng), rng)

    def filmed(self, rng: np.random.Generator) -> Background:
        """One frame of a clip that was filmed.

        Raises:
            ValueError: there are only pictures.
        """
        if not self.videos:
            raise ValueError("no clip to take a frame from: the split has pictures only")
        return self._frame(self._pick(self.videos, rng), rng)

    def filmed_clip(self, rng: np.random.Generator) -> Background | None:
        """A clip that was filmed, of full length; None where all are too short."""
        length = self._geometry.clip_frames
        return self._moving(length, rng) if self._long_enough(length) else None

    def _frame(self, key: str, rng: np.random.Generator) -> Background:
        frames = self._decoded(key)
        chosen = int(rng.integers(len(frames)))
        framing = self._framing(frames, rng)
        shown = framing.of(frames[chosen : chosen + 1], self._geometry.resolution)
        return self._background(key, shown, self._subject(key, frames, framing))

    def clip(self, rng: np.random.Generator) -> Background:
        """A clip: real motion half of the time, else a camera gliding over a picture."""
        length = self._geometry.clip_frames
        if self._long_enough(length) and (not self.pictures or rng.random() < 0.5):
            return self._moving(length, rng)
        key = self._pick(self.pictures, rng)
        return self._background(key, pan(self._decoded(key)[0], length, self._geometry.resolution, rng))

    def backdrops(self, names: Mapping[str, str]) -> dict[str, Backdrop]:
        """The middle of the first picture of each named scene, by its new name, where there is one."""
        side, found = self._geometry.resolution, {}
        for scene, name in names.items():
            keys = sorted(key for key in self.pictures if self._rows[key]["scene"] == scene)
            if keys:
                frames = self._decoded(keys[0])
                span = min(frames.shape[1:3])
                top, left = ((size - span) // 2 for size in frames.shape[1:3])
                picture = Framing(top, left, span, mirrored=False).of(frames, side)[0]
                found[name] = Backdrop(picture, keys[0])
        return found

    def _long_enough(self, length: int) -> list[str]:
        return [key for key in self.videos if len(self._decoded(key)) >= length]

    def _moving(self, length: int, rng: np.random.Generator) -> Background:
        key = self._pick(self._long_enough(length), rng)
        frames = self._decoded(key)
        start = int(rng.integers(len(frames) - length + 1))
        framing = self._framing(frames, rng)
        return self._background(key, framing.of(frames[start : start + length], self._geometry.resolution))

    def _pick(self, keys: list[str], rng: np.random.Generator) -> str:
        return keys[int(rng.integers(len(keys)))]

    def _background(self, key: str, frames: np.ndarray, subject: np.ndarray | None = None) -> Background:
        row = self._rows[key]
        return Background(frames, row["caption"], key, row["scene"], subject)

    def _framing(self, frames: np.ndarray, rng: np.random.Generator) -> Framing:
        height, width = frames.shape[1:3]
        return draw_framing(height, width, self._geometry.resolution, self._compose.mirrored, rng)

    def _subject(self, key: str, frames: np.ndarray, framing: Framing) -> np.ndarray | None:
        """Alpha [side side] of a picture's salient object as framed, if it is neither a speck nor nearly all of it."""
        mask = self._rows[key]["mask"]
        if mask is None:
            return None
        height, width = frames.shape[1:3]
        whole = read_clip(mask, self._limits, size=(height, width), name=f"mask of {key}").frames[..., 0]
        alpha = framing.of(whole, self._geometry.resolution)[0]
        share = float((alpha > OPAQUE).mean())
        return alpha if self._compose.least_subject <= share <= self._compose.most_subject else None

    def _decode(self, key: str) -> np.ndarray:
        geometry = self._geometry
        side = round(geometry.resolution * self._compose.widest)
        working = WorkingSize(side, geometry.frame_rate, geometry.clip_frames)
        return decode_row(self._rows[key], working, self._limits)
