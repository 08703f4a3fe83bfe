"""Redraw the whole frame in a style: plain functions of pixels from a closed list, frame by frame."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.composer import Look
from features.instructions import phrase
from features.paint import LUMA, levels
from features.pictures import gaussian, median, tiled
from features.tasks.draft import Choice, Draft, Materials, draw_scene

POSTER_LEVELS = 4
TILES = 16  # across a frame


def sketch(frames: np.ndarray) -> np.ndarray:
    """Pencil: luma divided by its own blur, so that only edges remain dark."""
    luma = np.rint(frames.astype(np.float32) @ LUMA).astype(np.uint8)
    soft = gaussian(luma, frames.shape[1] / 24).astype(np.float32)
    drawn = luma.astype(np.float32) * 250 / np.maximum(soft, 1)
    return levels(drawn[..., None].repeat(3, axis=-1))


def poster(frames: np.ndarray) -> np.ndarray:
    """Few levels a channel."""
    step = 255 / (POSTER_LEVELS - 1)
    return levels(np.rint(frames / step) * step)


def pixel_art(frames: np.ndarray) -> np.ndarray:
    """Square tiles of one colour each."""
    return np.stack([tiled(frame, TILES) for frame in frames])


def oil_painting(frames: np.ndarray) -> np.ndarray:
    """Patches of paint: a wide median, then richer colours."""
    patches = median(median(frames, 7), 7)
    grey = (patches.astype(np.float32) @ LUMA)[..., None]
    return levels(grey + (patches - grey) * 1.6)


def relief(frames: np.ndarray) -> np.ndarray:
    """Stone lit from the upper left: the difference of luma along the diagonal, around grey."""
    luma = np.pad(frames.astype(np.float32) @ LUMA, ((0, 0), (1, 1), (1, 1)), mode="edge")
    lit = 128 + 2 * (luma[:, 2:, 2:] - luma[:, :-2, :-2])
    return levels(lit[..., None].repeat(3, axis=-1))


STYLES: Mapping[str, Look] = {
    "a pencil sketch": sketch,
    "a poster": poster,
    "pixel art": pixel_art,
    "an oil painting": oil_painting,
    "a stone relief": relief,
}


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene with up to one object, in a style."""
    source = draw_scene(rng, materials, int(rng.integers(2)))
    names = list(STYLES)
    wording = int(rng.integers(2**31))
    made = tuple(
        Choice(
            phrase("style", np.random.default_rng(wording), materials.held_out, style=names[int(i)]),
            replace(source, look=names[int(i)]),
        )
        for i in rng.permutation(len(names))[:choices]
    )
    return Draft("style", source, made)
