"""Wan text-to-video behind the backbone protocol: the velocity of diffusers' `WanTransformer3DModel`.

Wan counts noise levels: timestep 1000 is noise and the prediction is noise - video. Flow time is 0 at noise and the
velocity is video - noise, so time is mirrored going in and the sign is turned coming out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from models.backbones.protocol import TASK_TOKENS, TaskSignal, WidenedOutput, WidenedPatchEmbed, run_block
from models.shapes import BackboneInput, FlowTime, FrameOffsets, Latent
from models.text import TextContext

TIMESTEPS = 1000.0
# What every released text-to-video Wan has; image-to-video ones differ here and are not read.
FIXED = {
    "image_dim": None,
    "added_kv_proj_dim": None,
    "pos_embed_seq_len": None,
    "qk_norm": "rms_norm_across_heads",
}


class WanConfig(BaseModel):
    """Shape of the transformer, most of it under the names that diffusers gives it.

    `text_len` is the fixed number of text tokens (512 in all releases), `max_latent_frames` the longest clip to be
    edited; neither is in Wan's own config. Channels are those of the autoencoder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["wan"]
    num_attention_heads: int
    attention_head_dim: int
    num_layers: int
    ffn_dim: int
    text_dim: int
    freq_dim: int
    cross_attn_norm: bool
    eps: float
    rope_max_seq_len: int
    patch: int
    text_len: int
    max_latent_frames: int

    @model_validator(mode="after")
    def _positions_are_enough(self) -> "WanConfig":
        if self.max_latent_frames > self.rope_max_seq_len:
            raise ValueError(
                f"{self.max_latent_frames} latent frames need as many of {self.rope_max_seq_len} positions"
            )
        if self.text_len <= TASK_TOKENS:
            raise ValueError(f"{self.text_len} text tokens leave no room beside {TASK_TOKENS} task tokens")
        return self


SHARED = tuple(
    name for name in WanConfig.model_fields if name not in {"name", "patch", "text_len", "max_latent_frames"}
)


@dataclass(frozen=True)
class WanBase:
    """Released weights, under the names of `WanBackbone`, with their shape."""

    config: WanConfig
    latent_channels: int
    weights: Mapping[str, Tensor]


class WanBackbone(nn.Module):
    """Velocity of latents [b c l y x] given flow time, text and, once widened, source latents and a task.

    Wan2.2 TI2V gives every token a timestep of its own, lower ones to given frames. Here the source has channels of its
    own and all tokens are equally noisy, so one timestep a sample is the same and serves both generations.

    Raises:
        ValueError: the text is not of one encoder with the width that Wan reads.
    """

    def __init__(self, config: WanConfig, latent_channels: int, text_widths: tuple[int, ...]) -> None:
        super().__init__()
        if text_widths != (config.text_dim,):
            raise ValueError(f"wan reads one text encoder of width {config.text_dim}, not widths {list(text_widths)}")
        self.config = config
        self.width = config.num_attention_heads * config.attention_head_dim
        self.latent_channels = latent_channels
        self.max_latent_frames = config.max_latent_frames
        self.gradient_checkpointing = False
        self.transformer: Any = diffusers_class("WanTransformer3DModel")(
            patch_size=(1, config.patch, config.patch),
            in_channels=latent_channels,
            out_channels=latent_channels,  # said, because diffusers would take the input's, doubled ones too
            **config.model_dump(include=set(SHARED)),
            **FIXED,
        )

    def widen(self, keep: bool = False) -> None:
        """Make room for source latents on the channel axis, and with `keep` for their shares in the output."""
        wan = self.transformer
        if not isinstance(wan.patch_embedding, nn.Conv3d):
            raise ValueError("this backbone is already widened")
        wan.patch_embedding = WidenedPatchEmbed(wan.patch_embedding)
        if keep:
            wan.proj_out = WidenedOutput(wan.proj_out, self.latent_channels, channels_last=True)

    def forward(
        self, x: BackboneInput, t: FlowTime, text: TextContext, offsets: FrameOffsets, task: TaskSignal | None = None
    ) -> Latent:
        """Velocity with the shape of the noisy half of `x`, and after it what `widen` added.

        `offsets` has no effect: rotary positions are relative, so moving all frames of a sample alike, and a single
        frame above all, leaves every attention product as it was.

        Raises:
            ValueError: the latent grid does not fit, or the text leaves no room for the task.
        """
        # The transformer's own forward has no place for a task, so its parts are called here; tests hold both equal.
        wan = self.transformer
        self._check_grid(*x.shape[2:])
        tokens = wan.patch_embedding(x)
        frames, rows, columns = tokens.shape[2:]
        rotary, context = wan.rope(x), self._context(text, task)
        time, modulation = self._time(t, task)
        # Under autocast the convolution gives bf16; the residual stream is to keep the precision of the latents.
        hidden = rearrange(tokens, "b d l h w -> b (l h w) d").to(x.dtype)
        for block in wan.blocks:
            hidden = run_block(block, self.gradient_checkpointing, hidden, context, modulation, rotary)
        shift, scale = (wan.scale_shift_table + time[:, None]).unsqueeze(2).unbind(1)
        patches = wan.proj_out((wan.norm_out(hidden.float()) * (1 + scale) + shift).type_as(hidden))
        p = self.config.patch
        return -rearrange(patches, "b (l h w) (p q c) -> b c l (h p) (w q)", l=frames, h=rows, w=columns, p=p, q=p)

    def _time(self, t: FlowTime, task: TaskSignal | None) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b 6 d"]]:
        """The time vector, which the task joins before it reaches blocks and output, and the blocks' modulation."""
        embedder = self.transformer.condition_embedder
        # Wan keeps time in full precision; neighbouring timesteps are one number in bf16.
        with torch.autocast(t.device.type, enabled=False):
            sinusoids = embedder.timesteps_proj(TIMESTEPS * (1 - t.float()))
            time = embedder.time_embedder(sinusoids.to(embedder.time_embedder.linear_1.weight.dtype))
            if task is not None:
                time = time + task.time.to(time.dtype)
            modulation = embedder.time_proj(embedder.act_fn(time))
        return time, rearrange(modulation, "b (six d) -> b six d", six=6)

    def _context(self, text: TextContext, task: TaskSignal | None) -> Float[Tensor, "b m d"]:
        """Projected text of the fixed length, task tokens added to its last four slots.

        Wan's padding is zeros before the projection and is attended to, unlike ours: the slots are there already, and
        the base stays as it is while what is added to them is zero.
        """
        (part,) = text.parts
        length = self.config.text_len
        room = length if task is None else length - TASK_TOKENS
        if part.mask.shape[1] > room and part.mask[:, room:].any():
            longest = int(part.mask.sum(1).max())
            raise ValueError(f"a text of {longest} tokens: wan has room for {room} (models.text, the most tokens)")
        states = part.states.masked_fill(~part.mask[..., None], 0)[:, :length]
        padded = F.pad(states, (0, 0, 0, length - states.shape[1]))
        projected: Tensor = self.transformer.condition_embedder.text_embedder(padded)
        if task is None:
            return projected
        return projected + F.pad(task.tokens.to(projected.dtype), (0, 0, length - TASK_TOKENS, 0))

    def _check_grid(self, frames: int, height: int, width: int) -> None:
        patch, positions = self.config.patch, self.config.rope_max_seq_len
        if height % patch or width % patch:
            raise ValueError(f"latents of {height} x {width} are no whole patches of {patch}")
        if frames > self.max_latent_frames or max(height, width) // patch > positions:
            raise ValueError(
                f"a grid of {frames} latent frames, {height // patch} x {width // patch} patches exceeds "
                f"{self.max_latent_frames} latent frames, {positions} x {positions} patches"
            )


def diffusers_class(name: str) -> Any:
    """A class of diffusers, which is imported nowhere else.

    Raises:
        ModuleNotFoundError: diffusers is not installed; the message says how to.
    """
    try:
        import diffusers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("wan needs diffusers: pip install -e '.[wan]'", name="diffusers") from error
    return getattr(diffusers, name)


def load_wan_base(source: str | Path, text_len: int, max_latent_frames: int) -> WanBase:
    """The transformer of a Wan text-to-video pipeline: a local folder, or an id on the hub, with `transformer/` in it.

    Raises:
        ValueError: the weights are of another kind of Wan.
        ModuleNotFoundError: diffusers is not installed.
    """
    # diffusers wants accelerate for classes of which it keeps parts in fp32; here all parts are read in fp32.
    released: Any = diffusers_class("WanTransformer3DModel")
    whole: Any = type(released.__name__, (released,), {"_keep_in_fp32_modules": None})
    loaded = whole.from_pretrained(str(source), subfolder="transformer", use_safetensors=True)
    found = loaded.config
    temporal, patch, across = found["patch_size"]
    odd = {name: found[name] for name, value in FIXED.items() if found[name] != value}
    if odd or temporal != 1 or patch != across or found["in_channels"] != found["out_channels"]:
        shape = f"patch {tuple(found['patch_size'])}, channels {found['in_channels']} to {found['out_channels']}"
        raise ValueError(f"{source}: not a text-to-video Wan ({shape}{', ' if odd else ''}{odd or ''})")
    values = {name: found[name] for name in SHARED}
    config = WanConfig(name="wan", patch=patch, text_len=text_len, max_latent_frames=max_latent_frames, **values)
    weights = {f"transformer.{name}": tensor for name, tensor in loaded.state_dict().items()}
    return WanBase(config, found["out_channels"], weights)
