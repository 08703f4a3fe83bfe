"""The inference pipeline: answer requests with a registered editor, the same door for users and pipelines."""

from dataclasses import dataclass
from pathlib import Path

from features.cases import VARIANTS, variant_of
from flows.job import Job
from flows.revision import code_digest
from flows.settings import ROOT
from flows.steps import Steps
from flows.training import SHIPPED, SHIPPED_EDITOR, WEIGHTS, shipped_editor_fits
from inference.batch import answer
from inference.editor import Editor
from inference.many import ManifestRun, edit_manifest
from inference.requests import EditRequest
from inference.served import served_params
from models.build import AUTOENCODER, EDITOR
from stores.model_registry.models import ModelRegistry, RegisteredModel
from stores.model_registry.tracking import Tracking, lineage_tags
from stores.receipts import Receipt, save_receipt
from stores.schema import EDIT_REQUESTS, EDITS

EXPERIMENT = "inference"
FILES_SHOWN = 24
CHAMPION, CANDIDATE = "champion", "candidate"
CODE = ("inference", "models", "stores")


class NoEditorError(RuntimeError):
    """There is no editor to edit with; the message says how to get one."""


@dataclass(frozen=True)
class OpenedEditor:
    """An editor ready to work, and the registered version it was read from: None if from `weights/`."""

    editor: Editor
    registered: RegisteredModel | None

    @property
    def told(self) -> str:
        """What it is and whether the gate passed it, for people."""
        if self.registered is None:
            return f"{self.editor.model.name} as shipped"
        gate = self.registered.tags.get("gate", "not judged yet")
        return f"{self.registered.name} version {self.registered.version} (gate: {gate})"


def open_editor(job: Job, name: str = EDITOR, alias: str | None = None, receipt: Receipt | None = None) -> OpenedEditor:
    """The editor of a receipt, or of an alias or version number; else the champion, the shipped one, the candidate.

    Raises:
        NoEditorError: there is none.
        ReceiptError: the registry has lost the one of the receipt.
    """
    if receipt is not None:
        found: RegisteredModel | None = job.model(receipt, name)
    else:
        found = _by_alias(job, name, [alias] if alias else [CHAMPION, SHIPPED_EDITOR])
        if found is None and alias is None:
            if name == EDITOR and shipped_editor_fits():
                return _shipped(job)
            found = _by_alias(job, name, [CANDIDATE])
    if found is None:
        cure = f"see `--model` and {job.state.mlflow}" if alias else "`make data` brings one, `make demo` trains one"
        raise NoEditorError(f"no model {name}{f'@{alias}' if alias else ''}: {cure}")
    files = found.folder / f"{EDITOR}.safetensors", found.folder / f"{AUTOENCODER}.safetensors"
    # The grid belongs to the model, whatever preset is in force now; the rest may be chosen at will.
    own = served_params(found.folder).model_dump(include={"resolution", "window_frames", "window_overlap"})
    return OpenedEditor(Editor.from_files(*files, job.params.inference.model_copy(update=own), name=found.name), found)


def _shipped(job: Job) -> OpenedEditor:
    """Straight from `weights/`: whoever has a clip to edit needs no registry."""
    editor, autoencoder = (ROOT / WEIGHTS / SHIPPED[name] for name in (EDITOR, AUTOENCODER))
    return OpenedEditor(Editor.from_files(editor, autoencoder, job.params.inference), None)


def _by_alias(job: Job, name: str, aliases: list[str]) -> RegisteredModel | None:
    if not (job.state.mlflow / "mlflow.db").is_file():
        return None  # asking would make a new, empty registry, wherever a mistyped --state points
    registry = ModelRegistry(Tracking(job.state))
    return next((model for alias in aliases if (model := registry.fetch_alias(name, alias))), None)


def answer_cases(job: Job, steps: Steps, stage: str, variants: tuple[str, ...] = VARIANTS) -> Receipt:
    """Answer the evaluation requests, or some variants of them, with the editor of a stage."""
    return _answer(job, steps, "cases", f"edits-{stage}", stage, variants)


def answer_requests(job: Job, steps: Steps, stage: str, maker: str) -> Receipt:
    """Answer the requests whose edits a stage is trained on, with the editor of the stage before it."""
    return _answer(job, steps, f"requests-{stage}", f"answers-{stage}", maker)


def _answer(
    job: Job, steps: Steps, asked: str, folder: str, maker: str, variants: tuple[str, ...] | None = None
) -> Receipt:
    requests_receipt = job.receipt(asked).table(EDIT_REQUESTS.name)
    model = job.receipt(maker).model(EDITOR)
    store = job.folder(folder)
    opened = steps.run("open editor", lambda: open_editor(job, receipt=job.receipt(maker)))
    rows = job.folder(asked).open(requests_receipt).rows().to_pylist()
    requests = [EditRequest.from_row(row) for row in rows if variants is None or variant_of(row["name"]) in variants]
    outputs = job.state.outputs / folder
    done = steps.run(
        "answer requests", lambda: answer(requests, opened.editor, store, outputs, code=code_digest(*CODE))
    )
    store.retain(EDITS, done.ids)
    table = store.publish(EDITS)
    parents = {"requests": requests_receipt.digest, "editor": model.digest}
    # Not how many were made just now: a resumed run makes fewer and must leave an equal receipt.
    figures = {"edits": table.rows, "failed": done.failed}
    receipt = Receipt(stage=folder, tables={EDITS.name: table}, parents=parents, figures=figures)
    values = job.params.inference.model_dump(mode="json")
    key = job.key(folder, CODE, values, parents)
    with Tracking(job.state).run(EXPERIMENT, folder, key, values) as run:
        run.input(requests_receipt, "inference")
        run.metrics(figures)
        run.tags(lineage_tags(receipt))
    save_receipt(receipt, job.state)
    return receipt


def edit_samples(job: Job, steps: Steps, stage: str) -> Receipt:
    """Edit the sample manifest of the data folder as a user would, with files and a report to look at."""
    folder = "samples"
    model = job.receipt(stage).model(EDITOR)
    store = job.folder(folder)
    outputs = job.state.outputs / folder
    opened = steps.run("open editor", lambda: open_editor(job, receipt=job.receipt(stage)))
    manifest = job.data / "samples" / "manifest.csv"
    done = steps.run("edit samples", lambda: edit_manifest(manifest, opened.editor, store, outputs))
    store.retain(EDITS, done.answered.ids)
    table = store.publish(EDITS)
    parents = {"editor": model.digest}
    figures = {"edits": table.rows, "failed": done.answered.failed, "refused": len(done.problems)}
    receipt = Receipt(stage=folder, tables={EDITS.name: table}, parents=parents, figures=figures)
    _log_files(job, folder, done, receipt)
    save_receipt(receipt, job.state)
    return receipt


def edit_many(
    job: Job, steps: Steps, manifest: Path, outputs: Path, alias: str | None = None, name: str = EDITOR
) -> ManifestRun:
    """Edit all rows of a manifest for a user, with a report, logged as a run with playable clips."""
    opened = steps.run("open editor", lambda: open_editor(job, name, alias))
    store = job.folder("user")
    done = steps.run("edit manifest", lambda: edit_manifest(manifest, opened.editor, store, outputs))
    figures = {"failed": done.answered.failed, "refused": len(done.problems)}
    parents = {"editor": opened.editor.model.digest, "manifest": str(manifest.resolve())}
    link = _log_files(job, "batch", done, Receipt(stage="batch", parents=parents, figures=figures))
    told = f"{done.answered.made} edited, {done.answered.skipped} were done already, {done.answered.failed} failed"
    report = f"{len(done.problems)} rows refused. Report: {done.report}"
    steps.note("batch", f"# Edits\n\n{told}, {report}\n\n{link}\n")
    return done


def _log_files(job: Job, stage: str, done: ManifestRun, receipt: Receipt) -> str:
    """Show the report and the edits of a manifest in MLflow; a link to the run."""
    values = job.params.inference.model_dump(mode="json")
    key = job.key(stage, CODE, values, receipt.parents)
    with Tracking(job.state).run(EXPERIMENT, stage, key, values) as run:
        run.tags(lineage_tags(receipt))
        run.metrics(receipt.figures)
        run.file(done.report, "report")
        files = [path for path in done.report.parent.iterdir() if path.suffix in (".mp4", ".png")]
        for path in sorted(files)[:FILES_SHOWN]:
            run.file(path, "edits")
        return run.link()
