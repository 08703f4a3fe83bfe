"""A few held-out edits, drawn as training goes on, in the run's images."""

from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from models.build import AnyAutoencoder
from models.cores import on_cores
from models.pixels import to_frames
from models.precision import autocast
from models.sampler import euler, linear_quadratic_times
from stores.model_registry.tracking import TrackedRun
from training.data import VALIDATION, PairBatch, PairTable
from training.params import StageParams

PREVIEW_ROWS, PREVIEW_STEPS = 4, 8


class PreviewCallback(Callback):
    """Logs source | edit | truth of fixed validation rows, without guidance, from fixed noise."""

    def __init__(
        self, run: TrackedRun, table: PairTable, autoencoder: AnyAutoencoder, stage: StageParams, every: int
    ) -> None:
        self._run, self._autoencoder = run, autoencoder
        self._every, self._steps = every, stage.steps
        self._batches = []
        for number, group in enumerate(stage.groups):
            ids = table.ids(group, VALIDATION)[:PREVIEW_ROWS]
            if ids:
                self._batches.append(table.batch(ids, number, group))
        self._drawn = -1

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        step = trainer.global_step
        if step == self._drawn or not trainer.is_global_zero or (step % self._every and step != self._steps):
            return
        self._drawn = step
        for batch in self._batches:
            sheet = np.concatenate([_strip(row) for row in self._rows(pl_module, batch)])
            self._run.image(sheet, f"preview_{batch.group}", step)

    @torch.no_grad()
    def _rows(self, module: LightningModule, batch: PairBatch) -> list[list[np.ndarray]]:
        network = module.network
        training = network.training
        network.eval()
        moved = batch.to(module.device)
        noise, condition = moved.fixed_noise(seed=0), moved.condition()
        with autocast(module.device.type, "bf16"):
            edit = euler(
                lambda x, t: network(x, t, condition).float(), noise, linear_quadratic_times(PREVIEW_STEPS)
            ).cpu()
        columns = [on_cores(self._decode, torch.split(latents, 1)) for latents in (batch.source, edit, batch.target)]
        network.train(training)
        return [list(row) for row in zip(*columns, strict=True)]

    @torch.no_grad()
    def _decode(self, latents: torch.Tensor) -> np.ndarray:
        frames = latents.shape[2] * self._autoencoder.config.temporal_factor if latents.shape[2] > 1 else 1
        with autocast("cpu", "bf16"):
            decoded: np.ndarray = to_frames(self._autoencoder.decode(latents, frames))[0]
        return decoded


def _strip(clips: list[np.ndarray]) -> np.ndarray:
    """First frame of each clip side by side, then the last where there are several."""
    first = np.concatenate([clip[0] for clip in clips], axis=1)
    if len(clips[0]) == 1:
        return first
    return np.concatenate([first, np.concatenate([clip[-1] for clip in clips], axis=1)])
