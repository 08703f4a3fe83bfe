"""Laws of the preconditioning: unit variance in, the best linear guess skips, unit variance is left to the network."""

import pytest
import torch

from models.path import LinearPath
from models.preconditioning import precondition

SPREAD = torch.tensor([0.2, 1.0, 3.0])


@pytest.mark.parametrize("time", [0.05, 0.5, 0.9])
def test_what_goes_in_and_what_is_left_have_unit_variance(time: float) -> None:
    generator = torch.Generator().manual_seed(0)
    noise, normal = torch.randn(2, 1, 3, 1, 256, 256, generator=generator)
    t = torch.full((1,), time)
    factors = precondition(SPREAD, t)
    point = LinearPath(sigma_min=0.0).at(noise, normal * SPREAD[None, :, None, None, None], t)
    left = (point.velocity - factors.skip * point.x_t) / factors.outward
    for values in (factors.inward * point.x_t, left):
        assert torch.allclose(values.std(dim=(0, 2, 3, 4)), torch.ones(3), atol=0.02)


@pytest.mark.parametrize("time", [0.05, 0.5, 0.9])
def test_what_is_left_does_not_correlate_with_the_point(time: float) -> None:
    """Were it to, the skip would not be the best linear guess."""
    generator = torch.Generator().manual_seed(0)
    noise, normal = torch.randn(2, 1, 3, 1, 256, 256, generator=generator)
    t = torch.full((1,), time)
    factors = precondition(SPREAD, t)
    point = LinearPath(sigma_min=0.0).at(noise, normal * SPREAD[None, :, None, None, None], t)
    left = (point.velocity - factors.skip * point.x_t) / factors.outward
    product = (left * factors.inward * point.x_t).mean(dim=(0, 2, 3, 4))
    assert torch.allclose(product, torch.zeros(3), atol=0.02)


def test_at_both_ends_the_skip_is_known() -> None:
    """At t = 0 the point is the noise, at t = 1 the video: the velocity is minus the one, and the other."""
    factors = precondition(SPREAD, torch.tensor([0.0, 1.0]))
    assert torch.allclose(factors.skip[0], torch.tensor(-1.0).expand_as(factors.skip[0]))
    assert torch.allclose(factors.skip[1], torch.tensor(1.0).expand_as(factors.skip[1]))
