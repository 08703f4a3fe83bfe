"""Laws of the task vocabulary and of the predictor."""

import pytest
import torch

from models.task_predictor import fit_predictor, pooled
from models.tasks import EDIT_TASKS, TASK_COUNT, Task, parse_task
from models.text import TextContext, TextPart, pad_texts
from tests.tiny import TEXT_WIDTH, latents, texts

CORNERS = (Task.ADD, Task.REMOVE, Task.STYLE)


def separable(count: int = 8) -> tuple[TextContext, torch.Tensor]:
    """Instructions that lie around one corner a task, of several lengths."""
    tasks = [CORNERS[i % len(CORNERS)] for i in range(count * len(CORNERS))]
    corner = torch.eye(TEXT_WIDTH)
    noise = [0.1 * latents(1 + i % 4, TEXT_WIDTH, seed=i) for i in range(len(tasks))]
    rows = [(corner[int(task)] + around,) for task, around in zip(tasks, noise, strict=True)]
    return pad_texts(rows), torch.tensor([int(task) for task in tasks])


def test_a_separable_problem_is_learned_and_carries_over() -> None:
    text, tasks = separable()
    predictor = fit_predictor(text, tasks, steps=50, weight_decay=1e-4)
    assert torch.equal(predictor.predict(text), tasks)
    unseen = pad_texts([(torch.eye(TEXT_WIDTH)[int(task)][None],) for task in CORNERS])
    assert predictor.predict(unseen).tolist() == [int(task) for task in CORNERS]


def test_fitting_twice_gives_the_same_weights() -> None:
    weights = [fit_predictor(*separable(), steps=20, weight_decay=1e-4).classify.weight for _ in range(2)]
    assert torch.equal(*weights)


@pytest.mark.parametrize("label", [Task.NULL, Task.TEXT_TO_VIDEO])
def test_what_is_no_edit_is_never_predicted_even_if_it_was_all_that_was_taught(label: Task) -> None:
    text = texts(3, 4, 5, 6)
    predictor = fit_predictor(text, torch.full((4,), int(label)), steps=20, weight_decay=1e-4)
    assert predictor(text).argmax(dim=1).tolist() == [int(label)] * 4
    assert set(predictor.predict(text).tolist()) <= {int(task) for task in EDIT_TASKS}


def test_padding_does_not_reach_the_predictor() -> None:
    part = texts(3, 5).parts[0]
    filled = TextContext((TextPart(part.states + 100.0 * ~part.mask[..., None], part.mask),))
    assert torch.equal(pooled(filled), pooled(TextContext((part,))))
    assert torch.allclose(pooled(filled)[0], part.states[0, :3].mean(0), atol=1e-6)


def test_a_text_without_tokens_is_pooled_to_zeros() -> None:
    assert not pooled(TextContext((TextPart(torch.ones(1, 2, 3), torch.zeros(1, 2, dtype=torch.bool)),))).any()


def test_ids_are_dense_and_their_order_is_that_of_every_checkpoint() -> None:
    assert [int(task) for task in Task] == list(range(TASK_COUNT))
    names = "null text_to_video identity add remove replace recolour background global style segment detect local"
    assert [task.label for task in Task][:13] == names.split()


@pytest.mark.parametrize("task", list(Task))
def test_a_label_comes_back_as_its_task_whatever_its_case(task: Task) -> None:
    assert parse_task(task.label) is task
    assert parse_task(f"  {task.label.upper()} ") is task


@pytest.mark.parametrize("label", ["fly", "", "3", "add remove"])
def test_an_unknown_task_is_refused_with_the_editing_tasks(label: str) -> None:
    with pytest.raises(ValueError, match="known tasks: identity, add, remove") as caught:
        parse_task(label)
    assert repr(label) in str(caught.value) and "null" not in str(caught.value)
