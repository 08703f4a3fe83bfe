"""What every pipeline is given, and how its stores are opened."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.params import Params
from flows.revision import code_digest
from flows.settings import ROOT
from stores.clip_types import MediaLimits
from stores.feature_store import FeatureStore
from stores.model_registry.models import ModelRegistry, RegisteredModel
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt, ReceiptError, load_receipt
from stores.state import State


@dataclass(frozen=True)
class Job:
    """Resolved parameters and the state root they are applied to."""

    params: Params
    state: State

    @classmethod
    def open(cls, params_path: Path, state_root: Path, overrides: tuple[str, ...] = ()) -> "Job":
        """Read and check the parameters; nothing is written yet."""
        return cls(Params.read(params_path, overrides), State.at(state_root))

    @property
    def data(self) -> Path:
        """The folder of raw data, relative to the checkout."""
        return ROOT / self.params.data

    @property
    def limits(self) -> MediaLimits:
        return MediaLimits(**self.params.media.model_dump())

    def folder(self, name: str) -> FeatureStore:
        """A stage's folder of tables."""
        return FeatureStore(self.state.store, name)

    def receipt(self, stage: str) -> Receipt:
        """What an earlier stage left."""
        return load_receipt(self.state, stage)

    def model(self, receipt: Receipt, name: str) -> RegisteredModel:
        """The registered model that a receipt names.

        Raises:
            ReceiptError: the receipt names no such model, or the registry has lost it.
        """
        wanted = receipt.model(name)
        try:
            return ModelRegistry(Tracking(self.state)).fetch(wanted)
        except ReceiptError as error:
            raise ReceiptError(
                f"{self.state.mlflow}: no version of model {name!r} has digest {wanted.digest[:12]}; "
                f"rerun stage {receipt.stage!r}"
            ) from error

    def key(self, stage: str, rooms: tuple[str, ...], values: Any, parents: Mapping[str, str]) -> str:
        """Digest of what a stage's result depends on: names its MLflow run."""
        told = json.dumps([stage, code_digest(*rooms), values, dict(parents)], sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()[:32]
