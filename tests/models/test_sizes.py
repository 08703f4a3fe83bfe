"""Presets have the sizes that paper and releases state; models are built on the meta device, without memory."""

from functools import cache

import pytest
import torch
import yaml

from flows.params import Params
from flows.presets import PRESETS, resolve
from models.backbones.protocol import TASK_TOKENS
from models.build import AnyBackbone, NetworkConfig, build_autoencoder, build_base
from models.editor import EditModel
from models.shapes import LatentShape

TEXT_WIDTHS = {"moviegen": (4096, 1472, 1280), "wan": (4096,)}  # UL2, ByT5, MetaCLIP (section 3.1.4); UMT5
WAN = ["wan2.1-1.3b", "wan2.1-14b", "wan2.2-ti2v-5b"]


@cache
def params(preset: str) -> Params:
    """An overlay over the project's own params.yaml, as `make preset` writes it."""
    base = (PRESETS.parent / "params.yaml").read_text()
    text = resolve(base, (PRESETS / f"{preset}.yaml").read_text())
    return Params.checked(yaml.safe_load(text), preset)


def built(preset: str) -> AnyBackbone:
    models = params(preset).models
    config = NetworkConfig(
        backbone=models.backbone,
        latent_channels=models.autoencoder.latent_channels,
        text=models.text,
        text_revision="paper",
        text_widths=TEXT_WIDTHS[models.backbone.name],
    )
    with torch.device("meta"):
        return build_base(config)


@pytest.mark.parametrize("preset", ["paper-30b", "paper-5b"])
def test_a_paper_preset_reads_the_papers_encoders(preset: str) -> None:
    text = params(preset).models.text
    assert [(encoder.kind, encoder.max_tokens) for encoder in text.encoders][::2] == [("ul2", 256), ("metaclip", 256)]
    assert text.encoders[1].kind == "byt5"
    assert text.frame_rate_prefix == params(preset).features.geometry.frame_rate


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("preset", "low", "high"), [("paper-30b", 28.9e9, 29.5e9), ("paper-5b", 4.8e9, 5.1e9)])
def test_a_paper_preset_has_as_many_parameters_as_the_paper_counts(preset: str, low: float, high: float) -> None:
    count = parameters(built(preset))
    assert low <= count <= high, f"{preset}: {count / 1e9:.3f}B parameters, expected {low / 1e9} to {high / 1e9}B"


def test_the_blocks_of_the_30b_model_are_the_sum_of_their_matrices() -> None:
    blocks = built("paper-30b").blocks
    width, hidden = 6144, 16384
    matrices = 48 * (4 * width**2 + 4 * width**2 + 3 * width * hidden)
    assert matrices == pytest.approx(28.99e9, rel=1e-3)
    assert parameters(blocks) == matrices + 48 * 8 * width  # six modulation vectors and two norms a block


def test_the_editing_parts_of_the_30b_model_are_few() -> None:
    network = built("paper-30b")
    before = parameters(network)
    with torch.device("meta"):
        editor = EditModel(network, params("paper-30b").models.editing)
    added = parameters(editor) - before
    assert 0 < added < 0.002 * before, f"{added / 1e6:.1f}M parameters more"
    assert editor.skip is None


@pytest.mark.parametrize("preset", ["paper-30b", "paper-5b"])
def test_the_position_tables_hold_the_grid_of_the_preset(preset: str) -> None:
    models, geometry = params(preset).models, params(preset).features.geometry
    shape = models.autoencoder.latent_shape(geometry.clip_frames, geometry.resolution, geometry.resolution)
    backbone = models.backbone
    assert shape.frames <= backbone.max_latent_frames
    assert shape.height // backbone.patch <= backbone.max_rows
    assert shape.width // backbone.patch <= backbone.max_columns


def test_the_papers_clip_is_73728_tokens() -> None:
    models = params("paper-30b").models
    shape = models.autoencoder.latent_shape(256, 768, 768)
    assert shape == LatentShape(16, 32, 96, 96)
    assert shape.tokens(models.backbone.patch) == 73_728


@pytest.mark.parametrize(
    ("preset", "transformer", "autoencoder"),
    [("wan2.1-1.3b", 1.419e9, 126.9e6), ("wan2.1-14b", 14.289e9, 126.9e6), ("wan2.2-ti2v-5b", 5.0e9, 704.7e6)],
)
def test_a_preset_of_wan_has_the_size_of_the_release(preset: str, transformer: float, autoencoder: float) -> None:
    assert parameters(built(preset)) == pytest.approx(transformer, rel=2e-3)
    with torch.device("meta"):
        assert parameters(build_autoencoder(params(preset).models.autoencoder)) == pytest.approx(autoencoder, rel=2e-3)


@pytest.mark.parametrize("preset", WAN)
def test_a_preset_of_wan_reads_the_umt5_of_its_release(preset: str) -> None:
    models = params(preset).models
    (encoder,) = models.text.encoders
    assert encoder.kind == "umt5"
    assert encoder.source is not None and encoder.source in (PRESETS / f"{preset}.yaml").read_text().splitlines()[0]
    assert encoder.max_tokens == models.backbone.text_len - TASK_TOKENS
    assert models.text.frame_rate_prefix is None


@pytest.mark.parametrize("preset", WAN)
def test_the_grid_of_a_preset_of_wan_fits(preset: str) -> None:
    models, geometry = params(preset).models, params(preset).features.geometry
    shape = models.autoencoder.latent_shape(geometry.clip_frames, geometry.resolution, geometry.resolution)
    assert shape.frames == models.backbone.max_latent_frames
    assert shape.height % models.backbone.patch == 0
    assert (geometry.clip_frames - 1) % models.autoencoder.temporal_factor == 0  # no frame is padding
