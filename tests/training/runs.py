"""Trainings of the tiny world: in this process, in one of their own, or in one that is killed on the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stores.model_registry.models import ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt
from tests.world import ROOT, World, compose_setting, composed, tiny_params, without_mlflow_advice
from training.run import main
from training.spec import TrainingSpec
from training.trainer import checkpoint_path

# The real training process, which ends itself by SIGKILL when an optimizer step begins.
KILLED = """
import os, signal, sys
from pathlib import Path
from training import trainer
from training.run import main

def die(self, trainer, *_):
    if trainer.global_step == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

trainer.StepCheckpoint.on_train_batch_start = die
main(*map(Path, sys.argv[1:4]))
"""


def spec(world: World, *overrides: str, kind: str = "editor", code: str = "code") -> TrainingSpec:
    """Stage one, or the autoencoder, of the tiny world with other values."""
    params = tiny_params(*overrides)
    inputs = {"autoencoder": world.adopted, "pairs": world.pairs, "start": world.adopted}
    if kind == "autoencoder":
        scenes = composed(world.state, compose_setting(world.state, world.clips, world.params))
        inputs = {"clips": world.clips, "scenes": scenes}
    return TrainingSpec.model_validate(
        {
            "kind": kind,
            "stage": "one" if kind == "editor" else kind,
            "experiment": "tests",
            "seed": params.seed,
            "code": code,
            "models": params.models,
            "training": params.training,
            "media": params.media,
            "frame_rate": params.features.geometry.frame_rate,
            "inputs": inputs,
            "inference": params.inference.model_dump_json(),
        }
    )


def train(world: World, told: TrainingSpec) -> Receipt:
    """Train in this process, through the script's own entry."""
    written, result = _files(world, told)
    with without_mlflow_advice():
        main(written, world.state.root, result)
    return Receipt.model_validate_json(result.read_text())


def train_apart(world: World, told: TrainingSpec) -> Receipt:
    """Train in a process of its own, as the flows do."""
    written, result = _files(world, told)
    done = _process(["-m", "training.run", str(written), str(world.state.root), str(result)])
    assert done.returncode == 0, done.stderr[-3000:]
    return Receipt.model_validate_json(result.read_text())


def train_until_killed(world: World, told: TrainingSpec, step: int) -> None:
    """Train in a process that dies when `step` steps are done."""
    written, result = _files(world, told)
    done = _process(["-c", KILLED, str(written), str(world.state.root), str(result), str(step)])
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert not result.exists()


def folder(world: World, told: TrainingSpec) -> Path:
    """Where a training keeps its checkpoints."""
    return world.state.checkpoints / told.stage / told.key()


def final_weights(world: World, told: TrainingSpec, steps: int) -> dict[str, Tensor]:
    """The averaged weights of the last checkpoint."""
    saved: dict[str, Any] = torch.load(checkpoint_path(folder(world, told), steps), weights_only=True)
    return saved["state_dict"]


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def versions(world: World, name: str) -> int:
    """How many versions of a model are registered."""
    return len(Tracking(world.state).client.search_model_versions(f"name = '{name}'"))


def registry(world: World) -> ModelRegistry:
    return ModelRegistry(Tracking(world.state))


def _files(world: World, told: TrainingSpec) -> tuple[Path, Path]:
    written = world.state.root / "specs" / f"{told.key()}.json"
    told.save(written)
    result = written.with_suffix(".receipt")
    result.unlink(missing_ok=True)
    return written, result


def _process(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MOVIEGEN_PARENT"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
