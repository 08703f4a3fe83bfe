"""The condition triplet of Movie Gen Edit, and dropping parts of it for two-way guidance (section 5.1.1)."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from models.shapes import FrameOffsets, Latent, TaskIds
from models.tasks import Task
from models.text import TextContext, TextPart


@dataclass(frozen=True)
class Condition:
    """c = (source latents, instruction states, task ids), with the temporal position of the first latent frame.

    The source is always clean: the paper never noises the input video.
    """

    source: Latent
    text: TextContext
    task: TaskIds
    offsets: FrameOffsets

    def to(self, device: torch.device | str) -> "Condition":
        return Condition(self.source.to(device), self.text.to(device), self.task.to(device), self.offsets.to(device))


@dataclass(frozen=True)
class NullCondition:
    """What "no text" and "no video" are: the empty text, and a black video *encoded*, not zero latents.

    T2V rows have the encoded black video as their source, so it is the natural null; the paper does not say.
    """

    text: TextContext  # one row
    black: Float[Tensor, "1 c l h w"]

    def to(self, device: torch.device | str) -> "NullCondition":
        return NullCondition(self.text.to(device), self.black.to(device))


@dataclass(frozen=True)
class DropoutRates:
    """Shares of samples that lose their text, their source, or both (InstructPix2Pix; Movie Gen Edit does not say)."""

    text: float
    source: float
    both: float


def without_text(condition: Condition, null: NullCondition, drop: Bool[Tensor, " b"]) -> Condition:
    """Give the dropped samples the empty text and the null task: a task id would leak the instruction."""
    parts = tuple(
        _where_part(drop, empty, part) for empty, part in zip(null.text.parts, condition.text.parts, strict=True)
    )
    task = torch.where(drop, torch.full_like(condition.task, Task.NULL), condition.task)
    return replace(condition, text=TextContext(parts), task=task)


def without_source(condition: Condition, null: NullCondition, drop: Bool[Tensor, " b"]) -> Condition:
    """Give the dropped samples the black video as their source.

    Raises:
        ValueError: the black video has other frames or another size than the source.
    """
    if null.black.shape[1:] != condition.source.shape[1:]:
        # Broadcasting would stretch one black frame into a clip, which is not how a black clip is encoded.
        raise ValueError(f"black latents {list(null.black.shape)} for source latents {list(condition.source.shape)}")
    chosen = torch.where(drop[:, None, None, None, None], null.black.to(condition.source), condition.source)
    return replace(condition, source=chosen)


def drop_condition(
    condition: Condition, null: NullCondition, rates: DropoutRates, uniform: Float[Tensor, " b"]
) -> Condition:
    """Apply dropout by one uniform number a sample: [text | both | source | keep], so the shares are exact."""
    text = uniform < rates.text + rates.both
    source = (uniform >= rates.text) & (uniform < rates.text + rates.both + rates.source)
    return without_source(without_text(condition, null, text), null, source)


def _where_part(drop: Tensor, empty: TextPart, part: TextPart) -> TextPart:
    length = max(part.states.shape[1], empty.states.shape[1])
    states, mask = _lengthen(part, length)
    null_states, null_mask = _lengthen(empty, length)
    return TextPart(
        torch.where(drop[:, None, None], null_states.to(states), states),
        torch.where(drop[:, None], null_mask, mask),
    )


def _lengthen(part: TextPart, length: int) -> tuple[Tensor, Tensor]:
    missing = length - part.states.shape[1]
    states = torch.nn.functional.pad(part.states, (0, 0, 0, missing))
    return states, torch.nn.functional.pad(part.mask, (0, missing), value=False)
