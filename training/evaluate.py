"""From scores of single cases to the figures of `metrics/evaluation.json`.

Everywhere a figure is first taken per task and then averaged over tasks, so that a common task does not drown a rare
one. Intervals are 95 % percentile bootstrap over scenes, not cases: cases of one scene are not independent. With one
scene the interval has no width and means nothing; `scenes` says so.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from models.success import CaseScore, Conditions

Values = NDArray[np.float64]  # [n], one per case, NaN where not defined
Weights = NDArray[np.int64]  # [resamples n], how often a case was drawn
Statistic = Callable[[Values, Weights], Values]  # of one task, to [resamples]

INTERVAL = (2.5, 97.5)  # percent
DECIMALS = 4


def _rounded(value: float) -> float:
    return round(value, DECIMALS)


def _rounded_or_null(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else _rounded(value)


Rate = Annotated[float, AfterValidator(_rounded)]
Figure = Annotated[float | None, BeforeValidator(_rounded_or_null)]  # NaN, "defined for no case", is null outside


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ScoredCase(_Report):
    """One system's score on one case; cases that share footage share the scene."""

    case_id: str
    system: str
    task: str
    scene: str
    kind: Literal["picture", "clip"]
    score: CaseScore


class FailedShares(_Report):
    """Share of the cases that fail each condition, among those it applies to; null where it applies to none."""

    beats_source: Figure
    beats_mean_fill: Figure
    has_detail: Figure
    keeps_rest: Figure
    obeys: Figure


class Figures(_Report):
    """One system over one group of cases: PSNR in dB, colour drift and flicker in grey levels, rates 0..1.

    Scores are medians per task, then the mean over tasks; `success` is the rate per task, then the mean over tasks,
    and `success_plain` the rate over all cases. Null: defined for no case of the group.
    """

    cases: int
    scenes: int
    keep_cases: int  # where K is large enough for keep_psnr and colour_drift
    success: Rate
    success_low: Rate
    success_high: Rate
    success_plain: Rate
    edit_psnr: Figure
    edit_psnr_low: Figure
    edit_psnr_high: Figure
    keep_psnr: Figure
    keep_psnr_low: Figure
    keep_psnr_high: Figure
    colour_drift: Figure
    flicker: Figure
    failed: FailedShares


class SystemReport(_Report):
    """One system: all cases, pictures and clips apart (null without any), and per task."""

    overall: Figures
    pictures: Figures | None
    clips: Figures | None
    tasks: dict[str, Figures]


class Evaluation(_Report):
    """The report, by system: `copy`, `ceiling`, the stages and whatever else was scored."""

    seed: int
    resamples: int
    systems: dict[str, SystemReport]

    def to_json(self) -> str:
        """Indented JSON of numbers and nulls, as `dvc metrics show` reads it."""
        return self.model_dump_json(indent=2) + "\n"


@dataclass(frozen=True)
class _Estimate:
    value: float  # all three NaN where defined for no case
    low: float
    high: float


def median(values: Values, weights: Weights) -> Values:
    """Median of the values repeated by their weights, NaN where all weights are zero."""
    order = np.argsort(values, kind="stable")
    reached = weights[:, order].cumsum(axis=1)
    total = reached[:, -1:]
    last = len(values) - 1
    # Positions (total - 1) // 2 and total // 2 of the repeated list are its two middles, or its one middle twice.
    below = np.minimum((reached <= (total - 1) // 2).sum(axis=1), last)
    above = np.minimum((reached <= total // 2).sum(axis=1), last)
    middle = (values[order][below] + values[order][above]) / 2
    return np.where(total[:, 0] > 0, middle, np.nan)


def weighted_mean(values: Values, weights: Weights) -> Values:
    """Weighted mean, NaN where all weights are zero."""
    total = weights.sum(axis=1)
    return np.where(total > 0, (weights @ values) / np.maximum(total, 1), np.nan)


def over_tasks(statistic: Statistic, values: Values, tasks: NDArray[np.str_], weights: Weights) -> Values:
    """The statistic per task, averaged over the tasks that have a defined case in the resample: [resamples]."""
    defined = ~np.isnan(values)
    names = np.unique(tasks[defined])
    if len(names) == 0:
        return np.full(len(weights), np.nan)
    chosen = [defined & (tasks == name) for name in names]
    per_task = np.stack([statistic(values[mask], weights[:, mask]) for mask in chosen])
    present = ~np.isnan(per_task)
    count = present.sum(axis=0)
    total = np.where(present, per_task, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def drawn_scenes(scenes: Sequence[str], seed: int, resamples: int) -> Weights:
    """How often each case is drawn when scenes, not cases, are drawn with replacement.

    A fresh generator every time: groups of cases of the same scenes get the same draws, in any order.
    """
    names, scene_of_case = np.unique(scenes, return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    weights: Weights = draws[:, scene_of_case]
    return weights


def _column(cases: Sequence[ScoredCase], name: str) -> Values:
    scores = (getattr(case.score, name) for case in cases)
    return np.array([np.nan if score is None else score for score in scores], dtype=np.float64)


def _failed_share(cases: Sequence[ScoredCase], condition: str) -> float | None:
    outcomes = [getattr(case.score.conditions, condition) for case in cases]
    applicable = [met for met in outcomes if met is not None]
    return applicable.count(False) / len(applicable) if applicable else None


def _failed(cases: Sequence[ScoredCase]) -> FailedShares:
    return FailedShares(**{field.name: _failed_share(cases, field.name) for field in fields(Conditions)})


class _Group:
    """Cases of one system with the resamples of their scenes, drawn once for all figures of the group."""

    def __init__(self, cases: Sequence[ScoredCase], seed: int, resamples: int) -> None:
        self.cases = cases
        self.tasks = np.array([case.task for case in cases])
        scenes = [case.scene for case in cases]
        self.scenes = len(set(scenes))
        self.weights = drawn_scenes(scenes, seed, resamples)
        self.once: Weights = np.ones((1, len(cases)), dtype=np.int64)

    def value(self, statistic: Statistic, name: str) -> float:
        """The figure of a score over the group as it is."""
        return float(over_tasks(statistic, _column(self.cases, name), self.tasks, self.once)[0])

    def estimate(self, statistic: Statistic, name: str) -> _Estimate:
        """The figure with its interval, over the resamples in which it is defined."""
        draws = over_tasks(statistic, _column(self.cases, name), self.tasks, self.weights)
        draws = draws[~np.isnan(draws)]
        value = self.value(statistic, name)
        if len(draws) == 0:
            return _Estimate(value, value, value)
        low, high = np.percentile(draws, INTERVAL)
        return _Estimate(value, float(low), float(high))


def _figures(cases: Sequence[ScoredCase], seed: int, resamples: int) -> Figures:
    group = _Group(cases, seed, resamples)
    success = group.estimate(weighted_mean, "success")
    edit, keep = group.estimate(median, "edit_psnr"), group.estimate(median, "keep_psnr")
    return Figures(
        cases=len(cases),
        scenes=group.scenes,
        keep_cases=sum(case.score.keep_psnr is not None for case in cases),
        success=success.value,
        success_low=success.low,
        success_high=success.high,
        success_plain=sum(case.score.success for case in cases) / len(cases),
        edit_psnr=edit.value,
        edit_psnr_low=edit.low,
        edit_psnr_high=edit.high,
        keep_psnr=keep.value,
        keep_psnr_low=keep.low,
        keep_psnr_high=keep.high,
        colour_drift=group.value(median, "colour_drift"),
        flicker=group.value(median, "flicker"),
        failed=_failed(cases),
    )


def _system_report(cases: Sequence[ScoredCase], seed: int, resamples: int) -> SystemReport:
    pictures = [case for case in cases if case.kind == "picture"]
    clips = [case for case in cases if case.kind == "clip"]
    by_task: dict[str, list[ScoredCase]] = defaultdict(list)
    for case in cases:
        by_task[case.task].append(case)
    return SystemReport(
        overall=_figures(cases, seed, resamples),
        pictures=_figures(pictures, seed, resamples) if pictures else None,
        clips=_figures(clips, seed, resamples) if clips else None,
        tasks={task: _figures(by_task[task], seed, resamples) for task in sorted(by_task)},
    )


def evaluate(cases: Iterable[ScoredCase], *, seed: int, resamples: int) -> Evaluation:
    """The report over all systems; the same for any order of the cases.

    Raises:
        ValueError: no cases, a case scored twice for one system, or fewer than one resample.
    """
    by_system: dict[str, dict[str, ScoredCase]] = defaultdict(dict)
    for case in cases:
        if case.case_id in by_system[case.system]:
            raise ValueError(f"case {case.case_id!r} is scored twice for system {case.system!r}")
        by_system[case.system][case.case_id] = case
    if not by_system:
        raise ValueError("no scored cases to evaluate")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    reports = {}
    for system in sorted(by_system):
        ordered = [by_system[system][case_id] for case_id in sorted(by_system[system])]
        reports[system] = _system_report(ordered, seed, resamples)
    return Evaluation(seed=seed, resamples=resamples, systems=reports)
