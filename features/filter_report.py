"""What the filter keeps, threshold by threshold, and how good it is where the truth is known: a page of Markdown."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from features.edit_filter import SPOKEN, EditScores, rejections, thresholds
from features.params import EditFilterParams

NONE = "-"
ALL = "all together"


@dataclass(frozen=True)
class ScoredEdit:
    """An edit's scores; `success` and `edit_psnr` (dB) as in evaluation, None where its truth is not known."""

    id: str
    scores: EditScores
    success: bool | None = None
    edit_psnr: float | None = None


@dataclass(frozen=True)
class Worth:
    """How many edits there are, and their mean figures over those whose truth is known; None without any."""

    edits: int
    success: float | None
    edit_psnr: float | None

    @classmethod
    def of(cls, edits: Sequence[ScoredEdit]) -> "Worth":
        return cls(
            edits=len(edits),
            success=_mean(edit.success for edit in edits),
            edit_psnr=_mean(edit.edit_psnr for edit in edits),
        )


@dataclass(frozen=True)
class ThresholdLine:
    """What a threshold turns away (`reason`), what it keeps, and how many edits have no such score and are kept."""

    reason: str
    kept: Worth
    rejected: Worth
    undefined: int


@dataclass(frozen=True)
class ScoreLine:
    """How a score is spread, and how well it tells successes from failures.

    `separation` is the chance that a success scores higher than a failure, half of it where they are equal: 0.5 says
    nothing, 1 and 0 everything. None where there are none of either.
    """

    score: str
    defined: int
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None
    separation: float | None


@dataclass(frozen=True)
class FilterReport:
    """Every threshold that is on by itself, then all of them together, and every score."""

    edits: int
    known: int
    thresholds: tuple[ThresholdLine, ...]
    scores: tuple[ScoreLine, ...]

    def text(self) -> str:
        """As Markdown."""
        told = [
            "# Filter of generated edits",
            "",
            f"{self.edits} edits, of {self.known} of which the truth is known; PSNR in dB.",
            "",
            "## Thresholds",
            "| turned away | kept | rejected | success of kept | of rejected | PSNR of kept | of rejected | no score |",
            "|---|---|---|---|---|---|---|---|",
            *(_threshold_row(line) for line in self.thresholds),
            "",
            "## Scores",
            "| score | edits | lower quartile | median | upper quartile | separates success from failure |",
            "|---|---|---|---|---|---|",
            *(_score_row(line) for line in self.scores),
        ]
        return "\n".join(told) + "\n"


def filter_report(edits: Sequence[ScoredEdit], params: EditFilterParams) -> FilterReport:
    """What these thresholds would do to these edits."""
    lines = []
    for threshold in thresholds(params):
        missed = [threshold.missed_by(edit.scores) is not None for edit in edits]
        undefined = sum(getattr(edit.scores, threshold.score) is None for edit in edits)
        lines.append(_line(threshold.reason, edits, missed, undefined))
    lines.append(_line(ALL, edits, [bool(rejections(edit.scores, params)) for edit in edits], 0))
    known = sum(edit.success is not None for edit in edits)
    return FilterReport(len(edits), known, tuple(lines), tuple(_score_line(field.name, edits) for field in SCORES))


def write_filter_report(report: FilterReport, path: Path) -> None:
    """Write it in one atomic step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(report.text(), encoding="utf-8")
    os.replace(partial, path)


def separation(successes: Sequence[float], failures: Sequence[float]) -> float | None:
    """The chance that one of the first is above one of the second, ties by half; None where either is empty."""
    if not successes or not failures:
        return None
    high, low = np.asarray(successes)[:, None], np.asarray(failures)[None]
    return float((high > low).mean() + (high == low).mean() / 2)


SCORES = fields(EditScores)


def _line(reason: str, edits: Sequence[ScoredEdit], missed: Sequence[bool], undefined: int) -> ThresholdLine:
    kept = [edit for edit, out in zip(edits, missed, strict=True) if not out]
    rejected = [edit for edit, out in zip(edits, missed, strict=True) if out]
    return ThresholdLine(reason, Worth.of(kept), Worth.of(rejected), undefined)


def _score_line(name: str, edits: Sequence[ScoredEdit]) -> ScoreLine:
    found = [(value, edit.success) for edit in edits if (value := getattr(edit.scores, name)) is not None]
    values = [value for value, _ in found]
    low, middle, high = (float(part) for part in np.quantile(values, (0.25, 0.5, 0.75))) if values else (None,) * 3
    told = separation(*([value for value, success in found if success is good] for good in (True, False)))
    return ScoreLine(SPOKEN[name], len(values), low, middle, high, told)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _threshold_row(line: ThresholdLine) -> str:
    cells = [
        line.reason, str(line.kept.edits), str(line.rejected.edits), _share(line.kept.success),
        _share(line.rejected.success), _number(line.kept.edit_psnr), _number(line.rejected.edit_psnr),
        str(line.undefined or ""),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _score_row(line: ScoreLine) -> str:
    numbers = (line.lower_quartile, line.median, line.upper_quartile, line.separation)
    return f"| {' | '.join([line.score, str(line.defined), *map(_number, numbers)])} |"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"
