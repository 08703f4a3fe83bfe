"""What an edit is measured by: regions, PSNR, colour drift, flicker, gradient energy.

Frames are RGB uint8 [f h w 3]. R is where the truth differs from the source, K is what must stay. Errors are pooled
over frames, in squared [0, 1] units; colour drift and flicker are in grey levels (1/255). Sums are of integers, so
a score does not depend on the order or the number of threads. Score edits before any compositing with the source.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, UInt8

Frames = UInt8[np.ndarray, "f h w 3"]
Region = Bool[np.ndarray, "f h w"]

GREY_LEVELS = 255
EDIT_THRESHOLD = 8  # grey levels; below it a difference is noise of a codec, not an edit
EDIT_DILATION = 2  # pixels
KEEP_DISTANCE = 8  # pixels between R and K, so that a soft border of the edit is not counted as damage
MIN_KEEP_SHARE = 0.1  # a smaller K (global, style, background) says nothing about what was kept
PSNR_CAP = 50.0  # dB; also the score of an exact copy


def _dilate(region: Region, pixels: int) -> Region:
    """Grown by a square of 2 * pixels + 1, frame by frame."""
    side = 2 * pixels + 1
    grown = torch.from_numpy(region).float()[:, None]
    grown = F.max_pool2d(grown, (side, 1), stride=1, padding=(pixels, 0))
    grown = F.max_pool2d(grown, (1, side), stride=1, padding=(0, pixels))
    return grown[:, 0].numpy() > 0


def _difference(a: UInt8[np.ndarray, "..."], b: UInt8[np.ndarray, "..."]) -> np.ndarray:
    return a.astype(np.int32) - b.astype(np.int32)


def _squared(a: UInt8[np.ndarray, "h w 3"], b: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """Squared difference of each pixel, summed over its channels, as whole numbers."""
    difference = _difference(a, b)
    return np.einsum("hwc,hwc->hw", difference, difference)


def edit_region(source: Frames, truth: Frames) -> Region:
    """R: pixels whose largest channel difference exceeds 8/255, per frame, dilated 2 px. Empty for an identity."""
    changed = np.stack([np.abs(_difference(t, s)).max(axis=-1) for s, t in zip(source, truth, strict=True)])
    return _dilate(changed > EDIT_THRESHOLD, EDIT_DILATION)


def keep_region(region: Region) -> Region:
    """K: the complement of R dilated by 8 px, per frame."""
    return ~_dilate(region, KEEP_DISTANCE)


def share(region: Region) -> float:
    """Share of the pixels of all frames that lie in the region, 0..1."""
    return float(region.mean())


def mse(a: Frames, b: Frames, region: Region) -> float | None:
    """Mean squared error over a region, pooled over frames, in squared [0, 1] units; None where it is empty."""
    if (count := 3 * int(region.sum())) == 0:
        return None
    # One frame at a time: a long clip as integers would be four times its size.
    total = sum(int(_squared(x, y)[r].sum(dtype=np.int64)) for x, y, r in zip(a, b, region, strict=True))
    return total / count / GREY_LEVELS**2


def _decibels(error: float) -> float:
    return PSNR_CAP if error == 0 else min(PSNR_CAP, -10 * math.log10(error))


def psnr(a: Frames, b: Frames) -> float:
    """PSNR of whole frames in dB, of the MSE pooled over them, capped at 50. A ValueError without a pixel."""
    if (error := mse(a, b, np.ones(a.shape[:3], dtype=np.bool_))) is None:
        raise ValueError(f"no pixels to compare in frames of shape {list(a.shape)}")
    return _decibels(error)


def region_psnr(a: Frames, b: Frames, region: Region) -> float | None:
    """PSNR over a region in dB, pooled and capped as `psnr`; None where the region is empty."""
    error = mse(a, b, region)
    return None if error is None else _decibels(error)


def edit_psnr(edit: Frames, truth: Frames, region: Region) -> float | None:
    """PSNR of edit against truth on R, in dB; None where R is empty: an identity has nothing to draw."""
    return region_psnr(edit, truth, region)


def keep_psnr(edit: Frames, source: Frames, keep: Region) -> float | None:
    """PSNR of edit against source on K, in dB; None where K covers under 10 % of the frames."""
    return region_psnr(edit, source, keep) if share(keep) >= MIN_KEEP_SHARE else None


def colour_drift(edit: Frames, source: Frames, keep: Region) -> float | None:
    """Mean over frames of the largest channel of |mean over K of (edit - source)|, in grey levels (1/255).

    None where K covers under 10 % of the frames; a single frame without K is left out of the mean.
    """
    if share(keep) < MIN_KEEP_SHARE:
        return None
    triples = zip(edit, source, keep, strict=True)
    drifts = [np.abs(_difference(e[k], s[k]).mean(axis=0)).max() for e, s, k in triples if k.any()]
    return float(np.mean(drifts))


def flicker(edit: Frames, truth: Frames) -> float | None:
    """RMS over the whole frame of (e_t+1 - e_t) - (g_t+1 - g_t), in grey levels (1/255); None for a single frame.

    The truth's own motion is subtracted, so freezing and blurring a moving clip both cost.
    """
    if (steps := len(edit) - 1) == 0:
        return None
    total, before = 0, _difference(edit[0], truth[0])
    for e, g in zip(edit[1:], truth[1:], strict=True):
        now = _difference(e, g)
        total += int(np.square(now - before).sum(dtype=np.int64))
        before = now
    return math.sqrt(total / (steps * edit[0].size))


def gradient_energy(frames: Frames, region: Region) -> float | None:
    """Mean over a region of the squared differences to the right and lower pixel, in [0, 1] units; None where empty.

    A pixel of the last column or row has no such neighbour and a difference of zero there.
    """
    if (count := 3 * int(region.sum())) == 0:
        return None
    total = 0
    for frame, mask in zip(frames, region, strict=True):
        right = np.square(_difference(frame[:, 1:], frame[:, :-1])[mask[:, :-1]])
        down = np.square(_difference(frame[1:], frame[:-1])[mask[:-1]])
        total += int(right.sum(dtype=np.int64)) + int(down.sum(dtype=np.int64))
    return total / count / GREY_LEVELS**2


def mean_fill(source: Frames, truth: Frames, region: Region) -> Frames:
    """The source, with R painted in one colour: the truth's mean over R in all frames, rounded to a grey level.

    What a model reaches that knows where and roughly which colour, but not what. Without R it is the source.
    """
    filled = source.copy()
    if region.any():
        filled[region] = np.rint(truth[region].mean(axis=0)).astype(np.uint8)
    return filled
