"""Receipts, witnesses and the lock of a state root."""

import json
import multiprocessing
import signal
from contextlib import AbstractContextManager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from stores.receipts import (
    ModelReceipt,
    Receipt,
    ReceiptError,
    TableReceipt,
    load_receipt,
    receipt_path,
    save_receipt,
    witness_path,
)
from stores.state import State, StateBusyError

TABLE = TableReceipt(folder="pairs-one", table="edit_pairs", rows=3, digest="d", columns={"id": "string"})


def made_table() -> Receipt:
    return Receipt(stage="pairs-one", tables={"edit_pairs": TABLE}, parents={"clips": "c"}, figures={"rows": 3})


def made_model() -> Receipt:
    return Receipt(stage="one", models={"editor": ModelReceipt(name="editor", digest="m")}, figures={"loss": 0.1})


@pytest.mark.parametrize("receipt", [made_table(), made_model()])
def test_a_receipt_comes_back_and_its_witness_has_equal_bytes(tmp_path: Path, receipt: Receipt) -> None:
    state = State.at(tmp_path)
    save_receipt(receipt, state)
    assert load_receipt(state, receipt.stage) == receipt
    assert witness_path(state, receipt).read_bytes() == (state.receipts / f"{receipt.stage}.json").read_bytes()
    assert not list(tmp_path.rglob("*.partial"))


def test_equal_content_gives_equal_bytes_whatever_the_order_of_keys(tmp_path: Path) -> None:
    figures = {"rows": 3, "share": 0.5, "kind": "all", "none": None}
    one = made_table().model_copy(update={"figures": figures, "parents": {"a": "1", "b": "2"}})
    other = one.model_copy(update={"figures": dict(reversed(figures.items())), "parents": {"b": "2", "a": "1"}})
    assert one.text() == other.text()
    assert json.loads(one.text())["figures"] == figures


def test_a_receipt_states_no_time_and_no_version_of_the_store() -> None:
    told = json.loads(made_table().text())
    assert told.keys() == {"stage", "tables", "models", "parents", "figures"}
    assert told["tables"]["edit_pairs"].keys() == {"folder", "table", "rows", "digest", "columns"}


def test_tables_have_their_witness_in_the_store_and_models_beside_the_registry(tmp_path: Path) -> None:
    state = State.at(tmp_path)
    assert witness_path(state, made_table()) == state.store / "pairs-one" / "READY.json"
    assert witness_path(state, made_model()) == state.mlflow / "ready" / "one.json"


def test_the_witness_is_written_last(tmp_path: Path) -> None:
    state = State.at(tmp_path)
    witness_path(state, made_model()).mkdir(parents=True)  # nothing can be written in its place
    with pytest.raises(OSError):
        save_receipt(made_model(), state)
    assert load_receipt(state, "one") == made_model()


def test_a_receipt_is_replaced_whole(tmp_path: Path) -> None:
    state = State.at(tmp_path)
    for figures in ({"a": "long " * 100}, {"b": 1}):
        save_receipt(made_model().model_copy(update={"figures": figures}), state)
    assert load_receipt(state, "one").figures == {"b": 1}


def test_a_missing_receipt_names_its_stage(tmp_path: Path) -> None:
    with pytest.raises(ReceiptError, match="run stage 'one' first"):
        load_receipt(State.at(tmp_path), "one")


@pytest.mark.parametrize("text", ["{", "", "[]", '{"stage": "one", "surprise": 1}', '{"tables": {}}'])
def test_a_damaged_receipt_names_its_stage(tmp_path: Path, text: str) -> None:
    state = State.at(tmp_path)
    state.receipts.mkdir()
    receipt_path(state, "one").write_text(text)
    with pytest.raises(ReceiptError, match="rerun stage 'one'"):
        load_receipt(state, "one")


def test_a_receipt_without_what_is_asked_says_so() -> None:
    assert made_table().table("edit_pairs") == TABLE
    assert made_model().model("editor").digest == "m"
    with pytest.raises(ReceiptError, match="'one' has no table 'clips'"):
        made_model().table("clips")
    with pytest.raises(ReceiptError, match="'pairs-one' has no model 'editor'"):
        made_table().model("editor")


def hold(root: Path, held: Event, done: Event) -> None:
    with State.at(root).writing():
        held.set()
        done.wait(60)


@pytest.mark.parametrize("ending", ["released", "killed"])
def test_a_second_writer_is_told_and_comes_in_once_the_first_has_ended(tmp_path: Path, ending: str) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, done))
    other.start()
    assert held.wait(60)
    with pytest.raises(StateBusyError, match=r"another pipeline is writing under .*--state"), _writing(tmp_path):
        pass
    other.kill() if ending == "killed" else done.set()  # an event would wait for a killed listener for ever
    other.join(60)
    assert other.exitcode == (-signal.SIGKILL if ending == "killed" else 0)
    with _writing(tmp_path):
        assert (tmp_path / "store").is_dir()


def test_the_lock_holds_within_a_process_and_is_released_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), _writing(tmp_path):
        with pytest.raises(StateBusyError), _writing(tmp_path):
            pass
        with _writing(tmp_path / "another root"):
            raise ZeroDivisionError
    with _writing(tmp_path):
        pass


def test_everything_written_lies_under_the_root(tmp_path: Path) -> None:
    state = State.at(tmp_path / "a" / ".." / "b")
    folders = (state.store, state.mlflow, state.receipts, state.metrics, state.outputs, state.checkpoints)
    assert {folder.parent for folder in folders} == {tmp_path / "b"}
    assert len(set(folders)) == len(folders)


def _writing(root: Path) -> AbstractContextManager[None]:
    return State.at(root).writing()
