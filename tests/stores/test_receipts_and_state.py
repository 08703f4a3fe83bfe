"""Receipts, witnesses and the lock of a state root."""

import multiprocessing
from pathlib import Path

import pytest

from stores.receipts import ModelReceipt, Receipt, ReceiptError, TableReceipt, load_receipt, save_receipt, witness_path
from stores.state import State, StateBusyError

TABLE = TableReceipt(folder="pairs-one", table="edit_pairs", rows=3, digest="d", columns={"id": "string"})


def made_table() -> Receipt:
    return Receipt(stage="pairs-one", tables={"edit_pairs": TABLE}, parents={"clips": "c"}, figures={"rows": 3})


def made_model() -> Receipt:
    return Receipt(stage="one", models={"editor": ModelReceipt(name="editor", digest="m")})


@pytest.mark.parametrize("receipt", [made_table(), made_model()])
def test_a_receipt_comes_back_and_its_witness_has_equal_bytes(tmp_path: Path, receipt: Receipt) -> None:
    state = State.at(tmp_path)
    save_receipt(receipt, state)
    assert load_receipt(state, receipt.stage) == receipt
    assert witness_path(state, receipt).read_bytes() == (state.receipts / f"{receipt.stage}.json").read_bytes()


def test_tables_have_their_witness_in_the_store_and_models_beside_the_registry(tmp_path: Path) -> None:
    state = State.at(tmp_path)
    assert witness_path(state, made_table()) == state.store / "pairs-one" / "READY.json"
    assert witness_path(state, made_model()) == state.mlflow / "ready" / "one.json"


def test_a_missing_or_damaged_receipt_names_its_stage(tmp_path: Path) -> None:
    state = State.at(tmp_path)
    with pytest.raises(ReceiptError, match="run stage 'one' first"):
        load_receipt(state, "one")
    state.receipts.mkdir()
    (state.receipts / "one.json").write_text("{")
    with pytest.raises(ReceiptError, match="rerun stage 'one'"):
        load_receipt(state, "one")


def test_a_receipt_without_what_is_asked_says_so() -> None:
    with pytest.raises(ReceiptError, match="has no table 'clips'"):
        made_model().table("clips")
    with pytest.raises(ReceiptError, match="has no model 'editor'"):
        made_table().model("editor")


def hold(root: Path, held: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with State.at(root).writing():
        held.set()
        done.wait(30)


def test_a_second_writer_is_told_and_comes_in_afterwards(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, done))
    other.start()
    assert held.wait(30)
    with pytest.raises(StateBusyError, match="another pipeline is writing"), State.at(tmp_path).writing():
        pass
    done.set()
    other.join()
    with State.at(tmp_path).writing():
        assert (tmp_path / "store").is_dir()
