"""Laws of the schedule and of the sampler."""

import pytest
import torch

from models.conditioning import Condition
from models.guidance import GuidanceScales, guided
from models.path import LinearPath
from models.sampler import euler, linear_quadratic_times
from models.text import pad_texts
from tests.tiny import condition, latents, null, trained_editor


def test_the_schedule_has_the_51_times_of_the_paper() -> None:
    times = linear_quadratic_times(50)
    head = [k / 250 for k in range(25)]
    tail = [25 / 250 + k / 250 + (1 - 25 / 250 - 25 / 250) * (k / 25) ** 2 for k in range(26)]
    assert len(times) == 51
    assert torch.allclose(times.double(), torch.tensor(head + tail, dtype=torch.float64), atol=1e-7, rtol=0)
    printed = {0: 0.0, 1: 0.004, 25: 0.1, 26: 0.10528, 27: 0.11312, 28: 0.12352, 29: 0.13648, 30: 0.152, 50: 1.0}
    assert {k: round(float(times[k]), 5) for k in printed} == printed


def test_the_schedule_is_what_is_printed_to_four_decimals() -> None:
    times = [round(float(t), 4) for t in linear_quadratic_times(50)]
    assert times[:3] == [0, 0.004, 0.008]
    assert times[25:31] == [0.1, 0.1053, 0.1131, 0.1235, 0.1365, 0.152]
    assert times[-4:] == [0.8075, 0.8691, 0.9333, 1]


@pytest.mark.parametrize("emulated", [10, 250, 1000])
def test_every_schedule_grows_from_zero_to_one(emulated: int) -> None:
    for steps in range(1, min(emulated, 250) + 1):
        times = linear_quadratic_times(steps, emulated)
        assert (len(times), times[0], times[-1]) == (steps + 1, 0, 1)
        assert (times.diff() > 0).all()


def test_as_many_steps_as_are_emulated_are_evenly_spaced() -> None:
    assert torch.allclose(linear_quadratic_times(40, 40), torch.linspace(0, 1, 41), atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 4, 9, 50])
def test_a_share_of_the_steps_is_linear_and_the_rest_grow_evenly(steps: int, share: float) -> None:
    times = linear_quadratic_times(steps, 250, share).double()
    linear = int(steps * share)
    assert (len(times), times[0], times[-1]) == (steps + 1, 0, 1)
    assert torch.allclose(times.diff()[:linear], torch.tensor(1 / 250, dtype=torch.float64), atol=1e-6)
    growth = times[linear:].diff().diff()
    assert (growth > 0).all() and torch.allclose(growth, growth.mean().expand_as(growth), atol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5])
def test_a_share_without_a_quadratic_step_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="linear share"):
        linear_quadratic_times(8, 250, share)


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


@pytest.mark.parametrize("steps", [1, 2, 9, 50])
def test_the_sampler_is_first_order_on_a_field_that_changes_with_time(steps: int) -> None:
    """Each step takes the field at its beginning, so of u = a + b t it misses b/2 times the square of the step."""
    noise, a, b = (latents(seed=seed).double() for seed in (1, 2, 3))
    for times in (linear_quadratic_times(steps).double(), torch.linspace(0, 1, steps + 1, dtype=torch.float64)):
        found = euler(lambda x, t: a + b * t[:, None, None, None, None], noise, times)
        exact = noise + a + b / 2
        assert torch.allclose(exact - found, b / 2 * times.diff().square().sum(), atol=1e-6)


@pytest.mark.parametrize("steps", [2, 8, 32])
def test_twice_the_steps_halve_the_error(steps: int) -> None:
    def error(steps: int) -> torch.Tensor:
        times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        start = torch.zeros(1, 1, 1, 1, 1, dtype=torch.float64)
        return 0.5 - euler(lambda x, t: t[:, None, None, None, None], start, times)

    assert torch.allclose(error(steps), 2 * error(2 * steps))


@pytest.mark.parametrize("steps", [1, 50])
def test_the_velocity_of_the_path_leads_the_sampler_from_noise_to_video(steps: int) -> None:
    path, noise, target = LinearPath(), latents(seed=1), latents(seed=2)
    found = euler(lambda x, t: path.at(noise, target, t).velocity, noise, linear_quadratic_times(steps))
    assert torch.allclose(found, path.at(noise, target, torch.ones(2)).x_t, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("scales", [GuidanceScales(1.0, 1.0), GuidanceScales(1.5, 3.0)])
def test_a_sample_does_not_depend_on_its_batch(scales: GuidanceScales, row: int) -> None:
    editor, noise, told, times = trained_editor(), latents(), condition((2, 6)), linear_quadratic_times(4)
    one = slice(row, row + 1)
    alone = Condition(told.source[one], pad_texts([told.text.trimmed(row)]), told.task[one], told.offsets[one])
    together = euler(guided(editor, told, null(), scales), noise, times)
    apart = euler(guided(editor, alone, null(), scales), noise[one], times)
    assert together.isfinite().all() and torch.allclose(together[one], apart, atol=1e-4)
