"""Pretraining: autoencoder, base, stage one's editor, then `--publish` into weights/, where the rest starts."""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from flows.cards import card, note_commit, samples
from flows.features import build_clips, build_pairs, build_scenes
from flows.job import Job
from flows.settings import ROOT, apply_environment
from flows.steps import PlainSteps, Steps
from flows.training import (
    SHIPPED,
    SHIPPED_EDITOR,
    WEIGHTS,
    adopt_weights,
    shipped_editor_fits,
    spec_of,
    train,
)
from models.build import AUTOENCODER, BASE, EDITOR
from models.weights import load_bundle
from stores.clip_writer import write_picture
from stores.model_registry.models import ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt, load_receipt, receipt_path, save_receipt
from stores.state import State

EXPERIMENT = "pretrain"
Value = TypeVar("Value")


def pretrain_autoencoder(job: Job, steps: Steps) -> Receipt:
    """Raw clips, composed scenes, autoencoder."""
    inputs = {"clips": build_clips(job, steps), "scenes": build_scenes(job, steps)}
    told = spec_of(job, "autoencoder", AUTOENCODER, EXPERIMENT, inputs)
    receipt = steps.run("train autoencoder", lambda: train(job, told))
    note_commit(job, receipt.model(AUTOENCODER))
    save_receipt(receipt, job.state)
    return receipt


def pretrain_base(job: Job, steps: Steps) -> Receipt:
    """Encoded pairs and the text-to-video base, with the autoencoder of this state root, else the shipped one."""
    build_clips(job, steps)
    autoencoder = _own_or_shipped(job, steps, AUTOENCODER)
    pairs = build_pairs(job, steps, "base", autoencoder)
    inputs = {"autoencoder": autoencoder, "pairs": pairs}
    receipt = steps.run("train base", lambda: train(job, spec_of(job, "base", BASE, EXPERIMENT, inputs)))
    note_commit(job, receipt.model(BASE))
    save_receipt(receipt, job.state)
    return receipt


def pretrain_editor(job: Job, steps: Steps) -> Receipt:
    """Encoded pairs and the editor of stage one, from the base of this state root or else the shipped one.

    Where the parameters have stage one start from the shipped editor, it goes on from that.

    Raises:
        ValueError: the parameters have stage one start from something else, or from an editor of another autoencoder.
    """
    start = job.params.training.stages["one"].start
    if start not in (BASE, SHIPPED_EDITOR):
        raise ValueError(f"pretraining starts stage one from {BASE!r} or {SHIPPED_EDITOR!r}, not from {start!r}")
    build_clips(job, steps)
    autoencoder = _own_or_shipped(job, steps, AUTOENCODER)
    begun = _own_or_shipped(job, steps, BASE) if start == BASE else _shipped_editor(job, steps, autoencoder)
    inputs = {"autoencoder": autoencoder, "pairs": build_pairs(job, steps, "one", autoencoder), "start": begun}
    told = spec_of(job, "editor", "one", EXPERIMENT, inputs)
    receipt = steps.run("train editor", lambda: train(job, told)).model_copy(update={"stage": EDITOR})
    note_commit(job, receipt.model(EDITOR))
    save_receipt(receipt, job.state)
    return receipt


def _shipped_editor(job: Job, steps: Steps, autoencoder: Receipt) -> Receipt:
    own = load_bundle(ROOT / WEIGHTS / SHIPPED[AUTOENCODER], AUTOENCODER).digest()
    if autoencoder.model(AUTOENCODER).digest != own or not shipped_editor_fits():
        raise ValueError(f"the editor in {WEIGHTS}/ is of another autoencoder: start it from {BASE!r}")
    return adopt_weights(job, steps, (EDITOR,))


def _own_or_shipped(job: Job, steps: Steps, name: str) -> Receipt:
    own = job.state.receipts / f"{name}.json"
    return job.receipt(name) if own.is_file() else adopt_weights(job, steps, (name,))


def publish(job: Job, weights: Path, published_to: State) -> Receipt:
    """Copy what this state root has trained into `weights/`, each with its card and a sheet of samples."""
    registry = ModelRegistry(Tracking(job.state))
    weights.mkdir(exist_ok=True)
    path = receipt_path(published_to, "pretrain")
    published = load_receipt(published_to, "pretrain") if path.is_file() else Receipt(stage="pretrain")
    for name, file in SHIPPED.items():
        if not (job.state.receipts / f"{name}.json").is_file():
            continue
        receipt = job.receipt(name)
        model = registry.fetch(receipt.model(name))
        shutil.copyfile(model.folder / f"{name}.safetensors", weights / file)
        page = (weights / file).with_suffix(".md")
        went_on = name == EDITOR and job.params.training.stages["one"].start == SHIPPED_EDITOR and page.is_file()
        page.write_text(card(job, name, model, receipt, page.read_text() if went_on else ""))
        write_picture((weights / file).with_suffix(".jpg"), samples(job, name, model, receipt), quality=88)
        published = Receipt(
            stage="pretrain",
            models={**published.models, name: receipt.model(name)},
            parents=_with_part(published.parents, name, receipt.parents),
            figures=_with_part(published.figures, name, receipt.figures),
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text(published.text())
    return published


def _with_part(kept: Mapping[str, Value], name: str, own: Mapping[str, Value]) -> dict[str, Value]:
    others = {key: value for key, value in kept.items() if not key.startswith(f"{name}.")}
    return others | {f"{name}.{key}": value for key, value in own.items()}


PARTS = {AUTOENCODER: pretrain_autoencoder, BASE: pretrain_base, EDITOR: pretrain_editor}


def main() -> None:
    """`python -m flows.pretrain [autoencoder] [base] [editor] [--publish]`."""
    apply_environment()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to train; without any, only --publish")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "pretrain", help="where it works; resumes there")
    parser.add_argument("--publish", action="store_true", help="write weights/ and receipts/pretrain.json")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="overrides of params.yaml")
    told = parser.parse_args()
    job = Job.open(told.params, told.state, tuple(told.set))
    if told.parts:
        with job.state.writing():
            for part in told.parts:
                print(PARTS[part](job, PlainSteps()).text())
    if told.publish:
        print(publish(job, ROOT / WEIGHTS, State.at(ROOT)).text())


if __name__ == "__main__":
    main()
