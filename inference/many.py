"""Edit all rows of a manifest: requests and edits in the feature store, files in a folder, one report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.answers import ERROR
from inference.batch import Answered, Progress, answer
from inference.editor import Editor
from inference.manifest import Manifest, RowProblem, read_manifest
from inference.report import report_header, report_rows, write_report
from inference.requests import USER, requests_of
from stores.feature_store import FeatureStore
from stores.receipts import ModelReceipt
from stores.schema import EDIT_REQUESTS, EDITS, content_id

REPORT = "report.html"
EDIT_COLUMNS = ("id", "request_id", "status", "error", "task", "settings", "seconds", "output_uri")


@dataclass(frozen=True)
class ManifestRun:
    """What became of a manifest; every one of its rows is in `answered` or among `problems`, and in the report."""

    manifest: Manifest
    answered: Answered
    problems: tuple[RowProblem, ...]
    report: Path


def edit_manifest(
    path: Path, editor: Editor, store: FeatureStore, outputs: Path, *, progress: Progress | None = None
) -> ManifestRun:
    """Answer a manifest and write `report.html` beside the edits; run again, it does only what is missing.

    Raises:
        ManifestError: the manifest cannot be read as a whole.
    """
    manifest = read_manifest(path)
    requests = requests_of(manifest)
    store.upsert(EDIT_REQUESTS, [request.row() for request in requests])
    store.upsert(EDITS, [_refused(problem, editor.model) for problem in manifest.problems], replace=True)
    answered = answer(requests, editor, store, outputs, progress=progress)
    rows = report_rows(requests, _rows_of(store, answered.ids), manifest.problems, outputs)
    write_report(outputs / REPORT, rows, report_header(editor), editor.params.limits.media())
    return ManifestRun(manifest, answered, manifest.problems, outputs / REPORT)


def _rows_of(store: FeatureStore, ids: Sequence[str]) -> list[dict[str, object]]:
    wanted = set(ids)
    return [row for row in store.draft(EDITS, list(EDIT_COLUMNS)).to_pylist() if row["id"] in wanted]


def _refused(problem: RowProblem, model: ModelReceipt) -> dict[str, object]:
    """A row that never became a request: `edits` has one row for every row of a manifest."""
    request_id = content_id("refused", problem.number, problem.clip, problem.instruction, problem.reason)
    return {
        "id": content_id(request_id, model.digest),
        "request_id": request_id,
        "purpose": USER,
        "instruction": problem.instruction,
        "model": model.name,
        "model_digest": model.digest,
        "clip_uri": problem.clip,
        "status": ERROR,
        "error": problem.reason,
    }
