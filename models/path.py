"""The straight path from noise to video (Movie Gen, section 3.1.2, equation 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.shapes import FlowTime, Latent


@dataclass(frozen=True)
class PathPoint:
    """A point on the path and the velocity there, which is constant in t."""

    x_t: Latent
    velocity: Latent


def _over_latent(t: Tensor) -> Tensor:
    return t[:, None, None, None, None]


@dataclass(frozen=True)
class LinearPath:
    """X_t = t X_1 + (1 - (1 - sigma_min) t) X_0 with X_0 noise at t = 0 and X_1 video at t = 1."""

    sigma_min: float = 1e-5  # a constant of the paper, not a knob

    def at(self, noise: Latent, target: Latent, t: FlowTime) -> PathPoint:
        """The point at time t between this noise and this target, with the velocity that leads on."""
        time = _over_latent(t)
        x_t = time * target + (1 - (1 - self.sigma_min) * time) * noise
        return PathPoint(x_t=x_t, velocity=target - (1 - self.sigma_min) * noise)

    def target_from_velocity(self, x_t: Latent, velocity: Latent, t: FlowTime) -> Latent:
        """The video that a velocity at (x_t, t) leads to: the inverse of `at`."""
        keep = 1 - self.sigma_min
        noise = x_t - _over_latent(t) * velocity
        return velocity + keep * noise


def logit_normal_time(count: int, generator: torch.Generator, mean: float = 0.0, std: float = 1.0) -> FlowTime:
    """Draw flow times sigmoid(n), n ~ N(mean, std^2); with 0 and 1 the training times of the paper (section 3.1.2)."""
    return torch.sigmoid(std * torch.randn(count, generator=generator) + mean)
