"""One factory for the Lightning trainer, and the callbacks that keep a run resumable and visible."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from models.precision import arithmetic
from training.params import LightningPrecision, OptimizerParams, TrainerParams

# Its advice on other products, and on workers that this in-memory loading does not need.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
STEP_FILE = re.compile(r"step-(\d+)\.ckpt$")


class SizedLoader(Protocol):
    """What the trainer needs of a loader."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Any: ...


class StepCheckpoint(Callback):
    """Save every so many steps and at the last one; keep the newest two, in case one was cut short."""

    def __init__(self, folder: Path, every: int, steps: int) -> None:
        self._folder, self._every, self._steps = folder, every, steps
        self._saved = -1

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        step = trainer.global_step
        if step == self._saved or (step % self._every and step != self._steps):
            return
        self._saved = step
        partial = self._folder / "partial.ckpt"
        trainer.save_checkpoint(partial, weights_only=False)
        if trainer.is_global_zero:
            partial.replace(checkpoint_path(self._folder, step))
            for old in checkpoints(self._folder)[:-2]:
                old.unlink(missing_ok=True)


class ProgressLine(Callback):
    """One line now and then, for people and logs without a terminal."""

    def __init__(self, name: str, steps: int) -> None:
        self._name, self._steps, self._every = name, steps, max(1, steps // 20)
        self._told = -1

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        step = trainer.global_step
        if step % self._every == 0 and step != self._told and trainer.is_global_zero:
            self._told = step
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs
            print(f"{self._name}: step {step}/{self._steps}, loss {float(loss):.4f}", flush=True)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after a step lies."""
    return folder / f"step-{step:08d}.ckpt"


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob("step-*.ckpt") if STEP_FILE.search(path.name))


def trainer_precision(asked: LightningPrecision) -> LightningPrecision:
    """What a training computes in on this machine: fp32 on a CPU without bf16, and a word about it."""
    kind = device.type if (device := torch.accelerator.current_accelerator()) else "cpu"
    if asked == "32-true" or arithmetic(kind, "bf16") == "bf16":
        return asked
    print("this CPU has no bf16: training in fp32", flush=True)
    return "32-true"


def build_trainer(
    name: str,
    folder: Path,
    steps: int,
    params: TrainerParams,
    optimizer: OptimizerParams,
    ema_decay: float,
    logger: Logger,
    callbacks: Sequence[Callback] = (),
) -> Trainer:
    """A trainer of one epoch of `steps` optimizer steps."""
    average = [_averaging(ema_decay)] if ema_decay else []
    saver = StepCheckpoint(folder, params.checkpoint_every, steps)
    return Trainer(
        accelerator="auto",
        devices=params.devices,
        strategy=params.strategy,
        precision=trainer_precision(params.precision),
        max_epochs=1,
        max_steps=steps,
        accumulate_grad_batches=params.accumulate,
        gradient_clip_val=optimizer.clip_norm,
        # Counted over the whole run; what is trained is validated once more when it is done.
        check_val_every_n_epoch=None,
        val_check_interval=params.validate_every * params.accumulate,
        num_sanity_val_steps=0,
        log_every_n_steps=max(1, min(10, steps // 4)),
        logger=logger,
        # The average must be up to date when a checkpoint is taken, so the saver comes last.
        callbacks=[*average, *callbacks, ProgressLine(name, steps), saver],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        deterministic=True,
    )


def _averaging(decay: float) -> WeightAveraging:
    # EMAWeightAveraging averages tensor by tensor, which takes four times as long on CPU.
    return WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def fit_or_resume(
    trainer: Trainer, module: LightningModule, train: SizedLoader, validation: SizedLoader, folder: Path, steps: int
) -> dict[str, Tensor]:
    """Train to the last step, from the newest readable checkpoint if there is one; the (averaged) final weights.

    The weights are taken from the last checkpoint in every case, so a run that was killed after its last step ends
    with the same ones. Checkpoints are read without unpickling code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    newest = newest_readable(folder)
    if newest != checkpoint_path(folder, steps):
        trainer.fit(module, train, validation, ckpt_path=newest, weights_only=True)
    state = torch.load(checkpoint_path(folder, steps), map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}


def newest_readable(folder: Path) -> Path | None:
    """The newest checkpoint that can be read; damaged ones are removed."""
    for path in reversed(checkpoints(folder)):
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            print(f"{path}: damaged checkpoint removed ({error})", flush=True)
            path.unlink(missing_ok=True)
        else:
            return path
    return None
