"""What the editor needs of a text-to-video backbone, and the widening that is the same for all."""

import copy
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.conditioning import Condition
from models.shapes import BackboneInput, FlowTime, FrameOffsets, Latent
from models.text import TextContext

TASK_TOKENS = 4  # Movie Gen Edit, section 5.1.1


@dataclass(frozen=True)
class TaskSignal:
    """What a task id contributes: four context tokens and one vector for the time embedding."""

    tokens: Float[Tensor, "b 4 d"]
    time: Float[Tensor, "b d"]


@runtime_checkable
class Backbone(Protocol):
    """A text-to-video velocity network."""

    width: int
    latent_channels: int
    max_latent_frames: int

    def __call__(
        self,
        x: BackboneInput,
        t: FlowTime,
        text: TextContext,
        offsets: FrameOffsets,
        task: TaskSignal | None = None,
    ) -> Latent:
        """Velocity of the latents `x`; once widened, `x` carries the source latents as a second half of its channels.

        `offsets` is the temporal position of the first latent frame of each sample.
        """
        ...

    def widen(self, keep: bool = False) -> None:
        """Make room for source latents on the channel axis, with new weights at zero.

        With `keep` the output, too, has twice the channels: after the velocity, how much of the source is kept, zero
        for as yet unsaid.
        """
        ...


class WidenedPatchEmbed(nn.Module):
    """A patch embedding over twice the channels, kept as two convolutions.

    Algebraically one convolution with doubled input channels (Movie Gen Edit, section 5.1.1); as a sum of two, the
    freshly widened model is equal to its base to the last bit, which a single longer reduction would not be.
    """

    def __init__(self, video: nn.Conv3d) -> None:
        super().__init__()
        self.video = video
        self.source = copy.deepcopy(video)
        self.source.bias = None
        nn.init.zeros_(self.source.weight)

    def forward(self, x: Tensor) -> Tensor:
        noisy, source = x.chunk(2, dim=1)
        return self.video(noisy) + self.source(source)


class WidenedOutput(nn.Module):
    """The last projection with as many channels again, from a projection of its own that starts at zero.

    `channels_last` says how a token's channels lie among its patch positions: (p q c) or (c p q).
    """

    def __init__(self, velocity: nn.Linear, channels: int, channels_last: bool) -> None:
        super().__init__()
        self.velocity = velocity
        self.keep = copy.deepcopy(velocity)
        self.channels, self.channels_last = channels, channels_last
        for parameter in self.keep.parameters():
            nn.init.zeros_(parameter)

    def forward(self, hidden: Tensor) -> Tensor:
        both = self.velocity(hidden), self.keep(hidden)
        if not self.channels_last:
            return torch.cat(both, dim=-1)
        return torch.cat([part.unflatten(-1, (-1, self.channels)) for part in both], dim=-1).flatten(-2)


def run_block(block: nn.Module, checkpointed: bool, *inputs: Any) -> Tensor:
    """A block's output; if checkpointed and in training, without keeping what is inside it for the gradient."""
    result: Tensor = (
        checkpoint(block, *inputs, use_reentrant=False) if checkpointed and block.training else block(*inputs)
    )
    return result


class TextToVideo(nn.Module):
    """A backbone before it is widened, called like an editor: source and task of the condition are not looked at."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x_t: Latent, t: FlowTime, condition: Condition) -> Latent:
        return self.backbone(x_t, t, condition.text, condition.offsets)
