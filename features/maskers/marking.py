"""Instruction-guided segmentation: the clip with a thing under a colour, and the instruction that asks for it."""

from dataclasses import dataclass

import numpy as np

from features.instructions import phrase
from features.maskers.protocol import MaskRejected, MaskTrack, checked
from features.paint import VIVID, levels, marked, paste
from features.tasks.marks import shuffled


@dataclass(frozen=True)
class MarkedClip:
    """What is asked of a clip, and its frames [f h w 3] then (Movie Gen Edit, section 5.1.3)."""

    instruction: str
    colour: str
    target: np.ndarray


def mark(frames: np.ndarray, track: MaskTrack, colour: str) -> np.ndarray:
    """Frames [f h w 3] uint8 with the thing under a flat colour through which it still shows, as the composer marks."""
    if checked(frames).shape[:3] != track.alpha.shape:
        raise ValueError(f"a track of {list(track.alpha.shape)} does not fit frames {list(frames.shape)}")
    painted = frames.astype(np.float32)
    for frame, layer in zip(painted, marked(_layers(frames, track), colour), strict=True):
        paste(frame, layer, 0, 0)
    return levels(painted)


def mark_as_told(
    frames: np.ndarray, track: MaskTrack, rng: np.random.Generator, held_out: bool, least_change: float
) -> MarkedClip | MaskRejected:
    """The thing marked in a drawn colour that changes it plainly: by `least_change` levels, averaged over the mask."""
    for colour in shuffled(rng, VIVID):
        target = mark(frames, track, colour)
        change = np.abs(target.astype(np.int16) - frames).max(axis=-1)[track.hard]
        if change.size and change.mean() >= least_change:
            return MarkedClip(phrase("segment", rng, held_out, noun=track.thing, colour=colour), colour, target)
    return MaskRejected(track.thing, "no colour would show")


def _layers(frames: np.ndarray, track: MaskTrack) -> np.ndarray:
    return np.concatenate([frames, track.alpha[..., None]], axis=-1)
