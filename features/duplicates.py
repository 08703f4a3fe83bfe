"""Near-duplicates by their difference hashes: copies of a picture, and the same view on both sides of the split."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from features.params import QualityParams
from features.quality import Rejection


@dataclass
class Seen:
    """The hashes of what was accepted so far, each with its split and what to call it.

    Two items of one split are the same picture up to `duplicate_bits` of 64. Across the splits the bound is the wider
    `leak_bits`: two takes of one fixed camera differ by a few bits, and a model would know the test scene.
    """

    params: QualityParams
    names: list[str] = field(default_factory=list)
    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    splits: np.ndarray = field(default_factory=lambda: np.empty(0, "U10"))

    def add(self, name: str, dhash: str, split: str) -> None:
        self.extend([name], [dhash], [split])

    def extend(self, names: Sequence[str], hashes: Sequence[str], splits: Sequence[str]) -> None:
        self.names += names
        self.hashes = np.append(self.hashes, np.array([int(dhash, 16) for dhash in hashes], np.uint64))
        self.splits = np.append(self.splits, np.array(splits, "U10"))

    def twin(self, dhash: str, split: str) -> Rejection | None:
        """Why an item may not join them: the nearest of those that are too near; None if there is none."""
        return self._nearest(dhash, split, self.params.duplicate_bits)

    def leak(self, dhash: str, split: str) -> Rejection | None:
        """The same of those in another split alone: copies within a split are let in."""
        return self._nearest(dhash, split, -1)

    def _nearest(self, dhash: str, split: str, within: int) -> Rejection | None:
        distances = np.bitwise_count(self.hashes ^ np.uint64(int(dhash, 16))).astype(int)
        across = self.splits != split
        near = distances <= np.where(across, self.params.leak_bits, within)
        if not near.any():
            return None
        nearest = int(np.where(near, distances, 65).argmin())
        reason = "near-duplicate across the splits" if across[nearest] else "near-duplicate"
        told = f"{distances[nearest]} of 64 bits from {self.names[nearest]} ({self.splits[nearest]})"
        return Rejection(reason, told)
