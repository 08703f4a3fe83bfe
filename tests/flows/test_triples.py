"""A user's triples through the stage that makes pairs, and into training."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from features.listings import RawDataError
from flows.features import build_pairs
from flows.job import Job
from flows.steps import PlainSteps
from stores.feature_store import FeatureStore
from stores.lineage import trace
from stores.receipts import Receipt, save_receipt
from stores.schema import EDIT_PAIRS, EDITS, QUARANTINE, TRIPLES
from tests.features.triples_corpus import row, write_corpus, write_lines
from tests.training import runs
from tests.world import World, build_world, tiny_params, without_mlflow_advice
from training.data import PairTable, StepLoader
from training.params import GroupParams

NO_EDITS = "features.pairs.one.image_edit=0"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    built = build_world(tmp_path_factory.mktemp("triples"))
    save_receipt(built.clips, built.state)
    return built


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A table with all that can be wrong, one of good triples on both sides, and one of training triples alone."""
    folder = tmp_path_factory.mktemp("tables")
    write_corpus(folder / "corpus")
    rows = [row(seed, folder, split="test" if seed > 26 else "train") for seed in range(20, 30)]
    return {
        "corpus": folder / "corpus" / "edits.jsonl",
        "good": write_lines(folder / "good.jsonl", rows),
        "train": write_lines(folder / "train.jsonl", rows[:3]),
    }


def _built(world: World, *overrides: str) -> Receipt:
    with without_mlflow_advice():
        return build_pairs(Job(tiny_params(*overrides), world.state), PlainSteps(), "one", world.adopted)


def _own(*paths: Path) -> str:
    return f"features.sources.triples=[{', '.join(map(str, paths))}]"


def _makers(world: World, receipt: Receipt) -> Counter[str]:
    pairs = FeatureStore(world.state.store, "pairs-one").open(receipt.table(EDIT_PAIRS.name))
    return Counter(pairs.rows(["maker"])["maker"].to_pylist())


def test_imported_and_composed_pairs_are_one_table_and_leave_without_a_trace(
    world: World, tables: dict[str, Path]
) -> None:
    store = FeatureStore(world.state.store, "pairs-one")
    before = _built(world)
    assert set(before.tables) == {"edit_pairs", "constants"} and set(before.figures) == {"rows", "planned"}
    receipt = _built(world, _own(tables["corpus"], tables["good"]))
    offered = len(tables["corpus"].read_bytes().splitlines()) - 1 + 10
    assert receipt.figures["imported"] + receipt.figures["rejected"] == offered and receipt.figures["imported"] == 17
    assert _makers(world, receipt) == {"composer": before.figures["rows"], "imported": 17}
    assert receipt.figures["rows"] == receipt.figures["planned"] == before.figures["rows"] + 17
    assert receipt.table("constants") == before.table("constants")
    assert len(set(store.draft(QUARANTINE)["row"].to_pylist())) == receipt.figures["rejected"]
    assert receipt.table(TRIPLES.name).rows == 17
    assert _built(world, _own(tables["corpus"], tables["good"])) == receipt
    assert _built(world) == before
    assert not store.ids(QUARANTINE) and not store.ids(TRIPLES)


def test_imported_rows_are_drawn_like_composed_ones(world: World, tables: dict[str, Path]) -> None:
    receipt = _built(world, _own(tables["good"]))
    store = FeatureStore(world.state.store, "pairs-one")
    opened = [store.open(receipt.table(name)) for name in ("edit_pairs", "constants")]
    widths = [len(opened[1].rows(where="kind = 'null_text'").to_pylist()[0]["text_states"][0]) // 4]
    table = PairTable(*opened, widths, world.state.packed)
    train = table.ids("image_edit", "train")
    loader = StepLoader(table, {"image_edit": GroupParams(weight=1, batch=len(train))}, 1, seed=0)
    makers = dict(zip(*(opened[0].rows(["id", "maker"])[name].to_pylist() for name in ("id", "maker")), strict=True))
    assert Counter(makers[key] for key in train) == {"composer": 20, "imported": 7}
    assert len(loader.at(0)) == 27 and len(set(loader._rows["image_edit"].batch(0, 27))) == 27


def test_a_user_with_triples_alone_can_train(world: World, tables: dict[str, Path]) -> None:
    receipt = _built(world, _own(tables["good"]), NO_EDITS)
    assert _makers(world, receipt)["imported"] == 10
    steps = ("training.stages.one.steps=2",)
    trained = runs.train(replace(world, pairs=receipt), runs.spec(replace(world, pairs=receipt), *steps))
    digest = trained.model("editor").digest
    FeatureStore(world.state.store, "user").upsert(EDITS, [{"id": "e", "model": "editor", "model_digest": digest}])
    files = {node.name for triple in trace(world.state, "e").find("triple") for node in triple.find("file")}
    assert len(files) == 10 and all(name.endswith(".png") for name in files), "five triples are shown"


def test_triples_alone_with_none_held_out_are_refused(world: World, tables: dict[str, Path]) -> None:
    with pytest.raises(RawDataError, match="no usable triple that is held out"):
        _built(world, _own(tables["train"]), NO_EDITS)


def test_a_table_that_is_not_there_is_told_before_anything_is_composed(world: World, tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=r"nowhere.jsonl: no such table of triples"):
        _built(world, _own(tmp_path / "nowhere.jsonl"), "seed=77")
