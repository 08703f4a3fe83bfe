"""Pretraining: autoencoder, then the text-to-video base, then `--publish` into weights/, where the rest starts."""

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
from flows.training import SHIPPED, WEIGHTS, adopt_weights, spec_of, train
from models.build import AUTOENCODER, BASE
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
    own = job.state.receipts / f"{AUTOENCODER}.json"
    autoencoder = job.receipt(AUTOENCODER) if own.is_file() else adopt_weights(job, steps, (AUTOENCODER,))
    pairs = build_pairs(job, steps, "base", autoencoder)
    inputs = {"autoencoder": autoencoder, "pairs": pairs}
    receipt = steps.run("train base", lambda: train(job, spec_of(job, "base", BASE, EXPERIMENT, inputs)))
    note_commit(job, receipt.model(BASE))
    save_receipt(receipt, job.state)
    return receipt


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
        (weights / file).with_suffix(".md").write_text(card(job, name, model, receipt))
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


PARTS = {AUTOENCODER: pretrain_autoencoder, BASE: pretrain_base}


def main() -> None:
    """`python -m flows.pretrain [autoencoder] [base] [--publish]`."""
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
