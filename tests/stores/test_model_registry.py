"""Tracking and registry on real MLflow databases."""

import multiprocessing
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from stores.feature_store import FeatureStore
from stores.model_registry.models import EDIT_SIGNATURE, ModelFiles, ModelRegistry
from stores.model_registry.tracking import Tracking, lineage_tags
from stores.receipts import ModelReceipt, Receipt, ReceiptError, TableReceipt
from stores.schema import CLIPS
from stores.state import State


def open_database(root: Path, together: Barrier) -> None:
    together.wait(120)
    Tracking(State.at(root)).experiment("features")


@pytest.fixture(scope="module")
def first_users(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tracking, int | None]:
    """A database that two processes made at the same moment, and how the other one ended."""
    root = tmp_path_factory.mktemp("state root of \u00fcbung #1")
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    other = context.Process(target=open_database, args=(root, together))
    other.start()
    open_database(root, together)
    other.join(120)
    return Tracking(State.at(root)), other.exitcode


@pytest.fixture(scope="module")
def tracking(first_users: tuple[Tracking, int | None]) -> Tracking:
    return first_users[0]


def registered(tracking: Tracking, folder: Path, digest: str) -> ModelReceipt:
    weights = folder / "editor.safetensors"
    weights.write_bytes(b"weights")
    files = ModelFiles({"editor": weights}, "json:dumps", EDIT_SIGNATURE, "# card")
    with tracking.run("stage-one", "one", digest, {}) as run:
        return ModelRegistry(tracking).register(run, "editor", digest, files, {"pairs": "p"})


def test_a_run_is_continued_under_the_same_key(tracking: Tracking) -> None:
    with tracking.run("features", "clips", "a" * 32, {"x": {"y": 1}}) as first:
        first.metrics({"rows": 3, "unknown": None, "word": "no"})
    with tracking.run("features", "clips", "a" * 32, {"x": {"y": 1}}) as second:
        second.tags({"k": "v"})
    assert first.run_id == second.run_id
    run = tracking.client.get_run(first.run_id)
    assert (run.info.run_name, run.info.status) == ("clips-aaaaaaaa", "FINISHED")
    assert (run.data.params, run.data.metrics) == ({"x.y": "1"}, {"rows": 3.0})


def test_a_run_that_raises_is_failed(tracking: Tracking) -> None:
    with pytest.raises(ZeroDivisionError), tracking.run("features", "clips", "b" * 32, {}) as run:
        raise ZeroDivisionError
    assert tracking.client.get_run(run.run_id).info.status == "FAILED"


def test_another_key_is_another_run_and_a_failed_one_is_taken_up_again(tracking: Tracking) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.run("features", "clips", "9" * 32, {"x": 1}) as first:
        raise KeyboardInterrupt
    assert tracking.client.get_run(first.run_id).info.status == "FAILED"
    with tracking.run("features", "clips", "9" * 32, {"x": 1}) as second:
        assert tracking.client.get_run(second.run_id).info.status == "RUNNING"
    with tracking.run("features", "clips", "7" * 32, {"x": 2}) as other:
        pass
    assert first.run_id == second.run_id != other.run_id
    assert tracking.client.get_run(second.run_id).info.status == "FINISHED"


def test_many_and_long_parameters_are_logged(tracking: Tracking) -> None:
    with tracking.run("features", "clips", "6" * 32, {f"p{i}": "x" * 7000 for i in range(250)}) as run:
        pass
    logged = tracking.client.get_run(run.run_id).data.params
    assert len(logged) == 250 and set(logged.values()) == {"x" * 6000}


def test_lineage_tags_state_what_was_made_and_from_what() -> None:
    table = TableReceipt(folder="clips", table="clips", rows=1, digest="t", columns={})
    models = {"editor": ModelReceipt(name="editor", digest="m")}
    receipt = Receipt(stage="one", tables={"clips": table}, models=models, parents={"pairs": "p"})
    assert lineage_tags(receipt) == {"table.clips": "t", "model.editor": "m", "parent.pairs": "p"}


def test_an_input_is_recorded_and_read_back_as_its_rows(tracking: Tracking) -> None:
    store = FeatureStore(tracking.state.store, "clips")
    store.upsert(CLIPS, [{"id": "a", "caption": "one"}])
    receipt = store.publish(CLIPS)
    with tracking.run("features", "clips", "c" * 32, {}) as run:
        run.input(receipt, "training")
    dataset = tracking.client.get_run(run.run_id).inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("clips/clips", receipt.digest[:8])
    assert mlflow.data.get_source(dataset).load()["caption"].to_pylist() == ["one"]


def test_pictures_tables_and_texts_are_kept(tracking: Tracking) -> None:
    with tracking.run("features", "clips", "d" * 32, {}) as run:
        run.image(np.zeros((4, 4, 3), dtype=np.uint8), "preview", 3)
        run.table(pd.DataFrame({"a": [1]}), "rows.json")
        run.text("told", "note.md")
    kept = {entry.path for entry in tracking.client.list_artifacts(run.run_id)}
    assert {"images", "rows.json", "note.md"} <= kept


def test_equal_content_is_registered_once_and_found_by_digest(tracking: Tracking, tmp_path: Path) -> None:
    first, second = (registered(tracking, tmp_path, "e" * 32) for _ in range(2))
    assert first == second
    found = ModelRegistry(tracking).fetch(first)
    versions = tracking.client.search_model_versions(f"name = 'editor' and tags.digest = '{first.digest}'")
    assert len(versions) == 1
    assert (found.folder / "editor.safetensors").read_bytes() == b"weights"
    assert found.tags["pairs"] == "p"


def test_nothing_in_a_registered_model_is_pickled(tracking: Tracking, tmp_path: Path) -> None:
    found = ModelRegistry(tracking).fetch(registered(tracking, tmp_path, "f" * 32))
    names = [path.name for path in found.folder.parent.rglob("*") if path.is_file()]
    assert "MLmodel" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".ckpt"))]


def test_aliases_move_and_numbers_open(tracking: Tracking, tmp_path: Path) -> None:
    registry = ModelRegistry(tracking)
    receipts = [registered(tracking, tmp_path, digit * 32) for digit in "12"]
    for receipt in receipts:
        registry.promote(receipt, "champion")
    champion = registry.fetch_alias("editor", "champion")
    assert champion is not None and champion.digest == receipts[1].digest
    by_number = registry.fetch_alias("editor", champion.version)
    assert by_number is not None and by_number.digest == champion.digest
    assert registry.fetch_alias("editor", "nobody") is None
    assert registry.fetch_alias("editor", "99") is None
    assert registry.fetch_alias("nothing", "champion") is None


def test_what_a_gate_found_is_added_to_the_version(tracking: Tracking, tmp_path: Path) -> None:
    registry, receipt = ModelRegistry(tracking), registered(tracking, tmp_path, "5" * 32)
    registry.annotate(receipt, {"gate": "passed"})
    assert registry.fetch(receipt).tags["gate"] == "passed"
    assert registry.fetch(receipt).tags["pairs"] == "p"


def test_unknown_content_names_the_stage(tracking: Tracking) -> None:
    with pytest.raises(ReceiptError, match="rerun stage"):
        ModelRegistry(tracking).fetch(ModelReceipt(name="editor", digest="0" * 32))


def test_a_moved_checkout_is_told_with_its_cure_whatever_is_asked_of_it(tracking: Tracking, tmp_path: Path) -> None:
    shutil.copytree(tracking.state.root, tmp_path / "moved")
    with pytest.raises(ReceiptError, match="move it back, or delete the folder `mlflow` and rerun"):
        ModelRegistry(Tracking(State.at(tmp_path / "moved"))).fetch_alias("editor", "champion")


def test_an_experiment_that_somebody_else_keeps_elsewhere_is_no_move(tmp_path: Path, tracking: Tracking) -> None:
    tracking.client.create_experiment("theirs", artifact_location=tmp_path.as_uri())
    assert Tracking(tracking.state).experiment("features") == tracking.experiment("features")


def test_two_first_users_at_once_both_succeed_and_share_the_experiment(
    first_users: tuple[Tracking, int | None],
) -> None:
    tracking, exitcode = first_users
    assert exitcode == 0
    names = [experiment.name for experiment in tracking.client.search_experiments()]
    assert names.count("features") == 1
