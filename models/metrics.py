"""What an edit is worth: regions, PSNR, colour drift, flicker, and the five conditions of success.

Frames are RGB uint8 [f h w 3]. R is where the truth differs from the source, K is what must stay. Errors are pooled
over frames, in squared [0, 1] units; colour drift and flicker are in grey levels (1/255). Sums are of integers, so
a score does not depend on the order or the number of threads. Score edits before any compositing with the source.
"""

import math
from dataclasses import dataclass, fields, replace

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
MAX_DECOYS = 3
SOURCE_MARGIN = 0.5  # condition (a)
DETAIL_RANGE = (0.6, 1.6)  # condition (c), times the ceiling's
KEEP_MARGIN = 4.0  # condition (d), dB under the ceiling


def _dilate(region: Region, pixels: int) -> Region:
    """Grown by a square of 2 * pixels + 1, frame by frame."""
    side = 2 * pixels + 1
    grown = torch.from_numpy(region).float()[:, None]
    grown = F.max_pool2d(grown, (side, 1), stride=1, padding=(pixels, 0))
    grown = F.max_pool2d(grown, (1, side), stride=1, padding=(0, pixels))
    return grown[:, 0].numpy() > 0


def _difference(a: UInt8[np.ndarray, "..."], b: UInt8[np.ndarray, "..."]) -> np.ndarray:
    return a.astype(np.int32) - b.astype(np.int32)


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
    inside = ((x[r], y[r]) for x, y, r in zip(a, b, region, strict=True))
    total = sum(int(np.square(_difference(x, y)).sum(dtype=np.int64)) for x, y in inside)
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


@dataclass(frozen=True, eq=False)
class CaseFrames:
    """One case of the evaluation, all frames of one shape.

    `ceiling` is the truth through the autoencoder and `copy_ae` the source through it; `decoys` are at most three
    truths of other instructions (same source and task, same place).

    Raises:
        ValueError: not uint8 [f h w 3] of one shape, too many decoys, or a decoy that equals the truth.
    """

    source: Frames
    truth: Frames
    edit: Frames
    ceiling: Frames
    copy_ae: Frames
    decoys: tuple[Frames, ...] = ()

    def __post_init__(self) -> None:
        shape = self.source.shape
        if len(shape) != 4 or shape[-1] != 3 or 0 in shape:
            raise ValueError(f"source must be frames [f h w 3] with at least one pixel, not {list(shape)}")
        named = [(name, getattr(self, name)) for name in ("source", "truth", "edit", "ceiling", "copy_ae")]
        for name, frames in named + [(f"decoy {i}", decoy) for i, decoy in enumerate(self.decoys)]:
            if frames.shape != shape or frames.dtype != np.uint8:
                raise ValueError(f"{name} is {frames.dtype} {list(frames.shape)}, expected uint8 {list(shape)}")
        if len(self.decoys) > MAX_DECOYS:
            raise ValueError(f"{len(self.decoys)} decoys, at most {MAX_DECOYS}")
        if any(np.array_equal(decoy, self.truth) for decoy in self.decoys):
            raise ValueError("a decoy equals the truth: no edit could be nearer to one than to the other")


def replace_edit(frames: CaseFrames, edit: Frames) -> CaseFrames:
    """The same case with another edit, to score a reference or another model against the same truth."""
    return replace(frames, edit=edit)


@dataclass(frozen=True)
class Conditions:
    """The five conditions of success, (a) to (e); None where a condition does not apply."""

    beats_source: bool | None  # (a) MSE on R under half the source's
    beats_mean_fill: bool | None  # (b) MSE on R under mean_fill's; None where the ceiling's is not
    has_detail: bool | None  # (c) gradient energy on R 0.6-1.6 times the ceiling's
    keeps_rest: bool | None  # (d) keep_psnr at least the ceiling's - 4 dB; None where K is too small
    obeys: bool | None  # (e) nearer to its truth than to each decoy; None without decoys

    @property
    def met(self) -> bool:
        """All that apply hold. At least one always applies: without R, K is the whole frame."""
        return all(getattr(self, field.name) is not False for field in fields(self))


@dataclass(frozen=True)
class CaseScore:
    """The figures of one edit: PSNR in dB, drift and flicker in grey levels; None where not defined."""

    edit_psnr: float | None
    keep_psnr: float | None
    colour_drift: float | None
    flicker: float | None
    detail_ratio: float | None  # gradient energy on R over the ceiling's
    edit_share: float
    keep_share: float
    conditions: Conditions

    @property
    def success(self) -> bool:
        """Whether all five conditions hold, as far as they apply."""
        return self.conditions.met


@dataclass(frozen=True)
class ReferenceScores:
    """Scores of the four edits that need no model."""

    copy: CaseScore
    copy_ae: CaseScore
    ceiling: CaseScore
    mean_fill: CaseScore


def _drawn(frames: CaseFrames, region: Region) -> tuple[bool | None, bool | None]:
    """Conditions (a) and (b): the edit's error on R against the source's and mean_fill's."""
    error = mse(frames.edit, frames.truth, region)
    copied = mse(frames.source, frames.truth, region)
    filled = mse(mean_fill(frames.source, frames.truth, region), frames.truth, region)
    reachable = mse(frames.ceiling, frames.truth, region)
    if error is None or copied is None or filled is None or reachable is None:
        return None, None
    return error < SOURCE_MARGIN * copied, error < filled if reachable < filled else None


def _detail(frames: CaseFrames, region: Region) -> tuple[float | None, bool | None]:
    """The ratio of gradient energies and condition (c), which over a flat ceiling demands a flat edit."""
    energy, reachable = gradient_energy(frames.edit, region), gradient_energy(frames.ceiling, region)
    if energy is None or reachable is None:
        return None, None
    low, high = DETAIL_RANGE
    return energy / reachable if reachable else None, low * reachable <= energy <= high * reachable


def _obeys(frames: CaseFrames, region: Region) -> bool | None:
    """Condition (e), on the union of the regions of the truth and of all decoys."""
    if not frames.decoys:
        return None
    union = np.logical_or.reduce([region, *(edit_region(frames.source, decoy) for decoy in frames.decoys)])
    own = mse(frames.edit, frames.truth, union)
    others = [mse(frames.edit, decoy, union) for decoy in frames.decoys]
    return own is not None and all(other is not None and own < other for other in others)


def score_case(frames: CaseFrames) -> CaseScore:
    """All figures of one edit against its truth.

    For an identity (R empty) only what stays is judged: edit_psnr and conditions (a) to (c) are None, K is the whole
    frame, and a copy rightly succeeds. Everywhere else a copy fails (a). Condition (c) is measured around the ceiling,
    so under an autoencoder that blurs, even the truth, which no edit of this model can reach, may be too sharp.
    """
    region = edit_region(frames.source, frames.truth)
    keep = keep_region(region)
    kept, reachable = (keep_psnr(made, frames.source, keep) for made in (frames.edit, frames.ceiling))
    keeps_rest = None if kept is None or reachable is None else kept >= reachable - KEEP_MARGIN
    beats_source, beats_mean_fill = _drawn(frames, region)
    ratio, has_detail = _detail(frames, region)
    return CaseScore(
        edit_psnr=edit_psnr(frames.edit, frames.truth, region),
        keep_psnr=kept,
        colour_drift=colour_drift(frames.edit, frames.source, keep),
        flicker=flicker(frames.edit, frames.truth),
        detail_ratio=ratio,
        edit_share=share(region),
        keep_share=share(keep),
        conditions=Conditions(beats_source, beats_mean_fill, has_detail, keeps_rest, _obeys(frames, region)),
    )


def score_references(frames: CaseFrames) -> ReferenceScores:
    """The case scored with each edit that needs no model: floor (copies, mean_fill) and ceiling."""
    region = edit_region(frames.source, frames.truth)
    return ReferenceScores(
        copy=score_case(replace_edit(frames, frames.source)),
        copy_ae=score_case(replace_edit(frames, frames.copy_ae)),
        ceiling=score_case(replace_edit(frames, frames.ceiling)),
        mean_fill=score_case(replace_edit(frames, mean_fill(frames.source, frames.truth, region))),
    )
