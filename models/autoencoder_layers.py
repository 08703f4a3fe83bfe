"""Layers of the temporal autoencoder: every 2D layer is followed by a 1D temporal one (Movie Gen, section 3.1.1).

Activations [b c f h w] lie in memory as b f h w c. In that order the frames of all clips are one batch of pictures, and
the pixels of a clip one row of a picture whose height is time: both kinds of convolution are 2D ones on a view.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


def as_frames(x: Tensor) -> Tensor:
    """[b c f h w] as pictures [b*f c h w]; a view where memory is ordered as this file says."""
    return x.transpose(1, 2).flatten(0, 1)


def as_clips(frames: Tensor, batch: int) -> Tensor:
    """The inverse of `as_frames`."""
    return torch.unflatten(frames, 0, (batch, -1)).transpose(1, 2)


class TemporalConv(nn.Conv3d):
    """1D convolution over time with symmetric replicate padding, starting as the identity."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, (3, 1, 1), (stride, 1, 1))
        nn.init.dirac_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[3:]
        if x.shape[2] == 1:
            # Replicating a single frame makes all three taps see it: one 1x1 convolution with the summed taps.
            mixed = F.conv2d(x.flatten(3), self.weight.sum(dim=2), self.bias)
        else:
            padded = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
            mixed = F.conv2d(padded.flatten(3), self.weight.flatten(3), self.bias, (self.stride[0], 1))
        return torch.unflatten(mixed, 3, (height, width))


class SpatialConv(nn.Conv2d):
    """2D convolution on every frame of [b c f h w]."""

    def forward(self, x: Tensor) -> Tensor:
        return as_clips(super().forward(as_frames(x)), x.shape[0])


class FrameNorm(nn.GroupNorm):
    """Group normalisation of each frame on its own, so that a frame does not depend on the clip's length."""

    def forward(self, x: Tensor) -> Tensor:
        return as_clips(super().forward(as_frames(x)), x.shape[0])


class ResidualBlock(nn.Module):
    """Two times norm, SiLU, 2D convolution, temporal convolution. It starts as the identity."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = FrameNorm(groups, channels), FrameNorm(groups, channels)
        self.spatial1, self.temporal1 = SpatialConv(channels, channels, 3, padding=1), TemporalConv(channels)
        self.spatial2, self.temporal2 = SpatialConv(channels, channels, 3, padding=1), TemporalConv(channels)
        nn.init.zeros_(self.spatial2.weight)
        assert self.spatial2.bias is not None
        nn.init.zeros_(self.spatial2.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.temporal1(self.spatial1(F.silu(self.norm1(x))))
        hidden = self.temporal2(self.spatial2(F.silu(self.norm2(hidden))))
        return x + hidden


class FactoredAttention(nn.Module):
    """Spatial attention in each frame, then temporal attention at each position, as residuals."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = FrameNorm(groups, channels)
        self.spatial = nn.Linear(channels, 3 * channels)
        self.spatial_out = nn.Linear(channels, channels)
        self.temporal = nn.Linear(channels, 3 * channels)
        self.temporal_out = nn.Linear(channels, channels)
        for layer in (self.spatial_out, self.temporal_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, frames, height, width = x.shape
        tokens = rearrange(self.norm(x), "b c f h w -> (b f) (h w) c")
        mixed = rearrange(
            self._attend(tokens, self.spatial, self.spatial_out), "(b f) (h w) c -> b c f h w", b=batch, h=height
        )
        x = x + mixed
        if frames == 1:
            return x
        tokens = rearrange(x, "b c f h w -> (b h w) f c")
        mixed = self._attend(tokens, self.temporal, self.temporal_out)
        return x + rearrange(mixed, "(b h w) f c -> b c f h w", b=batch, h=height, w=width)

    @staticmethod
    def _attend(tokens: Tensor, project: nn.Linear, out: nn.Linear) -> Tensor:
        query, key, value = project(tokens).chunk(3, dim=-1)
        mixed: Tensor = out(F.scaled_dot_product_attention(query, key, value))
        return mixed


class Down(nn.Module):
    """Halve space by a strided 2D convolution, time by a strided temporal one, each where asked."""

    def __init__(self, inner: int, outer: int, halve_space: bool, halve_time: bool) -> None:
        super().__init__()
        self.spatial = SpatialConv(inner, outer, 3, stride=2 if halve_space else 1, padding=1)
        self.temporal = TemporalConv(outer, stride=2 if halve_time else 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.temporal(self.spatial(x))
        return out


class Up(nn.Module):
    """Double space and time, each where asked: nearest neighbour, then convolution.

    A single frame stays single: doubled, its copies would remain equal through every replicating convolution.
    """

    def __init__(self, inner: int, outer: int, double_space: bool, double_time: bool) -> None:
        super().__init__()
        self.double_space, self.double_time = double_space, double_time
        self.spatial = SpatialConv(inner, outer, 3, padding=1)
        self.temporal = TemporalConv(outer)

    def forward(self, x: Tensor) -> Tensor:
        if self.double_space:
            x = as_clips(F.interpolate(as_frames(x), scale_factor=2, mode="nearest"), x.shape[0])
        mixed: Tensor = self.spatial(x)
        if self.double_time and x.shape[2] > 1:
            # After the 2D convolution, which sees each frame alone: repeating frames first would double its work.
            mixed = mixed.repeat_interleave(2, dim=2)
        out: Tensor = self.temporal(mixed)
        return out
