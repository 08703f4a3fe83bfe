"""Transformer layers of Movie Gen Video: RMSNorm, SwiGLU, full attention (section 3.1.3, Table 9)."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.fused import modulated_rms_norm
from models.shapes import FlowTime, Tokens

NORM_EPS = 1e-5  # Movie Gen, Table 9
GATE_OF_ATTENTION, GATE_OF_FEED_FORWARD = 2, 5  # of shift, scale, gate, twice
POSITION_SCALE = 0.2  # beside tokens of size 1; at 0.02 a token does not find its neighbours
MOST_EXPLICIT = 1024  # tokens: beyond, the matrix of scores costs more than it saves


def attend(
    query: Float[Tensor, "b a n k"],
    key: Float[Tensor, "b a m k"],
    value: Float[Tensor, "b a m k"],
    mask: Bool[Tensor, "b m"] | None = None,
) -> Float[Tensor, "b a n k"]:
    """Scaled dot-product attention; keys outside the mask get no weight."""
    trained_on_cpu = query.requires_grad and query.device.type == "cpu" and query.dtype == torch.bfloat16
    if trained_on_cpu and max(query.shape[2], key.shape[2]) <= MOST_EXPLICIT:
        return _explicit(query, key, value, mask)
    visible = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=visible)


def _explicit(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention as matrix products: torch's fused backward pass in bf16 on CPU takes two to three times as long."""
    sizes, scale = query.shape[:2], query.shape[-1] ** -0.5
    query, key, value = (each.flatten(0, 1) for each in (query, key, value))
    if mask is None:
        scores = (query * scale) @ key.transpose(1, 2)
    else:
        bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -torch.inf)
        rows = bias.repeat_interleave(sizes[1], 0).unsqueeze(1)
        scores = torch.baddbmm(rows, query, key.transpose(1, 2), alpha=scale)
    return (scores.softmax(dim=-1) @ value).unflatten(0, sizes)


class Attention(nn.Module):
    """Multi-head attention without biases; keys and values come from `context` when it is given.

    The paper does not normalise queries and keys; a small model under a high rate needs it (docs/log.md).
    """

    def __init__(self, width: int, heads: int, query_key_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        norms = [nn.RMSNorm(width // heads, eps=NORM_EPS) if query_key_norm else nn.Identity() for _ in range(2)]
        self.query_norm, self.key_norm = norms

    def forward(
        self, x: Tokens, context: Float[Tensor, "b m d"] | None = None, mask: Bool[Tensor, "b m"] | None = None
    ) -> Tokens:
        query = rearrange(self.query(x), "b n (a k) -> b a n k", a=self.heads)
        keys = self.key_value(x if context is None else context)
        key, value = rearrange(keys, "b m (two a k) -> two b a m k", two=2, a=self.heads)
        mixed = attend(self.query_norm(query).to(value.dtype), self.key_norm(key).to(value.dtype), value, mask)
        return self.out(rearrange(mixed, "b a n k -> b n (a k)"))


class SwiGlu(nn.Module):
    """Gated feed-forward layer of LLaMa 3."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tokens) -> Tokens:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class TimeEmbedding(nn.Module):
    """Flow time to one vector [b d]: sinusoid, then two linear layers."""

    def __init__(self, width: int, frequencies: int = 256) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: FlowTime) -> Float[Tensor, "b d"]:
        half = self.frequencies // 2
        rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=t.device) / half)
        # Sinusoids are made for 1000 discrete steps; flow time is 0..1.
        angles = 1000.0 * t[:, None].float() * rates
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))


def modulated_norm(norm: nn.RMSNorm, x: Tokens, scale: Float[Tensor, "b 1 d"], shift: Float[Tensor, "b 1 d"]) -> Tokens:
    """Normalised tokens times 1 + scale, plus shift."""
    return modulated_rms_norm(x, norm.weight * (1 + scale), shift, NORM_EPS)


class Block(nn.Module):
    """Self-attention, cross-attention, SwiGLU. The AdaLN MLP is shared; each block has only a small table of its own.

    A per-layer AdaLN would add 10.9B parameters to the 30B model, so the paper's count needs the shared form.
    """

    def __init__(self, width: int, heads: int, hidden: int, query_key_norm: bool) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.randn(6, width) / width**0.5)
        # Branches count from the first step: gates that start near zero take a thousand steps to open.
        with torch.no_grad():
            self.modulation[[GATE_OF_ATTENTION, GATE_OF_FEED_FORWARD]] += 1
        self.attention_norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.attention = Attention(width, heads, query_key_norm)
        self.cross_attention = Attention(width, heads, query_key_norm)
        self.feed_forward_norm = nn.RMSNorm(width, eps=NORM_EPS)
        self.feed_forward = SwiGlu(width, hidden)

    def forward(
        self,
        x: Tokens,
        modulation: Float[Tensor, "b 6 d"],
        text: Float[Tensor, "b m d"],
        text_mask: Bool[Tensor, "b m"],
    ) -> Tokens:
        parts = (modulation + self.modulation).unsqueeze(2).unbind(1)
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = parts
        x = x + gate_a * self.attention(modulated_norm(self.attention_norm, x, scale_a, shift_a))
        x = x + self.cross_attention(x, text, text_mask)
        return x + gate_f * self.feed_forward(modulated_norm(self.feed_forward_norm, x, scale_f, shift_f))


class FactoredPositions(nn.Module):
    """Three learnable tables, summed per token and added to the input of every layer (Movie Gen, section 3.1.3)."""

    def __init__(self, width: int, frames: int, height: int, width_cells: int) -> None:
        super().__init__()
        self.frames = nn.Parameter(torch.randn(frames, width) * POSITION_SCALE)
        self.rows = nn.Parameter(torch.randn(height, width) * POSITION_SCALE)
        self.columns = nn.Parameter(torch.randn(width_cells, width) * POSITION_SCALE)

    def forward(self, frames: Float[Tensor, "b l d"], height: int, width: int) -> Float[Tensor, "b n d"]:
        """Positions of a grid, given the time rows already looked up by `time_rows`."""
        plane = self.rows[:height, None] + self.columns[None, :width]
        grid = frames[:, :, None, None] + plane[None, None]
        return rearrange(grid, "b l h w d -> b (l h w) d")

    def time_rows(self, count: int, offsets: Tensor) -> Float[Tensor, "b l d"]:
        """Temporal embeddings of `count` latent frames starting at each sample's offset."""
        index = offsets[:, None] + torch.arange(count, device=offsets.device)
        return self.frames[index]
