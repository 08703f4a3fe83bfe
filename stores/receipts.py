"""Receipts: the small files by which one stage hands its result to the next.

A receipt holds names, counts and content digests, never a time or a store's version number, so equal content gives
equal bytes. It is written twice: in `receipts/`, which git tracks, and as a witness inside the store, written last.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stores.state import State

Figure = int | float | str | None


class ReceiptError(RuntimeError):
    """A receipt that is missing or no longer finds its content; the message names the stage to rerun."""


class TableReceipt(BaseModel):
    """A published table version; `digest` is also its tag in the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    folder: str
    table: str
    rows: int
    digest: str
    columns: dict[str, str]


class ModelReceipt(BaseModel):
    """A registered model; `digest` is over its weights and is a tag of the registered version."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    digest: str


class Receipt(BaseModel):
    """What a stage made, from which digests (`parents`), with its headline figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    tables: dict[str, TableReceipt] = {}
    models: dict[str, ModelReceipt] = {}
    parents: dict[str, str] = {}
    figures: Mapping[str, Figure] = {}

    def table(self, name: str) -> TableReceipt:
        """The receipt of one table.

        Raises:
            ReceiptError: this stage made no such table.
        """
        if name not in self.tables:
            raise ReceiptError(f"the receipt of stage {self.stage!r} has no table {name!r}: rerun that stage")
        return self.tables[name]

    def model(self, name: str) -> ModelReceipt:
        """The receipt of one model.

        Raises:
            ReceiptError: this stage made no such model.
        """
        if name not in self.models:
            raise ReceiptError(f"the receipt of stage {self.stage!r} has no model {name!r}: rerun that stage")
        return self.models[name]

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=2, sort_keys=True) + "\n"


def receipt_path(state: State, stage: str) -> Path:
    """Where a stage's receipt lies."""
    return state.receipts / f"{stage}.json"


def witness_path(state: State, receipt: Receipt) -> Path:
    """Inside the store for stages that make tables, beside the MLflow database for those that make models."""
    if receipt.tables:
        folder = next(iter(receipt.tables.values())).folder
        return state.store / folder / "READY.json"
    return state.mlflow / "ready" / f"{receipt.stage}.json"


def save_receipt(receipt: Receipt, state: State) -> None:
    """Write the receipt and then, last of all, its witness."""
    for path in (receipt_path(state, receipt.stage), witness_path(state, receipt)):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(receipt.text())
        os.replace(partial, path)


def load_receipt(state: State, stage: str) -> Receipt:
    """The receipt a stage left.

    Raises:
        ReceiptError: there is none, or it is not readable.
    """
    path = receipt_path(state, stage)
    if not path.is_file():
        raise ReceiptError(f"{path}: no receipt; run stage {stage!r} first")
    try:
        return Receipt.model_validate_json(path.read_text())
    except ValueError as error:
        raise ReceiptError(f"{path}: not a receipt ({error}); rerun stage {stage!r}") from error
