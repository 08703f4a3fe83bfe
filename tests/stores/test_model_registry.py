"""Tracking and registry on real MLflow databases."""

import multiprocessing
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from stores.feature_store import FeatureStore
from stores.model_registry.models import EDIT_SIGNATURE, ModelFiles, ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import ModelReceipt, ReceiptError
from stores.schema import CLIPS
from stores.state import State


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    return Tracking(State.at(tmp_path_factory.mktemp("state")))


def registered(tracking: Tracking, folder: Path, digest: str) -> ModelReceipt:
    weights = folder / "editor.safetensors"
    weights.write_bytes(b"weights")
    files = ModelFiles({"editor": weights}, "json:dumps", EDIT_SIGNATURE, "# card")
    with tracking.run("stage-one", "one", digest, {}) as run:
        return ModelRegistry(tracking).register(run, "editor", digest, files, {"pairs": "p"})


def open_database(root: Path) -> None:
    Tracking(State.at(root)).experiment("features")


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


def test_unknown_content_names_the_stage(tracking: Tracking) -> None:
    with pytest.raises(ReceiptError, match="rerun stage"):
        ModelRegistry(tracking).fetch(ModelReceipt(name="editor", digest="0" * 32))


def test_a_moved_checkout_is_told_with_its_cure(tracking: Tracking, tmp_path: Path) -> None:
    tracking.experiment("features")
    shutil.copytree(tracking.state.root, tmp_path / "moved")
    with pytest.raises(ReceiptError, match="delete the folder `mlflow` and rerun"):
        Tracking(State.at(tmp_path / "moved")).experiment("features")


def test_two_first_users_at_once_both_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    users = [context.Process(target=open_database, args=(tmp_path,)) for _ in range(2)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert [user.exitcode for user in users] == [0, 0]
