"""A published benchmark from its layout to its scores, by the command, with the shipped editor at one sampling step."""

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from benchmarks import published
from benchmarks.published import read_scorers
from models.build import EDITOR
from models.scorers.protocol import ScorerError
from models.weights import load_bundle
from stores.clip_files import read_clip
from stores.clip_writer import encode_clip
from tests.media import WIDE, real_clips
from tests.scorer_models import save_scorer
from tests.world import ROOT

ROW = {
    "instruction": "add a red balloon on the left",
    "input_caption": "a dog left of tree",
    "output_caption": "a red balloon left of tree",
}
PHOTO = ROOT / "data" / "samples" / "explore_farm_animals-owl.jpg"


@pytest.fixture
def scorers(tmp_path: Path) -> Path:
    """The committed file with tiny models in the place of the published ones."""
    told = yaml.safe_load((ROOT / "benchmarks" / "published.yaml").read_text())
    folders = {kind: str(save_scorer(kind, tmp_path / kind)) for kind in ("clip", "xclip")}
    told["clips"]["source"], told["frames"]["source"] = folders["xclip"], folders["clip"]
    told["preference"] |= {"source": folders["clip"], "processor": folders["clip"]}
    path = tmp_path / "scorers.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


def _run(monkeypatch: pytest.MonkeyPatch, *told: object) -> int | str | None:
    """The command, and how it ends."""
    monkeypatch.setattr(sys, "argv", ["published", *map(str, told), "--set", "inference.num_inference_steps=1"])
    try:
        published.main()
    except SystemExit as end:
        return end.code
    return 0


def _tgve(folder: Path, *names: str) -> tuple[Path, Path]:
    media = folder / "tgve" / "DAVIS_480p" / "480p_videos"
    media.mkdir(parents=True)
    (media / "good.mp4").write_bytes(
        encode_clip(read_clip(real_clips()[3], WIDE, frames=12, stride=2).frames, Fraction(8))
    )
    (media / "broken.mp4").write_bytes(b"no video at all")
    tasks = ("add", "Local (object)", "add")
    rows = [{**ROW, "video": name, "task": task} for name, task in zip(names, tasks, strict=True)]
    table = folder / "train-00000-of-00001.parquet"
    pd.DataFrame(rows).to_parquet(table)
    return table, folder / "tgve"


def _scores(output: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    return pd.read_csv(output / "scores.csv", keep_default_na=True), json.loads((output / "scores.json").read_text())


def test_clips_are_edited_and_scored_and_no_row_is_lost(
    tmp_path: Path, scorers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, media = _tgve(tmp_path, "good", "broken", "nowhere")
    output = tmp_path / "out"
    told = ("tgve", table, "--media", media, "--output", output, "--scorers", scorers, "--state", tmp_path / "state")
    assert _run(monkeypatch, *told) == 1, "two rows have no scores"
    rows, record = _scores(output)
    assert list(rows["name"]) == ["00001-add", "00002-local_object", "00003-add"]
    assert list(rows["problem"].notna()) == [False, True, True] and "no such video" in rows["problem"][2]
    scored = rows.loc[0, ["l1", "direction", "agreement", "resemblance", "clip_frame", "pick_score"]]
    assert scored.notna().all() and 0 < scored["l1"] < 1
    figures = record["figures"]
    assert (figures["rows"], figures["scored"], figures["add/rows"], figures["local_object/rows"]) == (3, 1, 2, 1)
    assert figures["clip_frame"] == figures["add/clip_frame"] == pytest.approx(scored["clip_frame"], abs=1e-4)
    assert set(record["params"]["scorers"]) == {"clips", "frames", "preference"}
    shipped = load_bundle(ROOT / "weights" / "one.safetensors", EDITOR)
    assert record["params"]["model_digest"] == shipped.digest()
    assert '"clip_frame"' in capsys.readouterr().out
    # Run again, nothing that was edited is edited anew, and the scores are the same.
    (edit,) = output.glob("*.mp4")
    before = edit.stat().st_mtime_ns
    assert _run(monkeypatch, *told) == 1 and edit.stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(_scores(output)[0], rows)


def test_pictures_come_out_of_their_table(tmp_path: Path, scorers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, output = tmp_path / "test.parquet", tmp_path / "out"
    image = {"bytes": PHOTO.read_bytes(), "path": None}
    pd.DataFrame([{**ROW, "image": image, "task": "add", "split": "test", "idx": 0, "hash": "x"}]).to_parquet(table)
    told = ("emu-edit", table, "--output", output, "--state", tmp_path / "state")
    assert _run(monkeypatch, *told, "--scorers", scorers) == 0
    rows, record = _scores(output)
    assert rows.loc[0, ["l1", "direction", "agreement", "resemblance", "pick_score"]].notna().all()
    assert rows["clip_frame"].isna().all() and record["figures"]["scored"] == 1
    # Without scorers there is still the distance to the source.
    assert _run(monkeypatch, *told) == 0
    rows, record = _scores(output)
    assert rows.loc[0, "l1"] > 0 and rows["direction"].isna().all() and not record["params"]["scorers"]


def test_a_table_without_a_good_row_is_told_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, media = _tgve(tmp_path, "nowhere", "nowhere", "nowhere")
    output = tmp_path / "out"
    told = ("tgve", table, "--media", media, "--output", output, "--state", tmp_path / "state")
    assert _run(monkeypatch, *told) == 1
    rows, record = _scores(output)
    assert rows["problem"].str.contains("no such video").all() and record["figures"]["rows"] == 3


def test_bad_input_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    told = ("emu-edit", tmp_path / "nowhere.parquet", "--output", output, "--state", tmp_path / "state")
    assert "no table" in str(_run(monkeypatch, *told))
    assert _run(monkeypatch, "tgve", tmp_path, "--output", output) == 2, "without the folder of videos"
    assert not output.exists()


def test_scorers_are_checked_before_anything_is_edited(tmp_path: Path) -> None:
    committed = read_scorers(ROOT / "benchmarks" / "published.yaml")
    assert committed.clips and committed.frames and committed.preference
    assert read_scorers(None).clips is None
    bad = tmp_path / "bad.yaml"
    bad.write_text("clips: null\nframes: null\nsurprise: 1\n")
    with pytest.raises(ScorerError, match=r"preference: Field required.*surprise: Extra inputs"):
        read_scorers(bad)
    with pytest.raises(ScorerError, match="nowhere"):
        read_scorers(tmp_path / "nowhere.yaml")
