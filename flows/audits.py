"""Audits of tables in a pipeline: check, report, refuse or publish, and show all of it in MLflow and Prefect."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from features.check_report import write_report
from features.check_tables import TableChecks
from features.checks import Audit, ChecksFailedError, audit_and_quarantine
from flows.job import Job
from flows.steps import Steps
from stores.feature_store import FeatureStore
from stores.model_registry.tracking import TrackedRun, Tracking, lineage_tags
from stores.receipts import Receipt, save_receipt
from stores.schema import CASES, CLIPS, EDIT_PAIRS, EDIT_REQUESTS, QUARANTINE

EXPERIMENT = "features"
CODE = ("features", "models", "stores")
DOCS = "data_docs"
ROWS_SHOWN = 500
SHOWN = {
    CLIPS.name: (CLIPS, ["id", "kind", "caption", "scene", "split", "source_uri", "licence"]),
    EDIT_PAIRS.name: (
        EDIT_PAIRS,
        ["id", "group", "task", "instruction", "target_caption", "scene", "split", "edit_share", "maker"],
    ),
    EDIT_REQUESTS.name: (
        EDIT_REQUESTS,
        ["id", "task", "instruction", "caption", "output_caption", "scene", "split"],
    ),
    CASES.name: (CASES, ["id", "kind", "task", "scene", "instruction", "wrong_instruction", "frames"]),
}


def audited(
    job: Job, steps: Steps, what: str, store: FeatureStore, checks: Callable[[], TableChecks],
    parents: Mapping[str, str],
) -> Audit:  # fmt: skip
    """Check the draft of a stage's table and write the report, in `outputs/checks/<stage>/`.

    Raises:
        ChecksFailedError: the table must not be published. The report, the MLflow run and Prefect say why.
    """
    folder, params = report_folder(job, store), job.params.features.checks
    try:
        audit = steps.run(f"check {what}", lambda: audit_and_quarantine(checks(), store, params, folder / DOCS))
    except ChecksFailedError as refused:
        write_report(refused.audit, SHOWN[refused.audit.table][0], store, folder)
        with _tracked(job, store.folder, parents) as run:
            _show(run, steps, store, refused.audit, folder)
            raise
    write_report(audit, SHOWN[audit.table][0], store, folder)
    return audit


def finish(job: Job, steps: Steps, store: FeatureStore, receipt: Receipt, audit: Audit) -> Receipt:
    """Show in MLflow and Prefect what was made, then leave the receipt: last of all."""
    with _tracked(job, receipt.stage, receipt.parents) as run:
        run.metrics(receipt.figures)
        run.tags(lineage_tags(receipt))
        _show(run, steps, store, audit, report_folder(job, store))
    save_receipt(receipt, job.state)
    return receipt


def finish_requests(job: Job, store: FeatureStore, receipt: Receipt, told: Mapping[str, int | float]) -> Receipt:
    """The same for requests, which are judged by their answers; `told` is what writing them cost."""
    with _tracked(job, receipt.stage, receipt.parents) as run:
        run.metrics({**receipt.figures, **told})
        run.tags(lineage_tags(receipt))
        _show_rows(run, store, EDIT_REQUESTS.name)
    save_receipt(receipt, job.state)
    return receipt


def report_folder(job: Job, store: FeatureStore) -> Path:
    return job.state.outputs / "checks" / store.folder


@contextmanager
def _tracked(job: Job, stage: str, parents: Mapping[str, str]) -> Iterator[TrackedRun]:
    values = job.params.features.model_dump(mode="json")
    key = job.key(stage, CODE, values, parents)
    with Tracking(job.state).run(EXPERIMENT, stage, key, values) as run:
        yield run


def _show(run: TrackedRun, steps: Steps, store: FeatureStore, audit: Audit, folder: Path) -> None:
    run.note(audit.text())
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        run.file(path, "checks")
    for path in sorted((folder / DOCS).iterdir()):
        run.file(path, f"checks/{DOCS}")
    _show_rows(run, store, audit.table)
    steps.note(f"checks-{store.folder}", f"{audit.text()}\n{run.link()}\n")


def _show_rows(run: TrackedRun, store: FeatureStore, table: str) -> None:
    rows: pd.DataFrame = store.draft(*SHOWN[table]).to_pandas()
    run.table(rows.head(ROWS_SHOWN), f"{table}.json")
    rejected = store.draft(QUARANTINE).to_pandas()
    if len(rejected):
        run.table(rejected, "quarantine.json")
