"""Laws of the figures that say what a velocity depends on: zero for the deaf, one for the fully mixed."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.conditioning import Condition
from models.tasks import Task
from models.text import TextContext, TextPart
from training.data import PairBatch
from training.effects import reach, text_effect


def batch_of(count: int) -> PairBatch:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, count, 4, 1, 8, 8, generator=generator)
    text = TextPart(torch.randn(count, 5, 6, generator=generator), torch.ones(count, 5, dtype=torch.bool))
    tasks = torch.full((count,), int(Task.TEXT_TO_VIDEO))
    return PairBatch(0, "text_to_image", latents[0], latents[1], TextContext((text,)), tasks)


class Pointwise(nn.Module):
    """Hears no text, and every place listens to itself alone."""

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        return 2 * x_t.square() + t[:, None, None, None, None]


class Mixed(nn.Module):
    """Every place is the mean of all places."""

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        return x_t.mean(dim=(3, 4), keepdim=True).expand_as(x_t)


class Spoken(nn.Module):
    """Nothing but the text."""

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        part = condition.text.parts[0]
        heard = (part.states * part.mask[..., None]).sum(dim=(1, 2))
        return heard[:, None, None, None, None].expand_as(x_t)


def test_who_hears_no_text_and_no_neighbour_scores_zero() -> None:
    assert text_effect(Pointwise(), batch_of(4), seed=0) == 0
    assert reach(Pointwise(), batch_of(4), seed=0) == 0


def test_a_mean_over_all_places_reaches_all_alike() -> None:
    assert reach(Mixed(), batch_of(4), seed=0) == pytest.approx(1, rel=1e-5)


def test_what_consists_of_text_changes_by_the_difference_of_the_texts() -> None:
    batch = batch_of(4)
    own = batch.text.parts[0].states.sum(dim=(1, 2))
    expected = float((own.roll(-1) - own).norm() / own.norm())
    assert text_effect(Spoken(), batch, seed=0) == pytest.approx(expected, rel=1e-5)


def test_equal_texts_have_no_effect() -> None:
    batch = batch_of(4)
    part = batch.text.parts[0]
    same = TextPart(part.states[:1].expand_as(part.states), part.mask)
    assert text_effect(Spoken(), replace(batch, text=TextContext((same,))), seed=0) == 0


def test_a_network_that_says_nothing_scores_zero_not_nan() -> None:
    class Silent(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
            return torch.zeros_like(x_t)

    assert text_effect(Silent(), batch_of(2), seed=0) == 0
    assert reach(Silent(), batch_of(2), seed=0) == 0


def test_one_sample_has_no_other_text() -> None:
    with pytest.raises(ValueError, match="two samples"):
        text_effect(Spoken(), batch_of(1), seed=0)
