"""A text-to-video backbone widened into an editor (Movie Gen Edit, section 5.1.1)."""

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict
from torch import nn

from models.backbones.protocol import TASK_TOKENS, Backbone, TaskSignal
from models.conditioning import Condition
from models.shapes import FlowTime, Latent, TaskIds
from models.tasks import TASK_COUNT


class EditingConfig(BaseModel):
    """The parts that turn a backbone into an editor. The paper does not state the width of the task embedding."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task_width: int
    copy_skip: bool


class TaskEmbedding(nn.Module):
    """One learned vector a task, to four context tokens and one vector for the time embedding.

    The linears start at zero and the table does not: were both zero, the gradient of each would vanish.
    """

    def __init__(self, task_width: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(TASK_COUNT, task_width)
        self.to_tokens = nn.Linear(task_width, TASK_TOKENS * width, bias=False)
        self.to_time = nn.Linear(task_width, width, bias=False)
        nn.init.zeros_(self.to_tokens.weight)
        nn.init.zeros_(self.to_time.weight)

    def forward(self, task: TaskIds) -> TaskSignal:
        embedded = self.table(task)
        tokens = rearrange(self.to_tokens(embedded), "b (k d) -> b k d", k=TASK_TOKENS)
        return TaskSignal(tokens=tokens, time=self.to_time(embedded))


class CopySkip(nn.Module):
    """a(t) x_t + b(t) (1 + k) c, added to the velocity: lets a small model copy what is not edited, and only that.

    Not in the paper; off in its presets. The gates a and b are a number a channel, piecewise linear in t on fixed
    knots, all starting at zero. How much more or less of the source is kept, k, comes from the network for each place
    and channel: without it the network would have to know the source to the last bit in order to take it away again.
    """

    KNOTS = 32

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Parameter(torch.zeros(self.KNOTS + 1, 2, channels))

    def forward(self, x_t: Latent, source: Latent, keep: Latent, t: FlowTime) -> Latent:
        place = t.float().clamp(0, 1) * self.KNOTS
        low = place.floor().clamp(max=self.KNOTS - 1).long()
        share = (place - low)[:, None, None]
        gates = torch.lerp(self.gates[low], self.gates[low + 1], share)
        noisy, clean = gates[..., None, None, None].unbind(1)
        return noisy * x_t + clean * (1 + keep.float()) * source


class EditModel(nn.Module):
    """Velocity of an edit, u(x_t, c, t). Freshly built it predicts exactly what its backbone predicts."""

    def __init__(self, backbone: Backbone, config: EditingConfig) -> None:
        super().__init__()
        backbone.widen(keep=config.copy_skip)
        self.backbone = backbone
        self.task = TaskEmbedding(config.task_width, backbone.width)
        self.skip = CopySkip(backbone.latent_channels) if config.copy_skip else None

    @property
    def max_latent_frames(self) -> int:
        return self.backbone.max_latent_frames

    def forward(self, x_t: Latent, t: FlowTime, condition: Condition) -> Latent:
        both = torch.cat([x_t, condition.source.to(x_t)], dim=1)
        found = self.backbone(both, t, condition.text, condition.offsets, self.task(condition.task))
        if self.skip is None:
            return found
        velocity, keep = found.chunk(2, dim=1)
        return velocity + self.skip(x_t, condition.source.to(x_t), keep, t)
