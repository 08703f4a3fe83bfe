"""Two-way guidance over source video and text (InstructPix2Pix; Movie Gen Edit does not state its own)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.conditioning import Condition, NullCondition, without_source, without_text
from models.sampler import Velocity
from models.shapes import FlowTime, Latent
from models.text import join_texts

ConditionalVelocity = Callable[[Latent, FlowTime, Condition], Latent]


@dataclass(frozen=True)
class GuidanceScales:
    """s_V over the source video, s_T over text; 1 and 1 mean no guidance."""

    video: float
    text: float

    @property
    def weights(self) -> tuple[float, float, float]:
        """What u(0,0), u(v,0) and u(v,c) count for; together one."""
        return 1.0 - self.video, self.video - self.text, self.text


def guided(model: ConditionalVelocity, condition: Condition, null: NullCondition, scales: GuidanceScales) -> Velocity:
    """u(0,0) + s_V [u(v,0) - u(0,0)] + s_T [u(v,c) - u(v,0)], in one batch of the passes that count.

    One is left out where a scale of 1 or two equal scales cancel it; with 1 and 1 only the plain velocity is left.
    """
    everything = torch.ones(condition.source.shape[0], dtype=torch.bool, device=condition.source.device)
    no_text = without_text(condition, null, everything)
    told = (without_source(no_text, null, everything), no_text, condition)
    counted = [(weight, one) for weight, one in zip(scales.weights, told, strict=True) if weight]
    stacked = _stack([one for _, one in counted])

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        passes = model(x.repeat(len(counted), 1, 1, 1, 1), t.repeat(len(counted)), stacked).chunk(len(counted))
        return sum((weight * one for (weight, _), one in zip(counted, passes, strict=True)), torch.zeros_like(x))

    return velocity


def _stack(conditions: list[Condition]) -> Condition:
    return Condition(
        source=torch.cat([c.source for c in conditions]),
        text=join_texts([c.text for c in conditions]),
        task=torch.cat([c.task for c in conditions]),
        offsets=torch.cat([c.offsets for c in conditions]),
    )
