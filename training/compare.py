"""Two systems on the same cases: paired differences with intervals, as an ablation needs them.

A difference is first taken per case, with each system's mean over its seeds, then averaged as all figures are: per
task, then over tasks. Intervals are bootstrapped over scenes; what the seeds of a training scatter is told apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluate import INTERVAL, ScoredCase, Values, Weights, drawn_scenes, over_tasks, weighted_mean

COMPARED = ("success", "edit_psnr", "keep_psnr", "flicker")
Seeds = Sequence[Sequence[ScoredCase]]  # the same cases, scored once a seed


@dataclass(frozen=True)
class Difference:
    """`new` minus `old`, 95 % of the resamples between `low` and `high`; NaN where defined for no case.

    `scatter` is the standard deviation over seeds (n - 1) of a system's own figure, the larger of the two; 0 for one.
    """

    cases: int
    new: float
    old: float
    value: float
    low: float
    high: float
    scatter: float


def paired_differences(new: Seeds, old: Seeds, *, seed: int, resamples: int) -> dict[str, Difference]:
    """The differences of all scores that are compared, by name; as `paired_difference`."""
    return {name: paired_difference(new, old, name, seed=seed, resamples=resamples) for name in COMPARED}


def paired_difference(new: Seeds, old: Seeds, name: str, *, seed: int, resamples: int) -> Difference:
    """The difference of a score (a field of `CaseScore`, or `success`) between two systems.

    Cases for which either is not defined, in any seed, are left out.

    Raises:
        ValueError: the two were not scored on the same cases.
    """
    tables = [_table(seeds, name) for seeds in (new, old)]
    if tables[0].keys() != tables[1].keys():
        raise ValueError("the systems were scored on different cases")
    cases = sorted(new[0], key=lambda case: case.case_id)
    if not cases:
        return Difference(0, *[float("nan")] * 6)
    rows = [np.stack([table[case.case_id] for case in cases]) for table in tables]  # each [cases seeds]
    defined = np.isfinite(np.concatenate(rows, axis=1)).min(axis=1)
    tasks = np.array([case.task for case in cases])[defined]
    first, second = (row[defined] for row in rows)
    if not len(tasks):
        return Difference(0, *[float("nan")] * 6)
    gain = first.mean(axis=1) - second.mean(axis=1)
    scenes = [case.scene for case, kept in zip(cases, defined, strict=True) if kept]
    draws = over_tasks(weighted_mean, gain, tasks, drawn_scenes(scenes, seed, resamples))
    low, high = np.nanpercentile(draws, INTERVAL)
    return Difference(
        cases=len(tasks),
        new=_mean(first.mean(axis=1), tasks),
        old=_mean(second.mean(axis=1), tasks),
        value=_mean(gain, tasks),
        low=float(low),
        high=float(high),
        scatter=max(_scatter(first, tasks), _scatter(second, tasks)),
    )


def _table(seeds: Seeds, name: str) -> Mapping[str, Values]:
    """By case the value of every seed."""
    by_seed = [{case.case_id: getattr(case.score, name) for case in cases} for cases in seeds]
    if any(found.keys() != by_seed[0].keys() for found in by_seed):
        raise ValueError("the seeds of a system were scored on different cases")
    return {
        key: np.array([np.nan if found[key] is None else found[key] for found in by_seed], dtype=np.float64)
        for key in by_seed[0]
    }


def _mean(values: Values, tasks: np.ndarray) -> float:
    once: Weights = np.ones((1, len(values)), dtype=np.int64)
    return float(over_tasks(weighted_mean, values, tasks, once)[0])


def _scatter(values: Values, tasks: np.ndarray) -> float:
    return float(np.std([_mean(column, tasks) for column in values.T], ddof=min(1, values.shape[1] - 1)))
