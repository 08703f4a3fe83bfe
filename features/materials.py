"""Backgrounds at the pair's geometry, drawn from the published clips."""

from functools import lru_cache

import numpy as np

from features.composer import Background
from features.motion import pan
from features.params import GeometryParams
from stores.clip_types import MediaLimits
from stores.feature_store import PublishedTable
from stores.media_rows import COLUMNS, WorkingSize, decode_row

CACHED_CLIPS = 64


class Backgrounds:
    """Real pictures and clips of one split, decoded when first needed."""

    def __init__(self, clips: PublishedTable, split: str, geometry: GeometryParams, limits: MediaLimits) -> None:
        table = clips.rows([*COLUMNS, "caption", "scene"], where=f"split = '{split}'")
        self._rows = {row["id"]: row for row in table.to_pylist()}
        self._geometry, self._limits = geometry, limits
        self.pictures = [key for key, row in self._rows.items() if row["kind"] == "picture"]
        self.videos = [key for key, row in self._rows.items() if row["kind"] == "video"]
        self._decoded = lru_cache(CACHED_CLIPS)(self._decode)

    def still(self, rng: np.random.Generator) -> Background:
        """One frame: of a picture four times in five, else of a clip."""
        take_video = bool(self.videos) and (not self.pictures or rng.random() < 0.2)
        key = self._pick(self.videos if take_video else self.pictures, rng)
        frames = self._decoded(key)
        chosen = int(rng.integers(len(frames)))
        return self._background(key, self._crop(frames[chosen : chosen + 1], rng))

    def clip(self, rng: np.random.Generator) -> Background:
        """A clip: real motion half of the time, else a camera gliding over a picture."""
        length = self._geometry.clip_frames
        long_enough = [key for key in self.videos if len(self._decoded(key)) >= length]
        if long_enough and (not self.pictures or rng.random() < 0.5):
            key = self._pick(long_enough, rng)
            frames = self._decoded(key)
            start = int(rng.integers(len(frames) - length + 1))
            return self._background(key, self._crop(frames[start : start + length], rng))
        key = self._pick(self.pictures, rng)
        return self._background(key, pan(self._decoded(key)[0], length, self._geometry.resolution, rng))

    def _pick(self, keys: list[str], rng: np.random.Generator) -> str:
        return keys[int(rng.integers(len(keys)))]

    def _background(self, key: str, frames: np.ndarray) -> Background:
        row = self._rows[key]
        return Background(frames, row["caption"], key, row["scene"])

    def _crop(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        side = self._geometry.resolution
        top, left = (int(rng.integers(size - side + 1)) for size in frames.shape[1:3])
        return np.ascontiguousarray(frames[:, top : top + side, left : left + side])

    def _decode(self, key: str) -> np.ndarray:
        geometry = self._geometry
        working = WorkingSize(geometry.resolution * 5 // 4, geometry.frame_rate, geometry.clip_frames)
        return decode_row(self._rows[key], working, self._limits)
