"""The curve of sampling steps: every count is held against the most."""

from pathlib import Path

import pytest

from benchmarks.steps import figures_of, measure
from flows.job import Job
from tests.world import ROOT
from training.compare import COMPARED, Difference


def test_figures_leave_out_what_is_defined_for_no_case() -> None:
    nothing = Difference(0, *[float("nan")] * 6)
    some = Difference(3, 20.0, 21.0, -1.0, -2.0, 0.5, 0.0)
    figures = figures_of({4: {"edit_psnr": some, "flicker": nothing}})
    assert figures == {
        "4/edit_psnr": 20.0, "4/edit_psnr/more": -1.0, "4/edit_psnr/more_low": -2.0, "4/edit_psnr/more_high": 0.5,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_most_steps_differ_from_themselves_by_nothing(tmp_path: Path) -> None:
    values = ("features.cases.pictures=4", "features.cases.clips=0", "evaluation.resamples=20")
    counts = (1, 2)
    jobs = {
        n: Job.open(ROOT / "params.yaml", tmp_path, (*values, f"inference.num_inference_steps={n}")) for n in counts
    }
    with jobs[2].state.writing():
        found = measure(jobs)
    assert all((found[2][name].value, found[2][name].low) == (0, 0) for name in COMPARED if found[2][name].cases)
    assert found[1]["edit_psnr"].cases > 0 and found[1]["edit_psnr"].value != 0
