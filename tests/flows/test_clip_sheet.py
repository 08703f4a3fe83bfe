"""Unpicked clips of a finished chain, as a picture and as clips that play in the tracking UI."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.cases import AS_ASKED, request_name
from flows import clip_sheet
from flows.clip_sheet import log, shown_clips
from flows.evaluate import EXPERIMENT, edits_by_name
from flows.stages import STAGES
from stores.clip_files import read_clip
from stores.model_registry.tracking import Tracking
from stores.receipts import ReceiptError
from stores.schema import CASES
from tests.flows.checkout import Made


def test_clips_are_the_first_cases_with_the_edits_and_the_verdicts_of_the_evaluation(made: Made) -> None:
    job = made.checkout.job()
    clips = shown_clips(job, STAGES, 40)
    cases = job.folder("cases").open(job.receipt("cases").table(CASES.name)).rows().to_pylist()
    moving = [case for case in cases if case["kind"] != "picture"]
    assert [clip.instruction for clip in clips] == [case["instruction"] for case in moving] and len(clips) > 1
    assert [clip.instruction for clip in shown_clips(job, STAGES, 1)] == [moving[0]["instruction"]]
    for stage in STAGES:
        edits = edits_by_name(job, stage)
        for clip, case in zip(clips, moving, strict=True):
            assert np.array_equal(clip.edits[stage], edits[request_name(AS_ASKED, case["id"])])
        overall = json.loads((job.state.metrics / "evaluation.json").read_text())["systems"][stage]["clips"]
        assert overall["success_plain"] == pytest.approx(np.mean([clip.passed[stage] for clip in clips]))


def test_every_clip_plays_in_the_tracking_ui(made: Made, tmp_path: Path) -> None:
    job = made.checkout.job()
    clips = shown_clips(job, STAGES, 2)
    sheet = tmp_path / "clips.jpg"
    Image.new("RGB", (8, 8)).save(sheet)
    assert log(job, STAGES, clips, sheet) == log(job, STAGES, clips, sheet), "the same run"
    tracking = Tracking(job.state)
    runs = tracking.client.search_runs([tracking.experiment(EXPERIMENT)], "tags.`moviegen.stage` = 'clips'")
    assert len(runs) == 1 and clips[0].text in runs[0].data.tags["mlflow.note.content"]
    files = sorted(item.path for item in tracking.client.list_artifacts(runs[0].info.run_id, "clips"))
    assert len(files) == 2
    local = Path(tracking.client.download_artifacts(runs[0].info.run_id, files[0], str(tmp_path)))
    shown = read_clip(local, job.limits).frames
    length, height, width, _ = clips[0].source.shape
    assert shown.shape == (length, height, 5 * width, 3)


def test_a_chain_that_has_not_come_so_far_is_told(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReceiptError):
        shown_clips(made.checkout.job(state=str(tmp_path / "nowhere")), STAGES, 1)
    monkeypatch.setattr(sys, "argv", ["clip_sheet", "--state", str(tmp_path), "--output", str(tmp_path / "clips.jpg")])
    with pytest.raises(SystemExit, match=r"no held-out clips were edited under .*: run `make demo` there first"):
        clip_sheet.main()
    assert not (tmp_path / "clips.jpg").exists()
