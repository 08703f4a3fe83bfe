"""The training pipeline: adopt shipped weights, train a stage in a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.job import Job
from flows.revision import code_digest
from flows.settings import ROOT
from flows.steps import Steps
from models.build import AUTOENCODER, BASE, EDITOR
from models.weights import load_bundle
from stores.model_registry.models import (
    CLIP_SIGNATURE,
    EDIT_SIGNATURE,
    TEXT_SIGNATURE,
    ModelFiles,
    ModelRegistry,
)
from stores.model_registry.tracking import Tracking, lineage_tags
from stores.receipts import ModelReceipt, Receipt, save_receipt
from training.spec import TrainingSpec

WEIGHTS = "weights"
SHIPPED = {AUTOENCODER: "autoencoder.safetensors", BASE: "base.safetensors", EDITOR: "one.safetensors"}
SHIPPED_EDITOR = "shipped"  # what a stage may start from, and the alias of that version


class TrainingFailedError(RuntimeError):
    """The training process ended badly; its own output says why."""


def adopt_weights(job: Job, steps: Steps, names: Sequence[str] | None = None) -> Receipt:
    """Register shipped weights, so that everything after starts from the registry.

    Without `names` an editor is left out that is missing, or edits the latents of another autoencoder than the one
    beside it, as after an import of foreign weights.
    """
    if names is None:
        names = (AUTOENCODER, BASE, EDITOR) if shipped_editor_fits() else (AUTOENCODER, BASE)
    models = {name: steps.run(f"adopt {name}", partial(_adopt, job, name)) for name in names}
    receipt = Receipt(stage="adopt", models=models)
    save_receipt(receipt, job.state)
    return receipt


def train_stage(job: Job, steps: Steps, stage: str) -> Receipt:
    """Train one editing stage from the stage it starts from."""
    inputs = {
        "autoencoder": job.receipt("adopt"),
        "pairs": job.receipt(f"pairs-{stage}"),
        "start": _start(job, str(job.params.training.stages[stage].start)),
        "base": _start(job, BASE),
    }
    receipt = steps.run(f"train {stage}", lambda: train(job, spec_of(job, "editor", stage, f"stage-{stage}", inputs)))
    registry = ModelRegistry(Tracking(job.state))
    for model in receipt.models.values():
        registry.promote(model, "candidate")
    save_receipt(receipt, job.state)
    lines = [f"* {name}: {value}" for name, value in receipt.figures.items()]
    steps.note(f"training-{stage}", "\n".join([f"# Stage {stage}", "", *lines, ""]))
    return receipt


def _start(job: Job, start: str) -> Receipt:
    """The receipt of what a stage starts from, with that model alone."""
    adopted = {BASE: BASE, SHIPPED_EDITOR: EDITOR}.get(start)
    if adopted is None:
        return job.receipt(start)
    receipt = job.receipt("adopt")
    if adopted not in receipt.models:
        raise ValueError(
            f"a stage starts from {start!r}, but {WEIGHTS}/ has no {adopted} that goes with its autoencoder: "
            f"start it from {BASE!r}"
        )
    return receipt.model_copy(update={"models": {adopted: receipt.model(adopted)}})


def spec_of(job: Job, kind: str, stage: str, experiment: str, inputs: dict[str, Receipt]) -> TrainingSpec:
    """What a training process is told."""
    return TrainingSpec.model_validate(
        {
            "kind": kind,
            "stage": stage,
            "experiment": experiment,
            "seed": job.params.seed,
            "code": code_digest("training", "models"),
            "models": job.params.models,
            "training": job.params.training,
            "media": job.params.media,
            "frame_rate": job.params.features.geometry.frame_rate,
            "inputs": inputs,
            "inference": job.params.inference.model_dump_json(),
        }
    )


def train(job: Job, spec: TrainingSpec) -> Receipt:
    """Run a training in its own process and return its receipt.

    Ranks of a distributed strategy start the whole program again: that must be a small script, not a flow.

    Raises:
        TrainingFailedError: the process did not end well.
    """
    with TemporaryDirectory() as folder:
        told, result = Path(folder) / "spec.json", Path(folder) / "receipt.json"
        spec.save(told)
        command = [sys.executable, "-m", "training.run", str(told), str(job.state.root), str(result)]
        # The child watches its parent: a killed flow must not leave a training that goes on writing.
        environment = os.environ | {"PYTHONPATH": str(ROOT), "MOVIEGEN_PARENT": str(os.getpid())}
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if code != 0 or not result.is_file():
            raise TrainingFailedError(f"training of stage {spec.stage!r} ended with exit status {code}")
        return Receipt.model_validate_json(result.read_text())


def shipped_editor_fits() -> bool:
    """Whether `weights/` has an editor that was made for the autoencoder beside it."""
    editor, autoencoder = (ROOT / WEIGHTS / SHIPPED[name] for name in (EDITOR, AUTOENCODER))
    if not editor.is_file():
        return False
    made_for = load_bundle(editor, EDITOR).lineage.get("autoencoder")
    return bool(made_for == load_bundle(autoencoder, AUTOENCODER).digest())


def _adopt(job: Job, name: str) -> ModelReceipt:
    path = ROOT / WEIGHTS / SHIPPED[name]
    bundle = load_bundle(path, name)
    digest = bundle.digest()
    card_path = path.with_suffix(".md")
    card = card_path.read_text() if card_path.is_file() else f"Shipped {name}."
    tracking = Tracking(job.state)
    told = {"file": f"{WEIGHTS}/{path.name}"}
    with tracking.run("pretrain", f"adopt-{name}", digest[:32], told) as run, TemporaryDirectory() as folder:
        files = _served_files(job, name, path, card, Path(folder))
        tags = {"stage": "adopt", **{key: str(value) for key, value in bundle.lineage.items() if key != "figures"}}
        if name == EDITOR:
            tags["gate"] = "shipped, see its card"
        registry = ModelRegistry(tracking)
        receipt = registry.register(run, name, digest, files, tags)
        if name == EDITOR:
            registry.promote(receipt, SHIPPED_EDITOR)
        run.note(card)
        run.tags(lineage_tags(Receipt(stage="adopt", models={name: receipt})))
    return receipt


def _served_files(job: Job, name: str, path: Path, card: str, folder: Path) -> ModelFiles:
    settings, own = folder / "inference.json", folder / f"{name}.safetensors"
    settings.write_text(job.params.inference.model_dump_json())
    # A version is opened by what it is, whatever its file is called in weights/.
    shutil.copyfile(path, own)
    if name == AUTOENCODER:
        files = {name: own, "inference": settings}
        return ModelFiles(files, "inference.served:serve_autoencoder", CLIP_SIGNATURE, card)
    files = {name: own, AUTOENCODER: ROOT / WEIGHTS / SHIPPED[AUTOENCODER], "inference": settings}
    if name == EDITOR:
        return ModelFiles(files, "inference.served:serve", EDIT_SIGNATURE, card)
    return ModelFiles(files, "inference.generator:serve", TEXT_SIGNATURE, card)
