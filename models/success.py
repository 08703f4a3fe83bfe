"""What an edit is worth: the figures of one case, and the five conditions of success.

Frames and measures are those of `models/metrics.py`. Score edits before any compositing with the source.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from models.metrics import (
    Frames,
    Region,
    colour_drift,
    edit_psnr,
    edit_region,
    flicker,
    gradient_energy,
    keep_psnr,
    keep_region,
    mean_fill,
    mse,
    share,
)

MAX_DECOYS = 3
SOURCE_MARGIN = 0.5  # condition (a)
DETAIL_RANGE = (0.6, 1.6)  # condition (c), times the ceiling's
KEEP_MARGIN = 4.0  # condition (d), dB under the ceiling


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

    @cached_property
    def standard(self) -> "Standard":
        """Worked out once, when first asked for."""
        return _standard(self)


@dataclass(frozen=True, eq=False)
class Standard:
    """What all edits of a case are held against; errors are mean squares on R, None where it is empty."""

    region: Region
    keep: Region
    union: Region  # of the regions of the truth and of all decoys
    filled: Frames
    copied_error: float | None
    filled_error: float | None
    reachable_error: float | None
    reachable_energy: float | None
    reachable_keep: float | None


def _standard(frames: CaseFrames) -> Standard:
    region = edit_region(frames.source, frames.truth)
    keep, filled = keep_region(region), mean_fill(frames.source, frames.truth, region)
    return Standard(
        region=region,
        keep=keep,
        union=np.logical_or.reduce([region, *(edit_region(frames.source, decoy) for decoy in frames.decoys)]),
        filled=filled,
        copied_error=mse(frames.source, frames.truth, region),
        filled_error=mse(filled, frames.truth, region),
        reachable_error=mse(frames.ceiling, frames.truth, region),
        reachable_energy=gradient_energy(frames.ceiling, region),
        reachable_keep=keep_psnr(frames.ceiling, frames.source, keep),
    )


def replace_edit(frames: CaseFrames, edit: Frames) -> CaseFrames:
    """The same case with another edit, to score a reference or another model against the same truth."""
    other = replace(frames, edit=edit)
    vars(other)["standard"] = frames.standard  # the dear part of a score, and the same for all edits
    return other


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


def _drawn(frames: CaseFrames) -> tuple[bool | None, bool | None]:
    """Conditions (a) and (b): the edit's error on R against the source's and mean_fill's."""
    standard = frames.standard
    copied, filled, reachable = standard.copied_error, standard.filled_error, standard.reachable_error
    error = mse(frames.edit, frames.truth, standard.region)
    if error is None or copied is None or filled is None or reachable is None:
        return None, None
    return error < SOURCE_MARGIN * copied, error < filled if reachable < filled else None


def _detail(frames: CaseFrames) -> tuple[float | None, bool | None]:
    """The ratio of gradient energies and condition (c), which over a flat ceiling demands a flat edit."""
    energy, reachable = gradient_energy(frames.edit, frames.standard.region), frames.standard.reachable_energy
    if energy is None or reachable is None:
        return None, None
    low, high = DETAIL_RANGE
    return energy / reachable if reachable else None, low * reachable <= energy <= high * reachable


def _obeys(frames: CaseFrames) -> bool | None:
    """Condition (e), on the union of the regions of the truth and of all decoys."""
    if not frames.decoys:
        return None
    union = frames.standard.union
    own = mse(frames.edit, frames.truth, union)
    others = [mse(frames.edit, decoy, union) for decoy in frames.decoys]
    return own is not None and all(other is not None and own < other for other in others)


def score_case(frames: CaseFrames) -> CaseScore:
    """All figures of one edit against its truth.

    For an identity (R empty) only what stays is judged: edit_psnr and conditions (a) to (c) are None, K is the whole
    frame, and a copy rightly succeeds. Everywhere else a copy fails (a). Condition (c) is measured around the ceiling,
    so under an autoencoder that blurs, even the truth, which no edit of this model can reach, may be too sharp.
    """
    standard = frames.standard
    region, keep = standard.region, standard.keep
    kept, reachable = keep_psnr(frames.edit, frames.source, keep), standard.reachable_keep
    keeps_rest = None if kept is None or reachable is None else kept >= reachable - KEEP_MARGIN
    beats_source, beats_mean_fill = _drawn(frames)
    ratio, has_detail = _detail(frames)
    return CaseScore(
        edit_psnr=edit_psnr(frames.edit, frames.truth, region),
        keep_psnr=kept,
        colour_drift=colour_drift(frames.edit, frames.source, keep),
        flicker=flicker(frames.edit, frames.truth),
        detail_ratio=ratio,
        edit_share=share(region),
        keep_share=share(keep),
        conditions=Conditions(beats_source, beats_mean_fill, has_detail, keeps_rest, _obeys(frames)),
    )


def score_references(frames: CaseFrames) -> ReferenceScores:
    """The case scored with each edit that needs no model: floor (copies, mean_fill) and ceiling."""
    return ReferenceScores(
        copy=score_case(replace_edit(frames, frames.source)),
        copy_ae=score_case(replace_edit(frames, frames.copy_ae)),
        ceiling=score_case(replace_edit(frames, frames.ceiling)),
        mean_fill=score_case(replace_edit(frames, frames.standard.filled)),
    )
