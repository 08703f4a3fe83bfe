"""An edit is followed back through a store and a registry made by hand."""

from pathlib import Path
from typing import Any

import pytest

from stores.feature_store import FeatureStore
from stores.lineage import SHOWN_CLIPS, Node, trace
from stores.model_registry.models import EDIT_SIGNATURE, ModelFiles, ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import ReceiptError
from stores.schema import CLIPS, EDIT_PAIRS, EDITS
from stores.state import State

EDITOR, BASE = "e" * 32, "b" * 32


def clips(count: int) -> list[dict[str, Any]]:
    told = {"licence": "CC0-1.0", "caption": "a clip"}
    return [
        {"id": f"clip-{i}", "source_uri": f"data/{i}.mp4", "source_sha256": f"sha-{i}", **told} for i in range(count)
    ]


def edit(key: str, **changes: Any) -> dict[str, Any]:
    row = {"id": key, "instruction": "add an owl", "status": "ok", "output_uri": f"{key}.mp4", "clip_ids": ["clip-1"]}
    return {**row, "model": "editor", "model_digest": EDITOR, **changes}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """Eight clips, pairs of six of them, a base, an editor trained from both, three edits."""
    state = State.at(tmp_path_factory.mktemp("state"))
    FeatureStore(state.store, "clips").upsert(CLIPS, clips(8))
    store = FeatureStore(state.store, "pairs-one")
    store.upsert(EDIT_PAIRS, [{"id": f"p{i}", "clip_ids": [f"clip-{i}"], "maker": "composer"} for i in range(6)])
    pairs = store.publish(EDIT_PAIRS).digest
    store.upsert(EDIT_PAIRS, [{"id": "later", "clip_ids": ["clip-7"], "maker": "somebody"}])  # after the training
    tracking = Tracking(state)
    weights = state.root / "weights.safetensors"
    weights.write_bytes(b"weights")
    files = ModelFiles({"weights": weights}, "json:dumps", EDIT_SIGNATURE, "# card")
    models = (("base", BASE, {"stage": "adopt"}), ("editor", EDITOR, {"stage": "one", "pairs": pairs, "start": BASE}))
    for name, digest, tags in models:
        with tracking.run("stage-one", name, digest, {}) as run:
            ModelRegistry(tracking).register(run, name, digest, files, {**tags, "text_encoder": "minilm"})
    FeatureStore(state.store, "edits-one").upsert(EDITS, [edit("one-1"), edit("one-2", model_digest="0" * 32)])
    FeatureStore(state.store, "user").upsert(
        EDITS, [edit("user-1", clip_uri="mine.mp4", clip_sha256="abc", clip_ids=None)]
    )
    return state


def names(node: Node, kind: str) -> list[str]:
    return [found.name for found in node.find(kind)]


def test_an_edit_leads_to_its_model_the_models_before_it_their_pairs_and_raw_files(state: State) -> None:
    node = trace(state, "one-1")
    assert names(node, "edit") == ["edits-one/one-1"]
    assert names(node, "model") == ["editor version 1", "base version 1"]
    assert names(node, "table") == ["pairs-one/edit_pairs"]
    assert names(node, "text_encoder") == ["minilm", "minilm"]
    of_pairs, of_the_edit = [f"data/{i}.mp4" for i in range(SHOWN_CLIPS)], ["data/1.mp4"]
    assert names(node, "file") == of_pairs + of_the_edit
    assert "and 1 more" in names(node, "clip")


def test_the_pairs_are_those_the_model_saw_not_those_written_since(state: State) -> None:
    table = next(trace(state, "one-1").find("table"))
    assert "rows: 6" in table.facts and "makers: composer" in table.facts


def test_a_file_knows_its_digest_and_licence(state: State) -> None:
    file = list(trace(state, "one-1").find("file"))[-1]
    assert file.facts == ("sha256: sha-1", "CC0-1.0")


def test_a_users_edit_leads_to_the_users_file(state: State) -> None:
    node = trace(state, "user")
    assert [(file.name, file.facts) for file in node.made_from if file.kind == "file"] == [
        ("mine.mp4", ("sha256: abc",))
    ]


def test_a_model_that_is_gone_is_said_to_be(state: State) -> None:
    model = next(trace(state, "one-2").find("model"))
    assert model.facts == ("not in this registry",) and not model.made_from


def test_the_text_is_an_indented_tree(state: State) -> None:
    lines = trace(state, "one-1").text().splitlines()
    assert lines[0] == "edit: edits-one/one-1"
    assert "    instruction: add an owl" in lines
    assert "  model: editor version 1" in lines and "    model: base version 1" in lines


@pytest.mark.parametrize(("beginning", "count"), [("nobody", 0), ("one-", 2)])
def test_an_edit_that_is_not_found_or_not_told_apart_is_refused(state: State, beginning: str, count: int) -> None:
    with pytest.raises(ReceiptError, match=f"{count} edits begin with '{beginning}'; give more of the id"):
        trace(state, beginning)


def test_a_root_without_edits_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReceiptError, match="0 edits"):
        trace(State.at(tmp_path), "a")


def test_what_a_thing_was_made_from_is_told_once() -> None:
    """A later stage comes from an earlier one and from that one's edits: its tree holds the earlier one twice."""
    one = Node("model", "editor version 1", ("digest: a",), (Node("table", "pairs-one"),))
    tree = Node("model", "editor version 2", (), (Node("table", "pairs-two", (), (one,)), one))
    assert tree.text().splitlines() == [
        "model: editor version 2",
        "  table: pairs-two",
        "    model: editor version 1",
        "        digest: a",
        "      table: pairs-one",
        "  model: editor version 1, as above",
    ]
