"""The benchmark of the feature pipeline runs at a tiny size and says all it promises; no time is asked about here."""

import math

import pytest

from benchmarks import features
from features.plan import TEXT_TO_VIDEO, plan_pairs
from flows.job import Job
from stores.state import State
from tests.world import ROOT, raw_folder, tiny_params, without_mlflow_advice

FIGURES = {"pairs", "pairs_whole", "features_speedup_two_processes", "features_speedup_whole"}
FIGURES |= {f"{kind}_{word}" for kind in ("pairs_per_second", "seconds_whole") for word in features.WORDS.values()}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("features")
    raw = raw_folder(folder / "raw")
    (raw / "cutouts").symlink_to(ROOT / "data" / "cutouts")
    return Job(tiny_params(f"data={raw}"), State.at(folder / "state"))


def test_the_figures_are_complete_and_the_tables_equal(job: Job) -> None:
    """`measure` itself refuses tables that differ."""
    with without_mlflow_advice():
        figures = features.measure(job, rounds=1)
    assert set(figures) == FIGURES
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    assert (figures["pairs"], figures["pairs_whole"]) == (24, 29)


def test_every_planned_row_is_built_once_and_clips_first(job: Job) -> None:
    warm, timed = features.parts(job)
    rows = [row for part in (*warm, *timed) for row in part]
    assert len(warm) == 2 and sorted(rows, key=str) == sorted(plan_pairs(job.params.features.pairs["one"]), key=str)
    groups = [part[0].group for part in timed]
    assert groups == sorted(groups, key=lambda group: group != TEXT_TO_VIDEO) and len(set(groups)) == 2
