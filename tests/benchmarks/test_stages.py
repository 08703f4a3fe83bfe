"""Stages on the same cases: one that is the other differs from it by nothing."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import stages
from benchmarks.shipped import prepare
from benchmarks.stages import measure
from flows.job import Job
from stores.receipts import save_receipt
from tests.world import ROOT
from training.compare import COMPARED

FEW = ("features.cases.pictures=3", "features.cases.clips=0", "evaluation.resamples=20")
ONE_STEP = "inference.num_inference_steps=1"


def test_a_stage_that_is_the_one_before_differs_by_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job.open(ROOT / "params.yaml", tmp_path / "state", (*FEW, ONE_STEP))
    with job.state.writing():
        prepare(job)
        save_receipt(job.receipt("one").model_copy(update={"stage": "two"}), job.state)
        found = measure(job, ("one", "two"))
    for name in ("cases", "success", "edit_psnr"):
        assert found[f"two/overall/{name}"] == found[f"one/overall/{name}"]
    assert found["one/overall/cases"] == found["one/pictures/cases"] == 3 and "one/clips/cases" not in found
    assert [found[f"two/overall/{score}/more"] for score in COMPARED[:3]] == [0, 0, 0]
    # The command writes the same figures, with what they are of.
    result = tmp_path / "stages.json"
    told = ["--state", str(job.state.root), "--pictures", "3", "--clips", "0", "--result", str(result)]
    monkeypatch.setattr(sys, "argv", ["stages", *told, "--set", FEW[2], "--set", ONE_STEP])
    stages.main()
    record = json.loads(result.read_text())
    assert record["figures"] == found and record["params"]["editors"].keys() == {"one", "two"}


def test_a_state_without_stages_and_the_checkout_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for state, why in ((tmp_path, "no stage was trained under"), (ROOT, "give it a state of its own")):
        monkeypatch.setattr(sys, "argv", ["stages", "--state", str(state)])
        with pytest.raises(SystemExit):
            stages.main()
        assert why in capsys.readouterr().err
