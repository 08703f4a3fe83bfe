"""Parameters are complete and bounded; a request overrides only what it states."""

import json

import pytest
from pydantic import ValidationError

from inference.params import EditError, InferenceParams, Overrides, edit_settings, settings_text
from models.tasks import Task
from tests.inference import tiny


def test_nothing_has_a_default_and_nothing_else_is_taken() -> None:
    values = tiny.params().model_dump()
    for name in values:
        with pytest.raises(ValidationError, match=name):
            InferenceParams.model_validate({key: value for key, value in values.items() if key != name})
    with pytest.raises(ValidationError, match="steps"):
        InferenceParams.model_validate(values | {"steps": 3})


@pytest.mark.parametrize(
    "changes",
    [{"window_overlap": 5}, {"num_inference_steps": 21}, {"num_inference_steps": 0}, {"guidance_scale": float("nan")}],
)
def test_values_that_cannot_be_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        tiny.params(**changes)


def test_overrides_change_only_what_they_state() -> None:
    params = tiny.params()
    plain, changed = (edit_settings(params, o) for o in (Overrides(), Overrides.checked(seed="5", task=" Remove ")))
    assert (plain.seed, plain.task, plain.num_inference_steps) == (params.seed, None, params.num_inference_steps)
    assert changed == plain.model_copy(update={"seed": 5, "task": Task.REMOVE})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"guidance_scale": 1000}, "guidance_scale: .*1000"),
        ({"seed": -1}, "seed: .*-1"),
        ({"num_inference_steps": "many"}, "num_inference_steps: .*many"),
        ({"task": "paint"}, "task: unknown task 'paint'; known tasks: identity"),
        ({"task": "text_to_video"}, "task: 'text_to_video' is not an edit"),
        ({"steps": 3}, "steps"),
        ({"num_inference_steps": 21}, "at most 20"),
    ],
)
def test_bad_overrides_are_named(override: dict[str, object], message: str) -> None:
    with pytest.raises(EditError, match=message):
        edit_settings(tiny.params(), Overrides.checked(**override))


def test_the_settings_text_holds_all_that_shapes_an_edit() -> None:
    params = tiny.params()
    text = settings_text(params, edit_settings(params, Overrides(task="style", guidance_scale=4.0)))
    values = json.loads(text)
    assert values["task"] == "style" and values["guidance_scale"] == 4.0 and values["resolution"] == tiny.SIDE
    assert set(values) == set(InferenceParams.model_fields) - {"limits"} | {"task"}
