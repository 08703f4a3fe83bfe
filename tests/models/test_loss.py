"""Laws of the training objectives."""

import pytest
import torch

from models.loss import autoencoder_loss, outlier_penalty, velocity_error
from models.path import LinearPath
from tests.tiny import latents

T = torch.tensor([0.1, 0.8])


def test_the_true_velocity_has_no_error() -> None:
    noise, target = latents(seed=1), latents(seed=2)
    assert not velocity_error(LinearPath().at(noise, target, T).velocity, noise, target, LinearPath(), T).any()


def test_the_error_is_a_mean_of_squares_a_sample_alike_at_every_time() -> None:
    noise, target = latents(seed=1), latents(seed=2)
    off = LinearPath().at(noise, target, T).velocity + torch.tensor([0.5, 2.0])[:, None, None, None, None]
    found = velocity_error(off, noise, target, LinearPath(), T)
    assert torch.allclose(found, torch.tensor([0.25, 4.0]), atol=1e-5)
    assert torch.allclose(found, velocity_error(off, noise, target, LinearPath(), T.flip(0)))


def spiked(calm: torch.Tensor) -> torch.Tensor:
    found = calm.clone()
    found[0, :, 0, 3, 3] = 40.0
    return found


def test_the_outlier_penalty_is_zero_for_a_small_spread_and_sees_a_planted_outlier() -> None:
    calm = latents(1, 4, 1, 16, 16).clamp(-1.5, 1.5)
    assert outlier_penalty(calm, 3.0) == 0
    assert outlier_penalty(spiked(calm), 3.0) > 0


def test_the_outlier_penalty_is_equation_1() -> None:
    frame = spiked(latents(1, 4, 1, 16, 16))[0, :, 0].double()
    mean, std = frame.mean((1, 2)), frame.std((1, 2), unbiased=False)
    places = [(frame[:, i, j] - mean).norm() - 3.0 * std.norm() for i in range(16) for j in range(16)]
    expected = sum(max(float(place), 0.0) for place in places) / 256
    assert float(outlier_penalty(frame[None, :, None].float(), 3.0)) == pytest.approx(expected, rel=1e-4)


def test_only_outliers_are_pulled_and_inwards() -> None:
    video = spiked(latents(1, 4, 1, 16, 16).clamp(-1.5, 1.5)).requires_grad_()
    outlier_penalty(video, 3.0).backward()
    assert video.grad is not None
    assert (video.grad[0, :, 0, 3, 3] > 0).all()
    assert video.grad[0, :, 0, 3, 3].norm() > 100 * video.grad[0, :, 0, 9, 9].norm()


def test_every_latent_frame_is_judged_by_its_own_spread() -> None:
    calm = latents(1, 4, 1, 16, 16).clamp(-1.5, 1.5)
    still = torch.cat([calm, 50 + 20 * calm], dim=2)
    assert outlier_penalty(still, 3.0) == 0
    alone = outlier_penalty(spiked(calm), 3.0)
    assert torch.allclose(outlier_penalty(torch.cat([calm, spiked(calm)], dim=2), 3.0), alone / 2)


def test_a_perfect_reconstruction_from_a_unit_normal_costs_nothing() -> None:
    video, zeros = latents(1, 3, 2, 8, 8).clamp(-1, 1), torch.zeros(1, 4, 1, 2, 2)
    found = autoencoder_loss(video, video, zeros, zeros, 3.0)
    assert [float(term) for term in (found.reconstruction, found.squared, found.gradient, found.kl, found.outlier)] == [
        0
    ] * 5


def test_a_shift_of_colour_costs_reconstruction_and_no_gradient() -> None:
    video, zeros = latents(1, 3, 2, 8, 8), torch.zeros(1, 4, 1, 2, 2)
    found = autoencoder_loss(video, video + 0.5, zeros + 1, zeros, 3.0)
    assert float(found.reconstruction) == pytest.approx(0.5, abs=1e-5)
    assert float(found.squared) == pytest.approx(0.25, abs=1e-5)
    assert float(found.gradient) == pytest.approx(0, abs=1e-5)
    assert float(found.kl) == pytest.approx(0.5)
