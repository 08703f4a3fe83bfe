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
    def is_plain(self) -> bool:
        return self.video == 1.0 and self.text == 1.0


def guided(model: ConditionalVelocity, condition: Condition, null: NullCondition, scales: GuidanceScales) -> Velocity:
    """u(0,0) + s_V [u(v,0) - u(0,0)] + s_T [u(v,c) - u(v,0)], with the three passes in one batch."""
    if scales.is_plain:
        return lambda x, t: model(x, t, condition)
    everything = torch.ones(condition.source.shape[0], dtype=torch.bool, device=condition.source.device)
    no_text = without_text(condition, null, everything)
    nothing = without_source(no_text, null, everything)
    stacked = _stack([nothing, no_text, condition])

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        bare, video, full = model(x.repeat(3, 1, 1, 1, 1), t.repeat(3), stacked).chunk(3)
        return bare + scales.video * (video - bare) + scales.text * (full - video)

    return velocity


def _stack(conditions: list[Condition]) -> Condition:
    return Condition(
        source=torch.cat([c.source for c in conditions]),
        text=join_texts([c.text for c in conditions]),
        task=torch.cat([c.task for c in conditions]),
        offsets=torch.cat([c.offsets for c in conditions]),
    )
