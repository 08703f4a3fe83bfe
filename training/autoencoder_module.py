"""The Lightning adapter of autoencoder training, and its crops."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from PIL import Image
from torch import Tensor

from models.autoencoder import Autoencoder
from models.loss import autoencoder_loss
from models.metrics import psnr
from models.pixels import to_frames, to_video
from models.shapes import Video
from training.mixing import Mix, ShuffledRows
from training.params import AutoencoderTrainingParams, GroupParams
from training.schedule import build_optimizer, rate_factor, step_generator

PICTURES, CLIPS = "pictures", "clips"


@dataclass(frozen=True)
class Media:
    """Decoded training material: uint8 arrays [f h w 3], pictures with f = 1."""

    pictures: Sequence[np.ndarray]
    clips: Sequence[np.ndarray]

    def of(self, group: str) -> Sequence[np.ndarray]:
        return self.pictures if group == PICTURES else self.clips


@dataclass(frozen=True)
class VideoBatch:
    """A homogeneous batch of crops."""

    step: int
    group: str
    video: Video


class CropLoader:
    """One batch of random crops a step, pictures or clips; a pure function of seed and step, as `StepLoader`."""

    def __init__(self, media: Media, params: AutoencoderTrainingParams, seed: int) -> None:
        self._media, self._params, self._seed = media, params, seed
        groups: dict[str, GroupParams] = {PICTURES: params.pictures, CLIPS: params.clips}
        self._groups = {name: group for name, group in groups.items() if media.of(name)}
        self._mix = Mix({name: group.weight for name, group in self._groups.items()})
        self._rows = {
            name: ShuffledRows([str(i) for i in range(len(media.of(name)))], seed, name) for name in self._groups
        }
        self.position = 0

    def __len__(self) -> int:
        return self._params.steps

    def __iter__(self) -> Iterator[VideoBatch]:
        while self.position < self._params.steps:
            step = self.position
            self.position += 1
            yield self.at(step)

    def at(self, step: int) -> VideoBatch:
        """The batch of one step."""
        draw = self._mix.at(step)
        rng = np.random.default_rng([self._seed, step])
        chosen = self._rows[draw.group].batch(draw.earlier, self._groups[draw.group].batch)
        frames = 1 if draw.group == PICTURES else self._params.frames
        least = self._params.least_scale if draw.group == PICTURES else 1.0
        crops = [random_crop(self._media.of(draw.group)[int(i)], frames, self._params.crop, least, rng) for i in chosen]
        return VideoBatch(step, draw.group, torch.cat([to_video(crop) for crop in crops]))

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = state["position"]


def random_crop(clip: np.ndarray, frames: int, size: int, least_scale: float, rng: np.random.Generator) -> np.ndarray:
    """A crop [frames size size 3] at a random place, time and scale, mirrored half of the time."""
    f, h, w, _ = clip.shape
    scale = max(float(rng.uniform(least_scale, 1.0)), size / min(h, w))
    side = min(round(size / scale), h, w)
    start, top, left = (int(rng.integers(0, most + 1)) for most in (max(f - frames, 0), h - side, w - side))
    crop = clip[start : start + frames, top : top + side, left : left + side]
    if side != size:
        crop = np.stack([_resized(frame, size) for frame in crop])
    return np.ascontiguousarray(crop[:, :, ::-1] if rng.random() < 0.5 else crop)


def _resized(frame: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BICUBIC))


class AutoencoderModule(LightningModule):
    """Trains the autoencoder on crops."""

    def __init__(self, autoencoder: Autoencoder, params: AutoencoderTrainingParams, seed: int) -> None:
        super().__init__()
        self.network = autoencoder
        self._params = params
        self._seed = seed

    def training_step(self, batch: VideoBatch, batch_idx: int) -> Tensor:
        params, video = self._params, batch.video
        posterior = self.network.posterior(video)
        noise = torch.randn(posterior.mean.shape, generator=step_generator(self._seed, batch.step)).to(self.device)
        decoded = self.network.reconstruct(posterior.sample(noise), video.shape[2])
        terms = autoencoder_loss(video, decoded, posterior.mean, posterior.log_variance, params.outlier_ratio)
        loss: Tensor = (
            terms.reconstruction
            + params.squared_weight * terms.squared
            + params.gradient_weight * terms.gradient
            + params.kl_weight * terms.kl
            + params.outlier_weight * terms.outlier
        )
        self.log(f"train/reconstruction/{batch.group}", terms.reconstruction, batch_size=len(video))
        self.log("train/kl", terms.kl, batch_size=len(video))
        self.log("train/outlier", terms.outlier, batch_size=len(video))
        return loss

    def validation_step(self, batch: VideoBatch, batch_idx: int) -> None:
        mean = self.network.posterior(batch.video).mean
        decoded = self.network.reconstruct(mean, batch.video.shape[2]).clamp(-1, 1)
        for truth, made in zip(to_frames(batch.video), to_frames(decoded), strict=True):
            self.log(f"val/psnr/{batch.group}", psnr(truth, made), batch_size=1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self.network.named_parameters(), self._params.optimizer)
        steps, params = self._params.steps, self._params.optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps, params))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def transfer_batch_to_device(self, batch: VideoBatch, device: torch.device, dataloader_idx: int) -> VideoBatch:
        return VideoBatch(batch.step, batch.group, batch.video.to(device))
