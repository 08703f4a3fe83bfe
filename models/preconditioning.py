"""Preconditioning of a velocity network by channel (Karras et al. 2022, for the straight path).

Not in Movie Gen; off in its presets. A small network that reads wide patches has no room to carry their noise from
input to output. Here the linear part of the answer, the velocity of a normal distribution with each channel's spread,
is computed, and the network adds what is left, which has unit variance whatever the channel and the time.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from models.shapes import FlowTime


@dataclass(frozen=True)
class Preconditioning:
    """Factors [b c 1 1 1] on the input, on the skip from x_t to the velocity, and on the network's output."""

    inward: Tensor
    skip: Tensor
    outward: Tensor


def precondition(spread: Float[Tensor, " c"], t: FlowTime) -> Preconditioning:
    """For x_t = t x_1 + (1 - t) x_0 with x_1 ~ N(0, spread^2) and x_0 ~ N(0, 1).

    x_t has variance t^2 spread^2 + (1 - t)^2; the best linear guess of x_1 - x_0 is `skip` * x_t, and what remains of
    it has standard deviation `outward`.
    """
    variance = spread[None].float().square()
    time = t[:, None].float()
    total = time.square() * variance + (1 - time).square()
    factors = (total.rsqrt(), (time * variance - (1 - time)) / total, spread[None].float() * total.rsqrt())
    return Preconditioning(*(factor[:, :, None, None, None] for factor in factors))
