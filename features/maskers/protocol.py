"""What every masker promises: a track of masks with a confidence, or the reason why there is none."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from features.paint import OPAQUE


@dataclass(frozen=True)
class MaskTrack:
    """Where a thing is: alpha [f h w] uint8, and how sure the masker is of it, in 0..1."""

    thing: str
    alpha: np.ndarray
    confidence: float

    @property
    def hard(self) -> np.ndarray:
        """Masks [f h w] of bool."""
        inside: np.ndarray = self.alpha > OPAQUE
        return inside

    @property
    def share(self) -> float:
        """The part of all frames that is covered."""
        return float(self.hard.mean())


@dataclass(frozen=True)
class MaskRejected:
    """No mask that could be used, for the quarantine: why, and the number that was out of bounds, if it was one."""

    thing: str
    reason: str
    value: float | None = None


class Masker(Protocol):
    """Finds a thing by its name. `revision` changes whenever the masks could: it is part of a row's id."""

    revision: str

    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        """The thing in frames [f h w 3] uint8; ValueError for anything else."""
        ...


def checked(frames: np.ndarray) -> np.ndarray:
    """The frames, if they are uint8 [f h w 3] and at least one; ValueError otherwise."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ValueError(f"frames are uint8 [f h w 3], not {frames.dtype} {list(frames.shape)}")
    return frames


def bounded(
    track: MaskTrack, least_confidence: float, least_share: float, most_share: float
) -> MaskTrack | MaskRejected:
    """The track, unless it is too unsure, too small or too large to be marked."""
    if track.confidence < least_confidence:
        return MaskRejected(track.thing, "confidence below", round(track.confidence, 4))
    if track.share < least_share:
        return MaskRejected(track.thing, "share of the frame below", round(track.share, 4))
    if track.share > most_share:
        return MaskRejected(track.thing, "share of the frame above", round(track.share, 4))
    return track
