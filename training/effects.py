"""What a velocity depends on: a loss that falls does not show that the text, or the rest of the picture, is heard.

Both figures are ratios of root mean squares, 0 for a network that does not listen (docs/log.md has such a one).
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.path import LinearPath
from models.shapes import Latent
from models.text import TextContext, TextPart
from training.data import PairBatch

EARLY = 0.3  # flow time at which layout is being decided


def text_effect(network: nn.Module, batch: PairBatch, seed: int) -> float:
    """How far the text of the next sample moves the velocity, as a share of its size; tasks stay as they are.

    Raises:
        ValueError: a batch of one sample, which has no other text.
    """
    if len(batch) < 2:
        raise ValueError("the effect of another text needs a batch of two samples or more")
    x_t = _early_point(batch, seed)
    own, other = _velocity(network, batch, x_t), _velocity(network, replace(batch, text=_rolled(batch.text)), x_t)
    return _ratio(other - own, own)


def reach(network: nn.Module, batch: PairBatch, seed: int) -> float:
    """How far other noise in one square moves the velocity elsewhere, as a share of what it moves there.

    The square spans the second quarter of rows and of columns, so that it covers whole patches.
    """
    x_t = _early_point(batch, seed)
    rows, columns = (slice(size // 4, size // 2) for size in x_t.shape[3:])
    changed, inside = x_t.clone(), torch.zeros(x_t.shape[3:], dtype=torch.bool, device=x_t.device)
    changed[..., rows, columns] = _early_point(batch, seed + 1)[..., rows, columns]
    inside[rows, columns] = True
    difference = _velocity(network, batch, changed) - _velocity(network, batch, x_t)
    return _ratio(difference[..., ~inside], difference[..., inside])


def _early_point(batch: PairBatch, seed: int) -> Latent:
    return LinearPath().at(batch.fixed_noise(seed), batch.target, _times(batch)).x_t


def _velocity(network: nn.Module, batch: PairBatch, x_t: Latent) -> Latent:
    velocity: Latent = network(x_t, _times(batch), batch.condition()).float()
    return velocity


def _times(batch: PairBatch) -> Float[Tensor, " b"]:
    return torch.full((len(batch),), EARLY, device=batch.target.device)


def _rolled(text: TextContext) -> TextContext:
    return TextContext(tuple(TextPart(part.states.roll(-1, 0), part.mask.roll(-1, 0)) for part in text.parts))


def _ratio(part: Tensor, whole: Tensor) -> float:
    size = float(whole.square().mean())
    return 0.0 if size == 0 else (float(part.square().mean()) / size) ** 0.5
