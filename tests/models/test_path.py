"""Laws of the path from noise to video and of the times that training draws."""

import pytest
import torch

from models.path import LinearPath, logit_normal_time
from tests.tiny import latents


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_velocity_leads_back_to_the_target(t: float) -> None:
    path, noise, target, time = LinearPath(), latents(seed=1), latents(seed=2), torch.full((2,), t)
    point = path.at(noise, target, time)
    assert torch.allclose(path.target_from_velocity(point.x_t, point.velocity, time), target, atol=1e-5)


def test_path_and_velocity_are_inverses_wherever_on_the_path() -> None:
    path, time = LinearPath(), torch.rand(64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise, target = (latents(64, 4, 2, 3, 3, seed=seed).double() for seed in (1, 2))
    point = path.at(noise, target, time)
    found = path.target_from_velocity(point.x_t, point.velocity, time)
    assert torch.allclose(found, target, atol=1e-12)
    # What velocity and point say of the target and of the noise leads to the same point and velocity again.
    again = path.at((found - point.velocity) / (1 - path.sigma_min), found, time)
    assert torch.allclose(again.x_t, point.x_t, atol=1e-12) and torch.allclose(
        again.velocity, point.velocity, atol=1e-12
    )


@pytest.mark.parametrize(("t", "end"), [(0.0, 1), (1.0, 2)])
def test_the_path_starts_at_noise_and_ends_at_video(t: float, end: int) -> None:
    x_t = LinearPath().at(latents(seed=1), latents(seed=2), torch.full((2,), t)).x_t
    assert torch.allclose(x_t, latents(seed=end), atol=1e-4)


def test_velocity_is_the_slope_of_the_path_and_constant_in_time() -> None:
    path, noise, target = LinearPath(), latents(seed=1).double(), latents(seed=2).double()
    early, late = (path.at(noise, target, torch.full((2,), t, dtype=torch.float64)) for t in (0.25, 0.75))
    assert torch.equal(early.velocity, late.velocity)
    assert torch.allclose((late.x_t - early.x_t) / 0.5, early.velocity, atol=1e-12)


def test_each_sample_has_its_own_time() -> None:
    path, noise, target = LinearPath(), latents(seed=1), latents(seed=2)
    both = path.at(noise, target, torch.tensor([0.2, 0.7])).x_t
    for row, t in enumerate((0.2, 0.7)):
        assert torch.equal(both[row], path.at(noise, target, torch.full((2,), t)).x_t[row])


def test_training_times_are_logit_normal_and_follow_their_generator() -> None:
    draws = [logit_normal_time(20_000, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert draws[0].min() > 0 and draws[0].max() < 1
    logits = torch.logit(draws[0].double())
    assert abs(logits.mean()) < 0.03 and abs(logits.std() - 1) < 0.03


def test_a_mean_moves_the_odds_of_every_training_time_alike() -> None:
    usual, moved = (logit_normal_time(1000, torch.Generator().manual_seed(0), mean) for mean in (0.0, -1.0))
    assert torch.allclose(moved.logit(), usual.logit() - 1, atol=1e-3)
    assert torch.equal(usual, logit_normal_time(1000, torch.Generator().manual_seed(0)))


def test_a_deviation_spreads_the_logits_about_their_mean() -> None:
    usual, spread = (logit_normal_time(1000, torch.Generator().manual_seed(0), -1.0, std) for std in (1.0, 2.0))
    assert torch.allclose(spread.logit() + 1, 2 * (usual.logit() + 1), atol=1e-3)
