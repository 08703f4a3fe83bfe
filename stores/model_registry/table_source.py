"""MLflow's view of a feature-store table: shown as the data set of a run, and read back as the same class."""

from typing import Any

from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import register_dataset_source


class FeatureTableSource(DatasetSource):
    """A table, by folder, name and content digest."""

    def __init__(self, store: str, folder: str, table: str, digest: str) -> None:
        self.store, self.folder, self.table, self.digest = store, folder, table, digest

    @staticmethod
    def _get_source_type() -> str:
        return "moviegen_feature_table"

    def load(self, **_: Any) -> Any:
        """All rows of this version, as Arrow."""
        from stores.feature_store import FeatureStore
        from stores.receipts import TableReceipt

        receipt = TableReceipt(folder=self.folder, table=self.table, rows=0, digest=self.digest, columns={})
        return FeatureStore(self.store, self.folder).open(receipt).rows()

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> "FeatureTableSource":
        raise ValueError(f"a feature table is named explicitly, never guessed from {raw_source!r}")

    def to_dict(self) -> dict[Any, Any]:
        return {"store": self.store, "folder": self.folder, "table": self.table, "digest": self.digest}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> "FeatureTableSource":
        return cls(**source_dict)


register_dataset_source(FeatureTableSource)
