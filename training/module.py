"""The Lightning adapter of flow matching: draws the randomness, steps, logs. No formula lives here."""

from dataclasses import dataclass

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from models.conditioning import Condition, DropoutRates, drop_condition
from models.loss import velocity_error
from models.path import LinearPath, logit_normal_time
from models.tasks import Task
from training.data import NullConditions, PairBatch
from training.effects import reach, text_effect
from training.params import StageParams
from training.schedule import build_optimizer, rate_factor, step_generator

VALIDATION_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one step."""

    noise: Tensor
    time: Tensor
    dropout: Tensor
    offsets: Tensor


class VelocityModule(LightningModule):
    """Trains a velocity network, base or editor, on the rows of a pair table.

    It holds tensors only, not the table: weight averaging copies the whole module. `max_frames` is how many latent
    frames the network's time table knows: offsets are drawn below it, as on a device the network cannot check them
    without waiting for it.
    """

    def __init__(
        self, network: nn.Module, nulls: NullConditions, stage: StageParams, seed: int, max_frames: int
    ) -> None:
        super().__init__()
        self.network = network
        self._nulls = nulls
        self._stage = stage
        self._seed = seed
        self._max_frames = max_frames
        drop = stage.dropout
        self._rates = DropoutRates(text=drop.text, source=drop.source, both=drop.both)

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        draws = self._draw(batch)
        condition = Condition(batch.source, batch.text, batch.task, draws.offsets)
        null = self._nulls.of(batch.target.shape[1:]).to(self.device)
        condition = drop_condition(condition, null, self._rates, draws.dropout)
        loss = _error(self.network, batch, condition, draws.noise, draws.time).mean()
        self.log(f"train/loss/{batch.group}", loss, batch_size=len(batch))
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        error = error_at_fixed_times(self.network, batch, self._seed)
        self.log("val/loss", error.mean(), batch_size=len(batch))
        self.log(f"val/loss/{batch.group}", error.mean(), batch_size=len(batch))
        for task in sorted(set(batch.task.tolist())):
            chosen = error[batch.task == task]
            self.log(f"val/task/{Task(task).label}", chosen.mean(), batch_size=len(chosen))
        self.log(f"val/reach/{batch.group}", reach(self.network, batch, self._seed), batch_size=len(batch))
        if len(batch) > 1:
            self.log(
                f"val/text_effect/{batch.group}", text_effect(self.network, batch, self._seed), batch_size=len(batch)
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self.network.named_parameters(), self._stage.optimizer, self._stage.gate_rate)
        steps, params = self._stage.steps, self._stage.optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps, params))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def transfer_batch_to_device(self, batch: PairBatch, device: torch.device, dataloader_idx: int) -> PairBatch:
        return batch.to(device)

    def _draw(self, batch: PairBatch) -> Draws:
        generator = step_generator(self._seed, batch.step * self.trainer.world_size + self.global_rank)
        count, frames = len(batch), batch.target.shape[2]
        draws = Draws(
            noise=torch.randn(batch.target.shape, generator=generator),
            time=logit_normal_time(count, generator, self._stage.time_mean, self._stage.time_std),
            dropout=torch.rand(count, generator=generator),
            offsets=self._offsets(count, frames, generator),
        )
        return Draws(*(value.to(self.device) for value in (draws.noise, draws.time, draws.dropout, draws.offsets)))

    def _offsets(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """A random temporal position for single frames: position 0 for all of them distorts video edits (5.1.2)."""
        if frames > 1 or not self._stage.random_positions:
            return torch.zeros(count, dtype=torch.long)
        return torch.randint(0, self._max_frames, (count,), generator=generator)


def error_at_fixed_times(network: nn.Module, batch: PairBatch, seed: int) -> Tensor:
    """Velocity error [b] at fixed noise and times, so that two points of a run, and two runs, can be compared."""
    noise, condition = batch.fixed_noise(seed), batch.condition()
    times = [torch.full((len(batch),), time, device=batch.target.device) for time in VALIDATION_TIMES]
    return torch.stack([_error(network, batch, condition, noise, time) for time in times]).mean(0)


def _error(network: nn.Module, batch: PairBatch, condition: Condition, noise: Tensor, time: Tensor) -> Tensor:
    path = LinearPath()
    x_t = path.at(noise, batch.target, time).x_t
    return velocity_error(network(x_t, time, condition), noise, batch.target, path, time)
