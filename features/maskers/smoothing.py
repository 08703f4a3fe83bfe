"""Soft masks over time: aligned to one another, smoothed, and judged. Plain functions of maps [f h w] in 0..1."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float

Maps = Float[np.ndarray, "f h w"]
UNSURE = 0.1  # below it a pixel is plain background, and says nothing about how sure a mask is


def offset_between(moved: Float[np.ndarray, "h w"], fixed: Float[np.ndarray, "h w"]) -> tuple[int, int]:
    """Rows and columns by which `moved` must go to lie best on `fixed`: the highest point of their correlation.

    It follows the thing, not the camera, since the maps show nothing else. At most a quarter of the frame.
    """
    height, width = fixed.shape
    found = np.fft.irfft2(np.fft.rfft2(fixed) * np.conj(np.fft.rfft2(moved)), s=fixed.shape)
    rows, columns = (np.minimum(np.arange(size), size - np.arange(size)) for size in fixed.shape)
    found[(rows > height // 4)[:, None] | (columns > width // 4)] = -np.inf
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return (
        int(row) - height if row > height // 2 else int(row),
        int(column) - width if column > width // 2 else int(column),
    )


def shifted(image: Float[np.ndarray, "h w"], rows: int, columns: int) -> Float[np.ndarray, "h w"]:
    """An image moved by whole pixels; what comes in repeats the border, so that a thing cut by it stays cut."""
    height, width = image.shape
    return image[
        np.clip(np.arange(height) - rows, 0, height - 1)[:, None], np.clip(np.arange(width) - columns, 0, width - 1)
    ]


def smoothed(maps: Maps, radius: int) -> Maps:
    """Every map the median of those up to `radius` frames away, each laid onto it."""
    out = []
    for number, fixed in enumerate(maps):
        near = maps[max(number - radius, 0) : number + radius + 1]
        out.append(np.median([shifted(one, *offset_between(one, fixed)) for one in near], axis=0))
    return np.stack(out).astype(np.float32)


def margin(maps: Maps) -> float:
    """How far from undecided the maps are, where they are not plain background: 0 at one half, 1 at nought and one."""
    told = maps[maps > UNSURE]
    return float(np.abs(2 * told - 1).mean()) if told.size else 0.0


def steadiness(maps: Maps) -> float:
    """Mean overlap, intersection over union, of the masks of neighbouring frames, laid onto one another."""
    overlaps = []
    for before, after in pairwise(maps):
        one, other = shifted(before, *offset_between(before, after)) > 0.5, after > 0.5
        overlaps.append((one & other).sum() / max((one | other).sum(), 1))
    return float(np.mean(overlaps)) if overlaps else 1.0
