"""Layers of the temporal autoencoder: every 2D layer is followed by a 1D temporal one (Movie Gen, section 3.1.1)."""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class TemporalConv(nn.Conv3d):
    """1D convolution over time with symmetric replicate padding, starting as the identity."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, (3, 1, 1), (stride, 1, 1))
        nn.init.dirac_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] == 1:
            # Replicating a single frame makes all three taps see it: one 1x1 convolution with the summed taps.
            return F.conv3d(x, self.weight.sum(dim=2, keepdim=True), self.bias)
        return super().forward(F.pad(x, (0, 0, 0, 0, 1, 1), mode="replicate"))


class SpatialConv(nn.Conv2d):
    """2D convolution on every frame of [b c f h w]."""

    def forward(self, x: Tensor) -> Tensor:
        frames = super().forward(rearrange(x, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", b=x.shape[0])


class FrameNorm(nn.GroupNorm):
    """Group normalisation of each frame on its own, so that a frame does not depend on the clip's length."""

    def forward(self, x: Tensor) -> Tensor:
        frames = super().forward(rearrange(x, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", b=x.shape[0])


class ResidualBlock(nn.Module):
    """Two times norm, SiLU, 2D convolution, temporal convolution."""

    def __init__(self, inner: int, outer: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = FrameNorm(groups, inner), FrameNorm(groups, outer)
        self.spatial1, self.temporal1 = SpatialConv(inner, outer, 3, padding=1), TemporalConv(outer)
        self.spatial2, self.temporal2 = SpatialConv(outer, outer, 3, padding=1), TemporalConv(outer)
        self.shortcut = SpatialConv(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.temporal1(self.spatial1(F.silu(self.norm1(x))))
        hidden = self.temporal2(self.spatial2(F.silu(self.norm2(hidden))))
        shortcut: Tensor = self.shortcut(x)
        return shortcut + hidden


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
    """Halve space by a strided 2D convolution and, where asked, time by a strided temporal one."""

    def __init__(self, inner: int, outer: int, halve_time: bool) -> None:
        super().__init__()
        self.spatial = SpatialConv(inner, outer, 3, stride=2, padding=1)
        self.temporal = TemporalConv(outer, stride=2 if halve_time else 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.temporal(self.spatial(x))
        return out


class Up(nn.Module):
    """Double space and, where asked, time: nearest neighbour, then convolution."""

    def __init__(self, inner: int, outer: int, double_time: bool) -> None:
        super().__init__()
        self.scale = (2 if double_time else 1, 2, 2)
        self.spatial = SpatialConv(inner, outer, 3, padding=1)
        self.temporal = TemporalConv(outer)

    def forward(self, x: Tensor) -> Tensor:
        larger = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        out: Tensor = self.temporal(self.spatial(larger))
        return out
