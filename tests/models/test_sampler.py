"""Laws of the schedule and of the sampler."""

import pytest
import torch

from models.sampler import euler, linear_quadratic_times
from tests.tiny import latents


def test_the_schedule_has_the_51_times_of_the_paper() -> None:
    times = linear_quadratic_times(50)
    head = [k / 250 for k in range(25)]
    tail = [25 / 250 + k / 250 + (1 - 25 / 250 - 25 / 250) * (k / 25) ** 2 for k in range(26)]
    assert len(times) == 51
    assert torch.allclose(times.double(), torch.tensor(head + tail, dtype=torch.float64), atol=1e-7, rtol=0)
    printed = {0: 0.0, 1: 0.004, 25: 0.1, 26: 0.10528, 27: 0.11312, 28: 0.12352, 29: 0.13648, 30: 0.152, 50: 1.0}
    assert {k: round(float(times[k]), 5) for k in printed} == printed


@pytest.mark.parametrize("emulated", [10, 250, 1000])
def test_every_schedule_grows_from_zero_to_one(emulated: int) -> None:
    for steps in range(1, min(emulated, 250) + 1):
        times = linear_quadratic_times(steps, emulated)
        assert (len(times), times[0], times[-1]) == (steps + 1, 0, 1)
        assert (times.diff() > 0).all()


def test_as_many_steps_as_are_emulated_are_evenly_spaced() -> None:
    assert torch.allclose(linear_quadratic_times(40, 40), torch.linspace(0, 1, 41), atol=1e-6)


@pytest.mark.parametrize(("steps", "emulated"), [(0, 250), (-3, 250), (251, 250), (5, 4)])
def test_impossible_schedules_are_refused_with_both_numbers(steps: int, emulated: int) -> None:
    with pytest.raises(ValueError, match=f"steps={steps}, emulated_steps={emulated}"):
        linear_quadratic_times(steps, emulated)


@pytest.mark.parametrize("steps", [1, 2, 9, 50])
def test_the_sampler_is_exact_on_a_constant_field(steps: int) -> None:
    noise, target = latents(seed=1), latents(seed=2)
    assert torch.allclose(euler(lambda x, t: target - noise, noise, linear_quadratic_times(steps)), target, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 9, 50])
def test_the_sampler_is_exact_on_the_linear_field_that_straight_paths_have(steps: int) -> None:
    noise, target = latents(seed=1), latents(seed=2)

    def towards(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (target - x) / (1 - t)[:, None, None, None, None]

    assert torch.allclose(euler(towards, noise, linear_quadratic_times(steps)), target, atol=1e-5)


def test_the_field_is_asked_once_a_step_at_its_beginning_never_at_the_end() -> None:
    asked: list[list[float]] = []
    times = linear_quadratic_times(5)
    euler(lambda x, t: asked.append(t.tolist()) or torch.zeros_like(x), latents(), times)
    assert asked == [[t, t] for t in times[:-1].tolist()]
