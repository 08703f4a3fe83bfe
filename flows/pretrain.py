"""Pretraining: autoencoder, then the text-to-video base, then `--publish` into weights/, where the rest starts."""

import argparse
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from flows.features import build_clips, build_pairs, build_scenes
from flows.job import Job
from flows.settings import ROOT, apply_environment
from flows.steps import PlainSteps, Steps
from flows.training import SHIPPED, WEIGHTS, adopt_weights, spec_of, train
from models.build import AUTOENCODER, BASE
from stores.model_registry.models import ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt, save_receipt
from stores.state import State

EXPERIMENT = "pretrain"


def pretrain_autoencoder(job: Job, steps: Steps) -> Receipt:
    """Raw clips, composed scenes, autoencoder."""
    inputs = {"clips": build_clips(job, steps), "scenes": build_scenes(job, steps)}
    told = spec_of(job, "autoencoder", AUTOENCODER, EXPERIMENT, inputs)
    receipt = steps.run("train autoencoder", lambda: train(job, told))
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
    save_receipt(receipt, job.state)
    return receipt


def publish(job: Job, receipt: Receipt, weights: Path) -> None:
    """Copy the registered weights into `weights/`, each with its card."""
    registry = ModelRegistry(Tracking(job.state))
    weights.mkdir(exist_ok=True)
    for name, file in SHIPPED.items():
        model = registry.fetch(receipt.model(name))
        shutil.copyfile(model.folder / f"{name}.safetensors", weights / file)
        (weights / file).with_suffix(".md").write_text(card(job, name, model.run_id, receipt))


def card(job: Job, name: str, run_id: str, receipt: Receipt) -> str:
    """A model card: how it was trained, on what, how long, with which figures."""
    run = Tracking(job.state).client.get_run(run_id)
    minutes = ((run.info.end_time or run.info.start_time) - run.info.start_time) / 60000
    values = job.params.training.autoencoder if name == AUTOENCODER else job.params.training.base
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    figures = {k.split(".", 1)[1]: v for k, v in receipt.figures.items() if k.startswith(f"{name}.")}
    network = job.params.models.autoencoder if name == AUTOENCODER else job.params.models.backbone
    lines = [
        f"# {name}",
        "",
        f"Trained {datetime.now(UTC):%Y-%m-%d} at commit {commit.stdout.strip() or 'unknown'}: {values.steps} steps,",
        f"{minutes:.0f} minutes on two CPU cores, by `python -m flows.pretrain`. Stored in half precision.",
        "",
        f"* weights: `{receipt.model(name).digest}`",
        *(f"* {role}: `{digest}`" for role, digest in receipt.parents.items()),
        *(f"* {key}: {value}" for key, value in figures.items()),
        "",
        "```json",
        json.dumps({"model": network.model_dump(mode="json"), "training": values.model_dump(mode="json")}, indent=1),
        "```",
    ]
    return "\n".join(lines) + "\n"


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
    with job.state.writing():
        for part in told.parts:
            print(PARTS[part](job, PlainSteps()).text())
    if told.publish:
        print(publish(job, ROOT / WEIGHTS, State.at(ROOT).receipts / "pretrain.json").text())


if __name__ == "__main__":
    main()
