"""Tracking: one database per state root, stable experiments, runs that a rerun continues."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from filelock import FileLock
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stores.model_registry.table_source import FeatureTableSource
from stores.receipts import Receipt, ReceiptError, TableReceipt
from stores.state import State

if TYPE_CHECKING:
    from lightning.pytorch.loggers import MLFlowLogger

RUN_KEY = "moviegen.key"


class Tracking:
    """The MLflow database of a state root, created once under a lock.

    Raises:
        ReceiptError: the database was made in a checkout that has since moved.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.uri = f"sqlite:///{state.mlflow / 'mlflow.db'}"
        state.mlflow.mkdir(parents=True, exist_ok=True)
        # Two first users at once would both migrate the new database, and one would die.
        with FileLock(state.mlflow / ".create.lock"):
            mlflow.set_tracking_uri(self.uri)
            self.client = MlflowClient(self.uri, self.uri)
            experiments = self.client.search_experiments()
        for experiment in experiments:
            made_at, ours, _ = experiment.artifact_location.rpartition("/mlflow/artifacts/")
            if ours and made_at != state.root.as_uri():
                raise ReceiptError(
                    f"{state.mlflow}: made at {made_at}, but the checkout is now elsewhere; "
                    "MLflow stores absolute paths: move it back, or delete the folder `mlflow` and rerun"
                )

    def experiment(self, name: str) -> str:
        """Id of an experiment, made on first use with its artifacts inside the state root."""
        home = self.state.mlflow / "artifacts" / name
        with FileLock(self.state.mlflow / ".create.lock"):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                return str(self.client.create_experiment(name, artifact_location=home.as_uri()))
        return str(found.experiment_id)

    @contextmanager
    def run(self, experiment: str, stage: str, key: str, params: Mapping[str, Any]) -> Iterator["TrackedRun"]:
        """The run of this stage and key, continued if it was interrupted; FAILED on an exception, else FINISHED.

        `key` is a digest of everything the result depends on; the run's name is the stage and its first eight digits.
        """
        experiment_id = self.experiment(experiment)
        run = self._find(experiment_id, key)
        if run is None:
            tags = {RUN_KEY: key, "mlflow.runName": f"{stage}-{key[:8]}", "moviegen.stage": stage}
            run = self.client.create_run(experiment_id, tags=tags | _prefect_tags())
            _log_params(self.client, run.info.run_id, params)
        else:
            self.client.update_run(run.info.run_id, status="RUNNING")
        tracked = TrackedRun(self, run.info.run_id, experiment)
        try:
            yield tracked
        except BaseException:
            self.client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.FAILED))
            raise
        self.client.set_terminated(run.info.run_id)

    def _find(self, experiment_id: str, key: str) -> Run | None:
        found = self.client.search_runs([experiment_id], f"tags.`{RUN_KEY}` = '{key}'", max_results=1)
        return found[0] if found else None


class TrackedRun:
    """One MLflow run: figures, inputs, files and pictures."""

    def __init__(self, tracking: Tracking, run_id: str, experiment: str) -> None:
        self.tracking = tracking
        self.run_id = run_id
        self.experiment = experiment
        self._client = tracking.client

    def metrics(self, values: Mapping[str, float | int | str | None], step: int = 0) -> None:
        """Log the numbers among these values, in one call."""
        known = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        if known:
            self._client.log_batch(
                self.run_id, metrics=[mlflow.entities.Metric(k, v, _now(), step) for k, v in known.items()]
            )

    def tags(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._client.set_tag(self.run_id, name, value)

    def note(self, markdown: str) -> None:
        """The text shown at the top of the run's page, with a link to the Prefect flow run if there is one."""
        flow_run = os.environ.get("MOVIEGEN_FLOW_RUN_URL")
        link = f"\n\n[Prefect flow run]({flow_run})\n" if flow_run else ""
        self._client.set_tag(self.run_id, "mlflow.note.content", markdown + link)

    def link(self) -> str:
        """A Markdown link to this run in the MLflow UI, as `make up` serves it."""
        address = os.environ.get("MOVIEGEN_MLFLOW_URL", "http://127.0.0.1:5210")
        experiment = self.tracking.experiment(self.experiment)
        return f"[MLflow run]({address}/#/experiments/{experiment}/runs/{self.run_id})"

    def input(self, receipt: TableReceipt, context: str) -> None:
        """Record a published table, with its content digest, as an input of this run."""
        source = FeatureTableSource(str(self.tracking.state.store), receipt.folder, receipt.table, receipt.digest)
        dataset = MetaDataset(source, name=f"{receipt.folder}/{receipt.table}", digest=receipt.digest[:8])
        with self._active():
            mlflow.log_input(dataset, context=context)

    def file(self, path: Path, folder: str) -> None:
        """Keep a file with the run; mp4, PNG and HTML open in the UI."""
        self._client.log_artifact(self.run_id, str(path), folder)

    def text(self, text: str, name: str) -> None:
        self._client.log_text(self.run_id, text, name)

    def table(self, rows: pd.DataFrame, name: str) -> None:
        """Keep a table that the UI renders."""
        self._client.log_table(self.run_id, rows, name)

    def image(self, picture: Any, key: str, step: int) -> None:
        """An image [h, w, 3] uint8 with a slider over steps in the UI."""
        self._client.log_image(self.run_id, picture, key=key, step=step)

    def lightning_logger(self) -> "MLFlowLogger":
        """A logger that writes a trainer's metrics into this run."""
        from lightning.pytorch.loggers import MLFlowLogger

        return MLFlowLogger(self.experiment, run_id=self.run_id, tracking_uri=self.tracking.uri, log_model=False)

    @contextmanager
    def _active(self) -> Iterator[None]:
        with mlflow.start_run(run_id=self.run_id):
            yield
        self._client.update_run(self.run_id, status="RUNNING")


def lineage_tags(receipt: Receipt) -> dict[str, str]:
    """A receipt as tags: what was made and from what."""
    made = {f"table.{r.table}": r.digest for r in receipt.tables.values()}
    made |= {f"model.{r.name}": r.digest for r in receipt.models.values()}
    return made | {f"parent.{name}": digest for name, digest in receipt.parents.items()}


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, Any]) -> None:
    entries = [mlflow.entities.Param(name, str(value)[:6000]) for name, value in _flat(params)]
    try:
        client.log_batch(run_id, params=entries[:100])
        for start in range(100, len(entries), 100):
            client.log_batch(run_id, params=entries[start : start + 100])
    except MlflowException as error:
        raise RuntimeError(f"could not log parameters of run {run_id}: {error}") from error


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _prefect_tags() -> dict[str, str]:
    """Tags that lead from a run back to the Prefect flow run it was started by, passed on in the environment."""
    names = {"prefect.flow_run_id": "MOVIEGEN_FLOW_RUN_ID", "prefect.flow_run_url": "MOVIEGEN_FLOW_RUN_URL"}
    return {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}


def _now() -> int:
    return int(pd.Timestamp.now("UTC").timestamp() * 1000)
