"""The temporal autoencoder (TAE): 2D layers each followed by a 1D temporal layer (Movie Gen, section 3.1.1)."""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from models.autoencoder_layers import Down, FactoredAttention, FrameNorm, ResidualBlock, SpatialConv, Up
from models.shapes import Latent, LatentShape, Video


class AutoencoderConfig(BaseModel):
    """Shape of the autoencoder.

    `pixel_patch` packs pixels into channels; then space halves at each of the first `spatial_halvings` level changes
    and time at each of the first `temporal_halvings`. `linear_path` adds a linear autoencoder beside the deep one (not
    in the paper). The paper's 8x8x8 is pixel_patch 1 with four levels and three halvings of both; a larger pixel patch
    saves the costly full-resolution layers on a CPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["tae"]
    latent_channels: int
    channels: tuple[int, ...]
    blocks: int
    groups: int
    pixel_patch: int
    spatial_halvings: int
    temporal_halvings: int
    linear_path: bool

    @model_validator(mode="after")
    def _levels_are_enough(self) -> "AutoencoderConfig":
        for name, halvings in (("spatial", self.spatial_halvings), ("temporal", self.temporal_halvings)):
            if halvings > len(self.channels) - 1:
                raise ValueError(f"{halvings} {name} halvings need as many level changes")
        if any(width % self.groups for width in self.channels):
            raise ValueError(f"channels {self.channels} are not all multiples of groups {self.groups}")
        return self

    @property
    def spatial_factor(self) -> int:
        return int(self.pixel_patch * 2**self.spatial_halvings)

    @property
    def temporal_factor(self) -> int:
        return int(2**self.temporal_halvings)

    @property
    def tileable(self) -> bool:
        return True

    def latent_shape(self, frames: int, height: int, width: int) -> LatentShape:
        """Shape of the latents of a video: T' frames give ceil(T' / temporal factor) latent frames.

        Raises:
            ValueError: height or width is not a multiple of the spatial factor.
        """
        latent_frames = -(-frames // self.temporal_factor)
        return LatentShape.of_pixels(self.latent_channels, latent_frames, height, width, self.spatial_factor)


@dataclass(frozen=True)
class Posterior:
    """Mean and log variance of q(latents | video), before normalisation."""

    mean: Latent
    log_variance: Latent

    def sample(self, noise: Latent) -> Latent:
        return self.mean + (0.5 * self.log_variance).exp() * noise


class LinearPath(nn.Module):
    """A linear autoencoder of blocks of pixels in space and time, beside the deep one.

    Not in the paper. Set to principal components it gives a small model its picture from the first step; the deep
    layers learn what is left, which on a CPU saves most of the training. A clip is lengthened to whole blocks by its
    last frame, so a picture is a still block.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.space, self.time = config.spatial_factor, config.temporal_factor
        values = 3 * self.time * self.space**2
        self.down = nn.Linear(values, config.latent_channels)
        self.up = nn.Linear(config.latent_channels, values)

    def blocks(self, video: Video) -> Float[Tensor, "b l y x v"]:
        """The flattened blocks [c t p q] of a video."""
        missing = -video.shape[2] % self.time
        whole = torch.cat([video, video[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2) if missing else video
        return rearrange(
            whole, "b c (l t) (y p) (x q) -> b l y x (c t p q)", t=self.time, p=self.space, q=self.space
        )  # fmt: skip

    def encode(self, video: Video) -> Latent:
        """The mean latents of a video."""
        return rearrange(self.down(self.blocks(video)), "b l y x c -> b c l y x")

    def decode(self, latents: Latent, frames: int) -> Video:
        """The video of latents, its surplus frames dropped."""
        blocks = self.up(rearrange(latents, "b c l y x -> b l y x c"))
        video = rearrange(
            blocks, "b l y x (c t p q) -> b c (l t) (y p) (x q)", t=self.time, p=self.space, q=self.space
        )  # fmt: skip
        return video[:, :, :frames]

    @torch.no_grad()
    def set_components(self, blocks: Float[Tensor, "k v"]) -> None:
        """Make latents the principal components, at unit variance, of flattened blocks; they stay as they are."""
        mean = blocks.mean(0)
        components = torch.linalg.svd(blocks - mean, full_matrices=False).Vh[: self.down.out_features]
        scale = ((blocks - mean) @ components.T).std(0).clamp(min=1e-6)[:, None]
        self.down.weight.copy_(components / scale)
        self.down.bias.copy_(-(components / scale) @ mean)
        self.up.weight.copy_((components * scale).T)
        self.up.bias.copy_(mean)
        self.requires_grad_(False)


class Autoencoder(nn.Module):
    """Video [b 3 f h w] in [-1, 1] to normalised latents [b c l h w] and back. A picture is a one-frame video."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.channels[0], config.channels[-1]
        pixels = 3 * config.pixel_patch**2
        self.encoder = nn.Sequential(
            SpatialConv(pixels, first, 3, padding=1),
            *_encoder_levels(config),
            FrameNorm(config.groups, last),
            nn.SiLU(),
            SpatialConv(last, 2 * config.latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            SpatialConv(config.latent_channels, last, 3, padding=1),
            *_decoder_levels(config),
            FrameNorm(config.groups, first),
            nn.SiLU(),
            SpatialConv(first, pixels, 3, padding=1),
        )
        self.linear = LinearPath(config) if config.linear_path else None
        self._initialise(self.encoder[-1], self.decoder[-1])
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))

    def posterior(self, video: Video) -> Posterior:
        """q(latents | video), unnormalised, as training needs it."""
        p = self.config.pixel_patch
        packed = rearrange(video, "b c f (h p) (w q) -> b (c p q) f h w", p=p, q=p)
        packed = packed.contiguous(memory_format=torch.channels_last_3d)
        mean, log_variance = self.encoder(packed).float().chunk(2, dim=1)
        if self.linear is not None:
            mean = mean + self.linear.encode(video).float()
        return Posterior(mean, log_variance.clamp(-30, 20))

    def reconstruct(self, latents: Latent, frames: int) -> Video:
        """Decode unnormalised latents to `frames` frames; the surplus of the last latent frame is dropped."""
        p = self.config.pixel_patch
        packed = self.decoder(latents.contiguous(memory_format=torch.channels_last_3d))
        if latents.shape[2] == 1:
            packed = packed.expand(-1, -1, frames, -1, -1)
        packed = packed[:, :, :frames].float()
        video = rearrange(packed, "b (c p q) f h w -> b c f (h p) (w q)", p=p, q=p)
        return video if self.linear is None else video + self.linear.decode(latents, frames).float()

    def encode(self, video: Video) -> Latent:
        """Normalised mode of the posterior: what the transformer reads, in training and at inference alike."""
        return (self.posterior(video).mean - self._over_channels(self.latent_mean)) / self._over_channels(
            self.latent_std
        )

    def decode(self, latents: Latent, frames: int) -> Video:
        """The video of normalised latents, clipped to [-1, 1]."""
        raw = latents.float() * self._over_channels(self.latent_std) + self._over_channels(self.latent_mean)
        return self.reconstruct(raw, frames).clamp(-1, 1)

    def set_normalisation(self, mean: Float[Tensor, " c"], std: Float[Tensor, " c"]) -> None:
        """Fix the per-channel statistics that give latents zero mean and unit variance."""
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(std)

    def _initialise(self, to_posterior: nn.Module, to_pixels: nn.Module) -> None:
        assert isinstance(to_posterior, nn.Conv2d) and to_posterior.bias is not None
        assert isinstance(to_pixels, nn.Conv2d) and to_pixels.bias is not None
        # A narrow posterior to begin with: unit noise on every latent would hide what there is to learn.
        nn.init.constant_(to_posterior.bias[self.config.latent_channels :], -8.0)
        if self.linear is not None:
            # The deep path starts at zero, so that the linear one is what the model begins with.
            nn.init.zeros_(to_posterior.weight)
            nn.init.zeros_(to_posterior.bias[: self.config.latent_channels])
            nn.init.zeros_(to_pixels.weight)
            nn.init.zeros_(to_pixels.bias)

    @staticmethod
    def _over_channels(values: Tensor) -> Tensor:
        return values[None, :, None, None, None]


def _encoder_levels(config: AutoencoderConfig) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for level, width in enumerate(config.channels):
        layers += [ResidualBlock(width, config.groups) for _ in range(config.blocks)]
        if level + 1 < len(config.channels):
            halve = (level < config.spatial_halvings, level < config.temporal_halvings)
            layers.append(Down(width, config.channels[level + 1], *halve))
    return [*layers, FactoredAttention(config.channels[-1], config.groups)]


def _decoder_levels(config: AutoencoderConfig) -> list[nn.Module]:
    last = config.channels[-1]
    layers: list[nn.Module] = [FactoredAttention(last, config.groups)]
    for level in reversed(range(len(config.channels))):
        width = config.channels[level]
        layers += [ResidualBlock(width, config.groups) for _ in range(config.blocks)]
        if level > 0:
            double = (level <= config.spatial_halvings, level <= config.temporal_halvings)
            layers.append(Up(width, config.channels[level - 1], *double))
    return layers
