"""Laws of guidance and of dropping parts of the condition."""

import pytest
import torch

from models.conditioning import Condition, DropoutRates, drop_condition, without_source, without_text
from models.guidance import GuidanceScales, guided
from models.tasks import Task
from tests.tiny import condition, latents, null, trained_editor

RATES = DropoutRates(text=0.1, source=0.2, both=0.05)
T = torch.tensor([0.2, 0.7])


def dropped(told: Condition, uniform: torch.Tensor) -> list[tuple[bool, bool]]:
    """For each sample, whether its text and whether its source are gone."""
    nothing = null()
    found = drop_condition(told, nothing, RATES, uniform)
    text = [torch.equal(found.text.trimmed(i)[0], nothing.text.trimmed(0)[0]) for i in range(len(uniform))]
    return [(text[i], torch.equal(found.source[i], nothing.black[0])) for i in range(len(uniform))]


@torch.no_grad()
def test_guidance_of_one_and_one_is_the_plain_velocity() -> None:
    editor, x = trained_editor(), latents()
    assert torch.equal(guided(editor, condition(), null(), GuidanceScales(1.0, 1.0))(x, T), editor(x, T, condition()))


@torch.no_grad()
@pytest.mark.parametrize("null_length", [1, 9])
@pytest.mark.parametrize(("video", "text"), [(1.5, 4.0), (1.0, 7.5), (2.5, 2.5), (1.0, 0.0), (0.0, 0.0)])
def test_guidance_combines_three_separate_passes(video: float, text: float, null_length: int) -> None:
    editor, x, told, nothing = trained_editor(), latents(), condition(), null(null_length)
    everyone = torch.ones(2, dtype=torch.bool)
    no_text = without_text(told, nothing, everyone)
    bare, kept, full = (editor(x, T, c) for c in (without_source(no_text, nothing, everyone), no_text, told))
    assert not torch.allclose(bare, kept, atol=1e-2) and not torch.allclose(kept, full, atol=1e-2)
    expected = bare + video * (kept - bare) + text * (full - kept)
    assert torch.allclose(guided(editor, told, nothing, GuidanceScales(video, text))(x, T), expected, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("video", "text", "passes"),
    [(1.5, 4.0, 3), (1.0, 4.0, 2), (1.3, 1.3, 2), (1.0, 1.0, 1), (1.0, 0.0, 1), (0.0, 0.0, 1)],
)
def test_the_passes_that_count_are_one_batch(video: float, text: float, passes: int) -> None:
    """A scale of one and two equal scales each cancel a pass."""
    batches: list[int] = []

    def velocity(x: torch.Tensor, t: torch.Tensor, told: Condition) -> torch.Tensor:
        batches.append(len(x))
        return x

    found = guided(velocity, condition(), null(), GuidanceScales(video, text))(latents(), T)
    assert batches == [2 * passes] and torch.allclose(found, latents(), atol=1e-5)


def test_the_empty_text_comes_with_the_null_task_and_keeps_source_and_position() -> None:
    told = condition()
    found = without_text(told, null(), torch.tensor([True, False]))
    assert found.task.tolist() == [Task.NULL, Task.ADD]
    assert torch.equal(found.text.trimmed(0)[0], null().text.trimmed(0)[0])
    assert torch.equal(found.text.trimmed(1)[0], told.text.trimmed(1)[0])
    assert torch.equal(found.source, told.source) and torch.equal(found.offsets, told.offsets)


def test_the_black_source_leaves_text_and_task_alone() -> None:
    told = condition()
    found = without_source(told, null(), torch.tensor([False, True]))
    assert torch.equal(found.source[0], told.source[0]) and torch.equal(found.source[1], null().black[0])
    assert found.text is told.text and found.task is told.task


@pytest.mark.parametrize("frames", [1, 3])
def test_a_black_video_of_another_length_is_refused(frames: int) -> None:
    with pytest.raises(ValueError, match="black latents"):
        without_source(condition(), null(frames=frames), torch.tensor([True, False]))


def test_one_number_decides_between_text_both_source_and_nothing() -> None:
    # [0, .1) text, [.1, .15) both, [.15, .35) source, the rest is kept
    uniform = torch.tensor([0.0, 0.0999, 0.1001, 0.1499, 0.1501, 0.3499, 0.3501, 0.9999])
    text, both, source, kept = (True, False), (True, True), (False, True), (False, False)
    assert dropped(condition((4,) * 8), uniform) == [text, text, both, both, source, source, kept, kept]


def test_shares_are_exact_on_an_even_grid() -> None:
    count = 1000
    found = dropped(condition((4,) * count), (torch.arange(count) + 0.5) / count)
    assert [found.count(kind) for kind in ((True, False), (True, True), (False, True))] == [100, 50, 200]


def test_no_rates_drop_nothing() -> None:
    told = condition()
    found = drop_condition(told, null(), DropoutRates(0.0, 0.0, 0.0), torch.tensor([0.0, 0.5]))
    assert torch.equal(found.source, told.source) and torch.equal(found.task, told.task)
    assert all(torch.equal(found.text.trimmed(i)[0], told.text.trimmed(i)[0]) for i in range(2))
