"""First-order Euler sampling on the linear-quadratic schedule (Movie Gen, section 3.4.2)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from models.shapes import FlowTime, Latent

Velocity = Callable[[Latent, FlowTime], Latent]


def linear_quadratic_times(steps: int, emulated_steps: int = 250, linear_share: float = 0.5) -> Float[Tensor, " k"]:
    """The `steps + 1` times from 0 to 1.

    A share of them, half in the paper, are the first steps of a linear schedule of `emulated_steps`; the rest grow
    quadratically to 1 with the slope continuous at the joint. The paper gives words only; this is the closed form that
    fits them.

    Raises:
        ValueError: fewer than one step, fewer emulated steps than steps, or no step that is not linear.
    """
    if not 1 <= steps <= emulated_steps:
        raise ValueError(f"need 1 <= steps <= emulated steps, got steps={steps}, emulated_steps={emulated_steps}")
    if not 0 <= linear_share < 1:
        raise ValueError(f"need 0 <= linear share < 1, got {linear_share}")
    linear = int(steps * linear_share)
    quadratic = steps - linear
    joint = linear / emulated_steps
    head = torch.arange(linear, dtype=torch.float64) / emulated_steps
    k = torch.arange(quadratic + 1, dtype=torch.float64)
    rest = 1 - joint - quadratic / emulated_steps
    return torch.cat([head, joint + k / emulated_steps + rest * (k / quadratic) ** 2]).float()


def euler(velocity: Velocity, noise: Latent, times: Float[Tensor, " k"]) -> Latent:
    """Follow the velocity from noise at `times[0]` to video at `times[-1]`: X <- X + (t' - t) u(X, t)."""
    x = noise
    for now, then in pairwise(times):
        x = x + (then - now) * velocity(x, now.expand(x.shape[0]).to(x))
    return x
