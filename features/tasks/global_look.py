"""Change the look of the whole frame: plain functions of pixels from a closed list."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.composer import Look
from features.instructions import phrase
from features.paint import LUMA, levels
from features.pictures import gaussian
from features.tasks.draft import Choice, Draft, Materials, draw_scene

SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], dtype=np.float32)


def greyscale(frames: np.ndarray) -> np.ndarray:
    """Luma in all three channels."""
    return levels(np.repeat((frames @ LUMA)[..., None], 3, axis=-1))


def sepia(frames: np.ndarray) -> np.ndarray:
    """The usual sepia matrix."""
    return levels(frames.astype(np.float32) @ SEPIA.T)


def night(frames: np.ndarray) -> np.ndarray:
    """Dark and blue."""
    return levels(frames.astype(np.float32) * np.array([0.25, 0.32, 0.55], dtype=np.float32) + 4)


def inverted(frames: np.ndarray) -> np.ndarray:
    """The photographic negative."""
    negative: np.ndarray = 255 - frames
    return negative


def warm(frames: np.ndarray) -> np.ndarray:
    """Towards orange, as in late light."""
    return levels(frames.astype(np.float32) * np.array([1.2, 1.0, 0.65], dtype=np.float32))


def cold(frames: np.ndarray) -> np.ndarray:
    """Towards blue, as in shade."""
    return levels(frames.astype(np.float32) * np.array([0.65, 0.95, 1.25], dtype=np.float32))


def bright(frames: np.ndarray) -> np.ndarray:
    """Half way to white."""
    return levels(frames * np.float32(0.5) + 127)


def dim(frames: np.ndarray) -> np.ndarray:
    """Under half the light, of no other colour."""
    return levels(frames * np.float32(0.4))


def blurred(frames: np.ndarray) -> np.ndarray:
    """Out of focus: a Gaussian of a thirtieth of the frame."""
    return gaussian(frames, frames.shape[1] / 30)


LOOKS: Mapping[str, Look] = {
    "black and white": greyscale,
    "sepia": sepia,
    "dark as at night": night,
    "inverted like a negative": inverted,
    "warm and orange": warm,
    "cold and blue": cold,
    "bright and pale": bright,
    "dim": dim,
    "blurred": blurred,
}


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene with up to one object, under another look."""
    source = draw_scene(rng, materials, int(rng.integers(2)))
    names = list(LOOKS)
    wording = int(rng.integers(2**31))
    made = tuple(
        Choice(
            phrase("global", np.random.default_rng(wording), materials.held_out, look=names[int(i)]),
            replace(source, look=names[int(i)]),
        )
        for i in rng.permutation(len(names))[:choices]
    )
    return Draft("global", source, made)
