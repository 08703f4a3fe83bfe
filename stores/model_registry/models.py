"""Registered models: weights found by content digest, promoted by alias."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from stores.model_registry.tracking import TrackedRun, Tracking
from stores.receipts import ModelReceipt, ReceiptError

DIGEST_TAG = "digest"
EDIT_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.binary, "source"), ColSpec(DataType.string, "instruction")]),
    outputs=Schema([ColSpec(DataType.binary, "edit")]),
    params=ParamSchema([ParamSpec("seed", DataType.long, 0), ParamSpec("num_inference_steps", DataType.long, 0)]),
)
TEXT_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, "instruction")]),
    outputs=Schema([ColSpec(DataType.binary, "video")]),
    params=ParamSchema([ParamSpec("seed", DataType.long, 0)]),
)
CLIP_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.binary, "source")]), outputs=Schema([ColSpec(DataType.binary, "reconstruction")])
)


@dataclass(frozen=True)
class ModelFiles:
    """What a registered version consists of.

    `entry` names the function that serves it, `module:function`, called with the folder of the weights.
    """

    weights: Mapping[str, Path]
    entry: str
    signature: ModelSignature
    card: str


@dataclass(frozen=True)
class RegisteredModel:
    """A version in the registry, with the folder its weights lie in."""

    name: str
    version: str
    digest: str
    folder: Path
    tags: Mapping[str, str]
    run_id: str


class ModelRegistry:
    """Registered models of a state root."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._client = tracking.client

    def register(
        self, run: TrackedRun, name: str, digest: str, files: ModelFiles, tags: Mapping[str, str]
    ) -> ModelReceipt:
        """Log and register a model; content that is registered already is not registered again."""
        receipt = ModelReceipt(name=name, digest=digest)
        if self._find(receipt) is not None:
            return receipt
        with run._active(), warnings.catch_warnings():
            # An input example would be a whole clip in every version; the signature says what is expected.
            warnings.filterwarnings("ignore", message=".*An input example was not provided")
            info = mlflow.pyfunc.log_model(
                name=name,
                python_model=str(Path(__file__).with_name("served.py")),
                model_config={"entry": files.entry},
                artifacts={key: str(path) for key, path in files.weights.items()},
                signature=files.signature,
                pip_requirements=["moviegen-edit"],
                metadata={DIGEST_TAG: digest},
            )
        # The tag that makes a version findable is set when everything else of it is there.
        registered = mlflow.register_model(info.model_uri, name, tags=dict(tags))
        self._client.update_model_version(name, registered.version, description=files.card)
        self._client.set_model_version_tag(name, registered.version, DIGEST_TAG, digest)
        run.tags({f"registered.{name}": f"{name}/{registered.version}"})
        return receipt

    def fetch(self, receipt: ModelReceipt) -> RegisteredModel:
        """The version of a receipt.

        Raises:
            ReceiptError: no version has this content.
        """
        version = self._find(receipt)
        if version is None:
            raise ReceiptError(
                f"{self._tracking.state.mlflow}: no version of model {receipt.name!r} has digest "
                f"{receipt.digest[:12]}; rerun stage {receipt.name!r}"
            )
        return self._opened(version)

    def fetch_alias(self, name: str, alias: str) -> RegisteredModel | None:
        """The version an alias points to, or a version by number; None if there is none."""
        try:
            if alias.isdecimal():
                return self._opened(self._client.get_model_version(name, alias))
            return self._opened(self._client.get_model_version_by_alias(name, alias))
        except mlflow.exceptions.MlflowException:
            return None

    def promote(self, receipt: ModelReceipt, alias: str) -> None:
        """Point an alias at the version of a receipt."""
        self._client.set_registered_model_alias(receipt.name, alias, self.fetch(receipt).version)

    def annotate(self, receipt: ModelReceipt, tags: Mapping[str, str]) -> None:
        """Add tags to a version, for instance what a gate found."""
        version = self.fetch(receipt).version
        for name, value in tags.items():
            self._client.set_model_version_tag(receipt.name, version, name, value)

    def _find(self, receipt: ModelReceipt) -> ModelVersion | None:
        query = f"name = '{receipt.name}' and tags.{DIGEST_TAG} = '{receipt.digest}'"
        found = self._client.search_model_versions(query)
        return found[0] if found else None

    def _opened(self, version: ModelVersion) -> RegisteredModel:
        uri = self._client.get_model_version_download_uri(version.name, version.version)
        folder = Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=self._tracking.uri))
        return RegisteredModel(
            name=version.name,
            version=str(version.version),
            digest=version.tags.get(DIGEST_TAG, ""),
            folder=folder / "artifacts",
            tags=version.tags,
            run_id=version.run_id or "",
        )


def predict(uri: str, rows: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Serve rows with a registered model, as `mlflow models serve` would."""
    served: pd.DataFrame = mlflow.pyfunc.load_model(uri).predict(rows, params=dict(params or {}))
    return served
