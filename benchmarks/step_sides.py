"""The two networks that `benchmarks.step` compares, what both are given, and how many operations it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.moviegen import MovieGenConfig, MovieGenTransformer
from models.backbones.protocol import TASK_TOKENS
from models.backbones.wan import diffusers_class
from models.build import ModelParams
from models.conditioning import Condition
from models.editor import EditModel
from models.shapes import FlowTime, Latent
from models.tasks import TASK_COUNT
from models.text import TextContext, TextPart

SIDES = ("ours", "diffusers")
TEXT_WIDTH = 384  # MiniLM's


@dataclass(frozen=True)
class Sample:
    """A batch of random latents with its condition."""

    noise: Latent
    target: Latent
    time: FlowTime
    condition: Condition


Velocity = Callable[[Tensor, Sample], Tensor]
Side = tuple[nn.Module, Velocity]


def build_sides(models: ModelParams) -> dict[str, Side]:
    """Our editor and diffusers' Wan, freshly initialised.

    Raises:
        ValueError: the backbone of params.yaml is not our own.
        ModuleNotFoundError: diffusers is not installed.
    """
    shape = _own(models)
    channels = models.autoencoder.latent_channels
    editor = EditModel(MovieGenTransformer(shape, channels, (TEXT_WIDTH,)), models.editing)
    wan = _wan(shape, channels)

    def ours(x_t: Tensor, given: Sample) -> Tensor:
        velocity: Tensor = editor(x_t, given.time, given.condition)
        return velocity

    def theirs(x_t: Tensor, given: Sample) -> Tensor:
        # Where our context has task tokens, Wan's has as many more of text, and it knows no padding.
        states = nn.functional.pad(given.condition.text.parts[0].states, (0, 0, 0, TASK_TOKENS))
        both = torch.cat([x_t, given.condition.source], dim=1)
        velocity: Tensor = wan(both, 1000 * given.time, states, return_dict=False)[0]
        return velocity

    return dict(zip(SIDES, ((editor, ours), (wan, theirs)), strict=True))


def _own(models: ModelParams) -> MovieGenConfig:
    if not isinstance(models.backbone, MovieGenConfig):
        raise ValueError(f"this measures the backbone 'moviegen', not {models.backbone.name!r}")
    return models.backbone


def _wan(shape: MovieGenConfig, channels: int) -> Any:
    return diffusers_class("WanTransformer3DModel")(
        patch_size=(1, shape.patch, shape.patch),
        num_attention_heads=shape.heads,
        attention_head_dim=shape.width // shape.heads,
        in_channels=2 * channels,
        out_channels=channels,
        text_dim=TEXT_WIDTH,
        # SwiGLU has three matrices, Wan's feed-forward two.
        ffn_dim=3 * shape.hidden // 2,
        num_layers=shape.layers,
    )


def sample(models: ModelParams, batch: int, frames: int, side: int) -> Sample:
    """Random latents of videos of `frames` pictures of `side` pixels, texts of unequal lengths."""
    latent, most = models.autoencoder.latent_shape(frames, side, side), models.text.encoders[0].max_tokens
    noise, target, source = torch.randn(3, batch, *latent.as_tuple())
    states = torch.randn(batch, most, TEXT_WIDTH)
    lengths = torch.linspace(most // 3, most, batch).long()
    text = TextContext((TextPart(states, torch.arange(most) < lengths[:, None]),))
    condition = Condition(source, text, torch.arange(batch) % TASK_COUNT, torch.zeros(batch, dtype=torch.long))
    return Sample(noise, target, torch.rand(batch), condition)


def model_flops(models: ModelParams, given: Sample) -> float:
    """Operations of the matrix products of a forward pass of our editor; elementwise work is not counted."""
    shape, channels = _own(models), models.autoencoder.latent_channels
    batch, _, *grid = given.target.shape
    frames, rows, columns = grid
    tokens = frames * (rows // shape.patch) * (columns // shape.patch)
    said = given.condition.text.parts[0].states.shape[1]
    context, width = said + TASK_TOKENS, shape.width
    per_token = (6 * width + 3 * shape.hidden) * width + 2 * (tokens + context) * width
    block = batch * (tokens * per_token + context * 2 * width**2)
    patch = channels * shape.patch**2
    ends = batch * (tokens * 3 * patch * width + said * TEXT_WIDTH * width)
    time = batch * width * (256 + 7 * width)
    return 2.0 * (shape.layers * block + ends + time)
