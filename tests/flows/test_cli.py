"""The command `moviegen-edit`, on real pictures and clips with a tiny trained editor."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows import training
from flows.cli import app
from stores.clip_files import probe, read_clip
from stores.feature_store import FeatureStore
from stores.schema import EDITS
from tests.flows.checkout import Made
from tests.media import WIDE
from tests.world import ROOT

Run = Callable[..., Result]
CLIP, PICTURE = "clips/bbb_00.mp4", "samples/explore_farm_animals-owl.jpg"


@pytest.fixture(scope="module")
def run(made: Made) -> Run:
    """The command on the tiny world's state."""
    params = made.checkout.root / "params.yaml"

    def invoke(command: str, *told: object) -> Result:
        where = ["--state", str(made.checkout.root)]
        where += ["--params", str(params)] if command != "lineage" else []
        return CliRunner().invoke(app, [command, *map(str, told), *where])

    return invoke


@pytest.fixture(scope="module")
def data(made: Made) -> Path:
    return made.checkout.root / "data"


def refused(result: Result) -> str:
    """The one line that a refused command says."""
    assert result.exit_code == 1, (result.output, result.exception)
    (line,) = result.stderr.splitlines()
    assert line.startswith("moviegen-edit: ") and "Traceback" not in result.output
    return line


def test_a_clip_comes_back_with_its_length_rate_and_size(run: Run, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "edit.mp4"
    result = run("edit", data / CLIP, "add a small red apple on the left", "-o", output, "--num-inference-steps", 1)
    assert result.exit_code == 0, result.output
    before, after = probe(data / CLIP, WIDE), probe(output, WIDE)
    assert (after.frames, after.fps, after.width, after.height) == (96, before.fps, 640, 360)
    assert "96 frames, 640x360, task " in result.stdout
    assert "editor version 1 (gate: shipped" in result.stdout  # the gate refused the one that was trained here


def test_a_picture_comes_back_edited_and_the_seed_decides(run: Run, data: Path, tmp_path: Path) -> None:
    told = {"a": ("--seed", 3), "b": ("--seed", 3), "c": ("--seed", 4)}
    made = {}
    for name, extra in told.items():
        output = tmp_path / f"{name}.png"
        result = run("edit", data / PICTURE, "make it dark as at night", "-o", output, "--task", "global", *extra)
        assert result.exit_code == 0, result.output
        made[name] = read_clip(output, WIDE).frames
    source = read_clip(data / PICTURE, WIDE).frames
    assert made["a"].shape == source.shape and not np.array_equal(made["a"], source)
    assert np.array_equal(made["a"], made["b"]) and not np.array_equal(made["a"], made["c"])


def test_the_output_lies_beside_the_clip_and_the_source_is_left_alone(run: Run, data: Path, tmp_path: Path) -> None:
    clip = tmp_path / "my picture.jpg"
    clip.write_bytes((data / PICTURE).read_bytes())
    result = run("edit", clip, "remove the owl", "--model", "editor@candidate")
    assert result.exit_code == 0, result.output
    assert clip.read_bytes() == (data / PICTURE).read_bytes()
    (output,) = (path for path in tmp_path.iterdir() if path != clip)
    assert str(output) in result.stdout and "editor version 4 (gate: success is" in result.stdout


def test_an_edit_of_the_versioned_data_lies_among_the_outputs(run: Run, made: Made) -> None:
    versioned = ROOT / "data"
    before = sorted(versioned.rglob("*"))
    result = run("edit", versioned / PICTURE, "make it red", "--num-inference-steps", 1)
    assert result.exit_code == 0, result.output
    output = made.checkout.root / "outputs" / "explore_farm_animals-owl-edited.png"
    assert output.is_file() and str(output) in result.stdout and sorted(versioned.rglob("*")) == before
    output.unlink()


@pytest.mark.parametrize(
    "clip, instruction, extra, reason",
    [
        ("none.mp4", "make it red", (), "no such file"),
        ("text.mp4", "make it red", (), "not a picture or video"),
        (PICTURE, "", (), "instruction is empty"),
        (PICTURE, "  \t", (), "instruction is empty"),
        (PICTURE, "make it red", ("--task", "paint"), "unknown task"),
        (PICTURE, "make it red", ("--model", "editor@nobody"), "no model editor@nobody"),
        (PICTURE, "make it red", ("--model", "nobody@candidate"), "no model nobody@candidate"),
        (PICTURE, "make it red", ("--guidance-scale", "nan"), "guidance_scale"),
        (PICTURE, "make it red", ("--seed", "-1"), "seed"),
        (PICTURE, "make it red", ("-o", "edit.xyz"), "xyz"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, data: Path, clip: str, instruction: str, extra: tuple[str, ...], reason: str
) -> None:
    (data / "text.mp4").write_text("this is a text\n" * 40)
    assert reason in refused(run("edit", data / clip, instruction, *extra))
    (data / "text.mp4").unlink()


def test_without_a_registry_the_shipped_editor_edits(data: Path, tmp_path: Path) -> None:
    told = ["edit", str(data / PICTURE), "make it red", "--num-inference-steps", "1"]
    told += ["--state", str(tmp_path / "empty"), "-o", str(tmp_path / "edit.png")]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 0 and "editor as shipped" in result.stdout, result.output
    assert not (tmp_path / "empty" / "mlflow").exists()


def test_a_state_without_models_says_how_to_get_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["edit", str(data / PICTURE), "make it red", "--state", str(tmp_path / "empty")]
    monkeypatch.setattr(training, "ROOT", tmp_path)  # a checkout without weights
    assert "make demo" in refused(CliRunner().invoke(app, told))
    bad = CliRunner().invoke(app, [*told, "--params", str(tmp_path / "none.yaml")])
    assert "no such parameter file" in refused(bad)


def test_usage_errors_exit_with_two(run: Run, data: Path) -> None:
    for extra in (("--model", "editor"), ("--num-inference-steps", "0"), ("--no-such-option",)):
        result = run("edit", data / PICTURE, "make it red", *extra)
        assert result.exit_code == 2 and "Traceback" not in result.output
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


def manifest(path: Path, *rows: tuple[object, str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "instruction"), *rows])
    return path


def test_a_batch_does_the_good_rows_and_reports_the_bad(run: Run, data: Path, made: Made, tmp_path: Path) -> None:
    good = ((data / CLIP, "add a star"), (data / PICTURE, "make it black and white"))
    listed = manifest(tmp_path / "list.csv", good[0], (data / "none.mp4", "make it red"), good[1], (data / PICTURE, ""))
    result = run("batch", listed, "-o", tmp_path / "out")
    assert result.exit_code == 1, result.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "2 edits, 2 not edited" in page and "no such file" in page and "instruction is empty" in page
    edits = sorted(path.suffix for path in (tmp_path / "out").iterdir() if path.suffix != ".html")
    assert edits == [".jpg", ".mp4"] or edits == [".mp4", ".png"]
    rows = FeatureStore(made.checkout.job().state.store, "user").draft(EDITS, ["status"])["status"].to_pylist()
    assert sorted(rows) == ["error", "error", "ok", "ok"]
    again = run("batch", listed, "-o", tmp_path / "out", "--model", f"editor@{training.SHIPPED_EDITOR}")
    assert again.exit_code == 1 and "0 edited, 2 were done already, 0 failed, 2 rows refused" in again.stdout
    well = run("batch", manifest(tmp_path / "list.csv", good[0]), "-o", tmp_path / "out")
    assert well.exit_code == 0 and "0 edited, 1 were done already, 0 failed, 0 rows refused" in well.stdout
    assert made.checkout.receipts() == made.receipts, "a user's edits alter nothing of the chain"


def test_a_bad_manifest_is_one_line(run: Run, tmp_path: Path) -> None:
    assert "no such file" in refused(run("batch", tmp_path / "none.csv"))
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    assert "clip" in refused(run("batch", tmp_path / "list.csv"))


def test_lineage_tells_model_tables_and_files(run: Run, made: Made) -> None:
    store = FeatureStore(made.checkout.job().state.store, "edits-one")
    edit = store.draft(EDITS, ["id"])["id"].to_pylist()[0]
    result = run("lineage", edit[:16])
    assert result.exit_code == 0, result.output
    for told in (
        f"edit: edits-one/{edit}",
        "model: editor version 1",
        "model: autoencoder version 1",
        "file: ",
        "sha256: ",
    ):
        assert told in result.stdout
    assert "0 edits begin with 'zzz'" in refused(run("lineage", "zzz"))
