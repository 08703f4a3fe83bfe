"""Samplings compared: every one is held against the last."""

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from benchmarks.sampling import Sampling, figures_of, measure
from flows.job import Job
from tests.world import ROOT
from training.compare import COMPARED, Difference


def test_figures_leave_out_what_is_defined_for_no_case() -> None:
    nothing = Difference(0, *[float("nan")] * 6)
    some = Difference(3, 20.0, 21.0, -1.0, -2.0, 0.5, 0.0)
    figures = figures_of({"4": {"edit_psnr": some, "flicker": nothing}})
    assert figures == {
        "4/edit_psnr": 20.0, "4/edit_psnr/more": -1.0, "4/edit_psnr/more_low": -2.0, "4/edit_psnr/more_high": 0.5,
    }  # fmt: skip


def test_a_sampling_is_steps_with_or_without_both_scales() -> None:
    assert Sampling.parsed("8").values == ("inference.num_inference_steps=8",)
    params = Job.open(ROOT / "params.yaml", ROOT, Sampling.parsed("5/1.25/1.5").values).params.inference
    assert (params.num_inference_steps, params.video_guidance_scale, params.guidance_scale) == (5, 1.25, 1.5)


@pytest.mark.parametrize("told", ["", "many", "8/1", "8/1/1/1", "8/x/1", "8.5"])
def test_another_sampling_is_refused(told: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected STEPS"):
        Sampling.parsed(told)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_last_sampling_differs_from_itself_by_nothing(tmp_path: Path) -> None:
    values = ("features.cases.pictures=4", "features.cases.clips=0", "evaluation.resamples=20")
    jobs = {
        told: Job.open(ROOT / "params.yaml", tmp_path, (*values, *Sampling.parsed(told).values))
        for told in ("1/1/1", "2")
    }
    with jobs["2"].state.writing():
        found = measure(jobs)
    assert all((found["2"][name].value, found["2"][name].low) == (0, 0) for name in COMPARED if found["2"][name].cases)
    assert found["1/1/1"]["edit_psnr"].cases > 0 and found["1/1/1"]["edit_psnr"].value != 0
