"""Movie Gen Video in our own code: a LLaMa-3-like transformer with cross-attention and shared AdaLN (section 3.1.3)."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from models.backbones.protocol import TASK_TOKENS, TaskSignal, WidenedOutput, WidenedPatchEmbed, run_block
from models.layers import NORM_EPS, Block, FactoredPositions, TimeEmbedding, modulated_norm
from models.preconditioning import precondition
from models.shapes import BackboneInput, FlowTime, FrameOffsets, Latent
from models.text import TextContext


class MovieGenConfig(BaseModel):
    """Shape of the transformer; `max_*` are latent frames and patches (Movie Gen, Table 1 and section 3.1.3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["moviegen"]
    layers: int
    width: int
    hidden: int
    heads: int
    patch: int
    max_latent_frames: int
    max_rows: int
    max_columns: int
    query_key_norm: bool
    precondition: bool

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "MovieGenConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class TextProjections(nn.Module):
    """Each encoder's states through its own Linear + LayerNorm, then joined on the sequence axis (section 3.1.4)."""

    def __init__(self, text_widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Sequential(nn.Linear(e, width), nn.LayerNorm(width)) for e in text_widths)

    def forward(self, text: TextContext) -> Tensor:
        pairs = zip(self.projections, text.parts, strict=True)
        return torch.cat([project(part.states) for project, part in pairs], dim=1)


class MovieGenTransformer(nn.Module):
    """Velocity of latents [b c l h w] given flow time, text and, once widened, source latents and a task."""

    spread: Tensor

    def __init__(self, config: MovieGenConfig, latent_channels: int, text_widths: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.latent_channels = latent_channels
        self.max_latent_frames = config.max_latent_frames
        self.gradient_checkpointing = False
        stride = (1, config.patch, config.patch)
        self.patch_embed: nn.Module = nn.Conv3d(latent_channels, config.width, stride, stride)
        self.positions = FactoredPositions(config.width, config.max_latent_frames, config.max_rows, config.max_columns)
        self.text = TextProjections(text_widths, config.width)
        self.time = TimeEmbedding(config.width)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.width, 6 * config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.hidden, config.query_key_norm) for _ in range(config.layers)
        )
        self.final_norm = nn.RMSNorm(config.width, eps=NORM_EPS)
        self.final_table = nn.Parameter(torch.zeros(2, config.width))
        self.to_patch: nn.Module = nn.Linear(config.width, latent_channels * config.patch**2)
        for parameter in (*self.modulation.parameters(), *self.to_patch.parameters()):
            nn.init.zeros_(parameter)
        if config.precondition:
            self.register_buffer("spread", torch.ones(latent_channels))

    def set_spread(self, spread: Float[Tensor, " c"]) -> None:
        """Tell the preconditioning the standard deviation of each latent channel; without it, nothing is done."""
        if self.config.precondition:
            self.spread.copy_(spread)

    def widen(self, keep: bool = False) -> None:
        """Make room for source latents on the channel axis, and with `keep` for their shares in the output."""
        if not isinstance(self.patch_embed, nn.Conv3d):
            raise ValueError("this backbone is already widened")
        self.patch_embed = WidenedPatchEmbed(self.patch_embed)
        if keep and isinstance(self.to_patch, nn.Linear):
            self.to_patch = WidenedOutput(self.to_patch, self.latent_channels, channels_last=False)

    def forward(
        self, x: BackboneInput, t: FlowTime, text: TextContext, offsets: FrameOffsets, task: TaskSignal | None = None
    ) -> Latent:
        """Velocity with the shape of the noisy half of `x`, and after it what `widen` added.

        Raises:
            ValueError: the latent grid, from its temporal offset on, does not fit the position tables.
        """
        if not self.config.precondition:
            return self._network(x, t, text, offsets, task)
        factors = precondition(self.spread, t)
        noisy, *source = torch.split(x, self.latent_channels, dim=1)
        seen = [noisy * factors.inward, *(each / self.spread[None, :, None, None, None] for each in source)]
        rest, *keep = torch.split(self._network(torch.cat(seen, dim=1), t, text, offsets, task), noisy.shape[1], dim=1)
        return torch.cat([factors.skip * noisy + factors.outward * rest.float(), *keep], dim=1)

    def _network(
        self, x: BackboneInput, t: FlowTime, text: TextContext, offsets: FrameOffsets, task: TaskSignal | None
    ) -> Latent:
        tokens = self.patch_embed(x)
        frames, rows, columns = tokens.shape[2:]
        self._check_grid(frames, rows, columns)
        self._check_offsets(frames, offsets)
        positions = self.positions(self.positions.time_rows(frames, offsets), rows, columns)
        context, mask = self._context(text, task)
        time = self.time(t) if task is None else self.time(t) + task.time
        modulation = rearrange(self.modulation(time), "b (six d) -> b six d", six=6)
        hidden = rearrange(tokens, "b d l h w -> b (l h w) d")
        for block in self.blocks:
            # The position sum joins the input of every layer, not only of the first (section 3.1.3).
            hidden = run_block(block, self.gradient_checkpointing, hidden + positions, modulation, context, mask)
        shift, scale = (time[:, None] + self.final_table).unsqueeze(2).unbind(1)
        patches = self.to_patch(modulated_norm(self.final_norm, hidden, scale, shift))
        p = self.config.patch
        return rearrange(patches, "b (l h w) (c p q) -> b c l (h p) (w q)", l=frames, h=rows, w=columns, p=p, q=p)

    def _context(self, text: TextContext, task: TaskSignal | None) -> tuple[Tensor, Tensor]:
        """Text tokens followed by four task tokens.

        The base sees the four as zeros, always visible: the editor then adds a zero-initialised projection and starts
        out equal to its base. Tokens appended later would take a share of the softmax.
        """
        projected = self.text(text)
        batch = projected.shape[0]
        slots = projected.new_zeros(batch, TASK_TOKENS, self.width) if task is None else task.tokens.to(projected.dtype)
        masks = [part.mask for part in text.parts]
        visible = masks[0].new_ones(batch, TASK_TOKENS)
        return torch.cat([projected, slots], dim=1), torch.cat([*masks, visible], dim=1)

    def _check_grid(self, frames: int, rows: int, columns: int) -> None:
        limit = (self.config.max_latent_frames, self.config.max_rows, self.config.max_columns)
        if any(size > most for size, most in zip((frames, rows, columns), limit, strict=True)):
            raise ValueError(
                f"a grid of {frames} latent frames, {rows} x {columns} patches exceeds the position tables {limit}"
            )

    def _check_offsets(self, frames: int, offsets: Tensor) -> None:
        """Only where it is free: an accelerator would be waited for, so there those who draw offsets see to it."""
        if offsets.device.type != "cpu" or not offsets.numel():
            return
        first, last = int(offsets.min()), int(offsets.max())
        if first < 0 or last + frames > self.config.max_latent_frames:
            raise ValueError(
                f"{frames} latent frames at temporal offsets {first} to {last} exceed the position table of "
                f"{self.config.max_latent_frames} latent frames"
            )
