"""What steers an edit: the parameters of a deployment, and what a single request may override."""

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.precision import Precision
from models.tasks import EDIT_TASKS, Task, parse_task
from models.tiling import TilingConfig
from stores.clip_types import MediaLimits

MAX_INSTRUCTION = 2000  # characters
MAX_SEED = 2**63 - 1

Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class EditError(ValueError):
    """An edit that cannot be made; the message is meant for the one who asked for it."""


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitParams(_Values):
    """Larger sources are refused before they are decoded: pixels of one frame, frames, seconds."""

    max_pixels: int = Field(ge=1)
    max_frames: int = Field(ge=1)
    max_seconds: float = Field(gt=0)

    def media(self) -> MediaLimits:
        return MediaLimits(self.max_pixels, self.max_frames, self.max_seconds)


class InferenceParams(_Values):
    """Sampling, geometry and compositing of a deployment.

    `linear_share` of the steps are as small as those of a schedule of `emulated_steps`, the others grow quadratically.
    `resolution` is the side in pixels of the square the model sees. `window_frames` is how many frames it edits at
    once; windows of a longer clip share `window_overlap` frames. `tiling` is how the autoencoder takes a window, as it
    took the clips of the training tables. `detail_threshold` is a mean absolute change in [0, 1] units, used with
    `keep_source_detail` only.
    """

    num_inference_steps: int = Field(ge=1)
    emulated_steps: int = Field(ge=1)
    linear_share: float = Field(ge=0, lt=1)
    guidance_scale: Scale
    video_guidance_scale: Scale
    seed: Seed
    precision: Precision
    resolution: int = Field(ge=1)
    window_frames: int = Field(ge=1)
    window_overlap: int = Field(ge=0)
    tiling: TilingConfig
    keep_source_detail: bool
    detail_threshold: float = Field(gt=0, lt=1)
    limits: LimitParams

    @model_validator(mode="after")
    def _windows_overlap_by_half_at_most(self) -> Self:
        if 2 * self.window_overlap > self.window_frames:
            raise ValueError(f"window_overlap {self.window_overlap} is over half of window_frames {self.window_frames}")
        return self

    @model_validator(mode="after")
    def _steps_fit_the_schedule(self) -> Self:
        if self.num_inference_steps > self.emulated_steps:
            raise ValueError(
                f"num_inference_steps {self.num_inference_steps} exceeds emulated_steps {self.emulated_steps}"
            )
        return self


class Overrides(_Values):
    """What one request states itself; None is the deployment's value, and for the task: predict it."""

    num_inference_steps: Annotated[int, Field(ge=1)] | None = None
    guidance_scale: Scale | None = None
    video_guidance_scale: Scale | None = None
    seed: Seed | None = None
    task: str | None = None

    @field_validator("task")
    @classmethod
    def _is_an_editing_task(cls, label: str | None) -> str | None:
        if label is None:
            return None
        task = parse_task(label)
        if task not in EDIT_TASKS:
            raise ValueError(f"{task.label!r} is not an edit; known: {', '.join(t.label for t in EDIT_TASKS)}")
        return task.label

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Overrides from outside values, numbers as text included.

        Raises:
            EditError: a value is out of bounds or of the wrong kind; the message names it.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise EditError(plain_message(error)) from error


class EditSettings(_Values):
    """How one edit is sampled; `task` None means predicted from the instruction."""

    num_inference_steps: int
    guidance_scale: float
    video_guidance_scale: float
    seed: int
    task: Task | None

    @property
    def sampling(self) -> tuple[int, float, float]:
        """What edits of one batch must share; seed and task are their own."""
        return self.num_inference_steps, self.guidance_scale, self.video_guidance_scale


def edit_settings(params: InferenceParams, overrides: Overrides) -> EditSettings:
    """The deployment's values where the request states none.

    Raises:
        EditError: more steps than the schedule has.
    """
    stated = overrides.model_dump(exclude_none=True, exclude={"task"})
    values = (
        params.model_dump(include={"num_inference_steps", "guidance_scale", "video_guidance_scale", "seed"}) | stated
    )
    if values["num_inference_steps"] > params.emulated_steps:
        asked, most = values["num_inference_steps"], params.emulated_steps
        raise EditError(f"num_inference_steps: at most {most} (emulated_steps), not {asked}")
    task = None if overrides.task is None else parse_task(overrides.task)
    return EditSettings(**values, task=task)


def settings_text(params: InferenceParams, settings: EditSettings) -> str:
    """All that shapes an edit besides its source, instruction and model, as JSON of fixed order."""
    values = params.model_dump(mode="json", exclude={"limits"}) | settings.model_dump(mode="json", exclude={"task"})
    return json.dumps(values | {"task": settings.task.label if settings.task is not None else None}, sort_keys=True)


def checked_instruction(text: str) -> str:
    """The instruction without surrounding space.

    Raises:
        EditError: empty, or longer than 2000 characters.
    """
    instruction = text.strip()
    if not instruction:
        raise EditError("the instruction is empty")
    if len(instruction) > MAX_INSTRUCTION:
        raise EditError(f"the instruction has {len(instruction)} characters; at most {MAX_INSTRUCTION} are read")
    return instruction


def plain_message(error: ValidationError) -> str:
    """A validation error in one line, with the names and values that are wrong."""
    parts = []
    for found in error.errors():
        name = ".".join(str(part) for part in found["loc"])
        reason = found["msg"].removeprefix("Value error, ")
        parts.append(f"{name}: {reason}, got {found['input']!r}" if name else reason)
    return "; ".join(parts)
