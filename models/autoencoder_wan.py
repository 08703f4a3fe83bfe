"""Wan's autoencoder behind the interface of ours: diffusers' `AutoencoderKLWan`, causal in time, 4x in time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from models.backbones.wan import diffusers_class
from models.shapes import Latent, LatentShape, Video

TEMPORAL_FACTOR = 4  # the class walks through a clip in steps of four frames, whatever its config says
FIXED: dict[str, Any] = {"attn_scales": [], "dropout": 0.0}


class WanAutoencoderConfig(BaseModel):
    """Shape of the autoencoder, most of it under the names that diffusers gives it.

    `patch_size` packs pixels before the first layer; 1 for Wan2.1, 2 for Wan2.2, whose levels are `is_residual` too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["wan"]
    latent_channels: int
    base_dim: int
    decoder_base_dim: int
    dim_mult: tuple[int, ...]
    num_res_blocks: int
    temporal_downsample: tuple[bool, ...]
    is_residual: bool
    patch_size: int

    @model_validator(mode="after")
    def _levels_agree(self) -> "WanAutoencoderConfig":
        if len(self.temporal_downsample) != len(self.dim_mult) - 1:
            raise ValueError(f"{len(self.dim_mult)} levels change {len(self.dim_mult) - 1} times in between")
        if 2 ** sum(self.temporal_downsample) != TEMPORAL_FACTOR:
            raise ValueError(f"two of temporal_downsample must be true, not {sum(self.temporal_downsample)}")
        return self

    @property
    def spatial_factor(self) -> int:
        return int(self.patch_size * 2 ** (len(self.dim_mult) - 1))

    @property
    def temporal_factor(self) -> int:
        return TEMPORAL_FACTOR

    @property
    def tileable(self) -> bool:
        # Its first latent frame stands for one frame, not four; and diffusers takes four frames at a time anyway.
        return False

    def latent_shape(self, frames: int, height: int, width: int) -> LatentShape:
        """Shape of the latents of a video: one latent frame for the first frame, one for each four that follow.

        Raises:
            ValueError: height or width is not a multiple of the spatial factor.
        """
        latent_frames = 1 + -(-(frames - 1) // TEMPORAL_FACTOR)
        return LatentShape.of_pixels(self.latent_channels, latent_frames, height, width, self.spatial_factor)


class WanAutoencoder(nn.Module):
    """Video [b 3 f h w] in [-1, 1] to normalised latents [b c l h w] and back. A picture is a one-frame video.

    Not for several threads at once: diffusers keeps the frames gone by in the module.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: WanAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        packed = 3 * config.patch_size**2
        self.vae: Any = diffusers_class("AutoencoderKLWan")(
            base_dim=config.base_dim,
            decoder_base_dim=config.decoder_base_dim,
            z_dim=config.latent_channels,
            dim_mult=list(config.dim_mult),
            num_res_blocks=config.num_res_blocks,
            temperal_downsample=list(config.temporal_downsample),
            is_residual=config.is_residual,
            in_channels=packed,
            out_channels=packed,
            patch_size=config.patch_size if config.patch_size > 1 else None,
            scale_factor_spatial=config.spatial_factor,
            scale_factor_temporal=TEMPORAL_FACTOR,
            **FIXED,
        )
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))

    def encode(self, video: Video) -> Latent:
        """Normalised mode of the posterior. Clips of other than 4k + 1 frames are continued by their last frame."""
        missing = -(video.shape[2] - 1) % TEMPORAL_FACTOR
        whole = F.pad(video, (0, 0, 0, 0, 0, missing), mode="replicate") if missing else video
        mode = self.vae.encode(whole).latent_dist.mode().float()
        return (mode - self._over_channels(self.latent_mean)) / self._over_channels(self.latent_std)

    def decode(self, latents: Latent, frames: int) -> Video:
        """The first `frames` frames of normalised latents, clipped to [-1, 1]."""
        raw = latents.float() * self._over_channels(self.latent_std) + self._over_channels(self.latent_mean)
        video: Tensor = self.vae.decode(raw).sample
        return video[:, :, :frames].float().clamp(-1, 1)

    def set_normalisation(self, mean: Float[Tensor, " c"], std: Float[Tensor, " c"]) -> None:
        """Fix the per-channel statistics that give latents zero mean and unit variance."""
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(std)

    @staticmethod
    def _over_channels(values: Tensor) -> Tensor:
        return values[None, :, None, None, None]


@dataclass(frozen=True)
class WanAutoencoderWeights:
    """Released weights and latent statistics, under the names of `WanAutoencoder`, with their shape."""

    config: WanAutoencoderConfig
    weights: Mapping[str, Tensor]


def load_wan_autoencoder(source: str | Path) -> WanAutoencoderWeights:
    """The autoencoder of a Wan pipeline: a local folder, or an id on the hub, with `vae/` in it.

    Raises:
        ValueError: the weights are of another kind of autoencoder.
        ModuleNotFoundError: diffusers is not installed.
    """
    loaded = diffusers_class("AutoencoderKLWan").from_pretrained(str(source), subfolder="vae", use_safetensors=True)
    found = loaded.config
    patch = found["patch_size"] or 1
    packed = 3 * patch**2
    odd = {name: found[name] for name, value in FIXED.items() if found[name] != value}
    if odd or (found["in_channels"], found["out_channels"]) != (packed, packed):
        channels = f"channels {found['in_channels']} to {found['out_channels']}, patch {patch}"
        raise ValueError(f"{source}: not an autoencoder of RGB video as Wan has it ({channels}; {odd})")
    config = WanAutoencoderConfig(
        name="wan",
        latent_channels=found["z_dim"],
        base_dim=found["base_dim"],
        decoder_base_dim=found["decoder_base_dim"] or found["base_dim"],
        dim_mult=tuple(found["dim_mult"]),
        num_res_blocks=found["num_res_blocks"],
        temporal_downsample=tuple(found["temperal_downsample"]),
        is_residual=found["is_residual"],
        patch_size=patch,
    )
    weights = {f"vae.{name}": tensor for name, tensor in loaded.state_dict().items()}
    weights["latent_mean"] = torch.tensor(found["latents_mean"])
    weights["latent_std"] = torch.tensor(found["latents_std"])
    return WanAutoencoderWeights(config, weights)
