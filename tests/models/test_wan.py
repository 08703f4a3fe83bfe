"""What is Wan's own: signs and times, text of a fixed length, relative positions, released weights."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import WanTransformer3DModel

from models.backbones.protocol import TASK_TOKENS
from models.backbones.wan import WanBackbone, WanConfig, load_wan_base
from models.text import TextContext, TextPart
from tests.tiny import CHANNELS, TEXT_WIDTH, WAN, base, condition, fresh_editor, latents, texts, trained_editor

T = torch.tensor([0.2, 0.9])


def as_wan_reads(text: TextContext) -> torch.Tensor:
    """States with zeros for padding, to the fixed length: what Wan's own pipeline hands over."""
    states = torch.zeros(len(text), WAN.text_len, TEXT_WIDTH)
    for row in range(len(text)):
        (real,) = text.trimmed(row)
        states[row, : len(real)] = real
    return states


@torch.no_grad()
@pytest.mark.parametrize("per_token", [False, True], ids=["a timestep a sample", "a timestep a token"])
def test_the_velocity_is_the_mirrored_prediction_of_the_real_class(per_token: bool) -> None:
    network, told, x = base("wan"), condition(), latents()
    timestep = 1000 * (1 - T)
    if per_token:  # Wan2.2 TI2V; all tokens are equally noisy here
        timestep = timestep[:, None].expand(-1, 2 * 4 * 4)
    noise_minus_video = network.transformer(x, timestep, as_wan_reads(told.text)).sample
    assert torch.allclose(network(x, T, told.text, told.offsets), -noise_minus_video, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 3])
def test_a_common_shift_of_the_frames_changes_nothing(frames: int) -> None:
    editor, x = trained_editor("wan"), latents(2, CHANNELS, frames, 8, 8)
    told = condition(frames=frames)
    before = editor(x, T, told)
    assert torch.equal(editor(x, T, replace(told, offsets=told.offsets + 3)), before)
    rope = editor.backbone.transformer.rope
    for table in (rope.freqs_cos, rope.freqs_sin):
        table[:-3, : rope.t_dim] = table[3:, : rope.t_dim].clone()
    assert torch.allclose(editor(x, T, told), before, atol=1e-5)


@torch.no_grad()
def test_the_order_of_the_frames_matters() -> None:
    network, told, x = base("wan"), condition(), latents(2, CHANNELS, 3, 8, 8)
    turned = network(x.flip(2), T, told.text, told.offsets).flip(2)
    assert not torch.allclose(turned, network(x, T, told.text, told.offsets), atol=1e-4)


@torch.no_grad()
def test_task_tokens_lie_in_the_last_slots_and_text_keeps_its_own() -> None:
    editor, told = trained_editor("wan"), condition()
    task = editor.task(told.task)
    plain, full = editor.backbone._context(told.text, None), editor.backbone._context(told.text, task)
    assert plain.shape == (2, WAN.text_len, editor.backbone.width)
    assert torch.equal(full[:, :-TASK_TOKENS], plain[:, :-TASK_TOKENS])
    assert torch.allclose(full[:, -TASK_TOKENS:] - plain[:, -TASK_TOKENS:], task.tokens, atol=1e-6)


@torch.no_grad()
def test_a_text_may_fill_the_base_but_must_leave_the_editor_its_slots() -> None:
    told = condition()
    fits, full, over = (replace(told, text=texts(n, 3)) for n in (WAN.text_len - 4, WAN.text_len, WAN.text_len + 1))
    editor = fresh_editor(name="wan")
    assert editor(latents(), T, fits).isfinite().all()
    with pytest.raises(ValueError, match="a text of 16 tokens: wan has room for 12"):
        editor(latents(), T, full)
    assert base("wan")(latents(), T, full.text, told.offsets).isfinite().all()
    with pytest.raises(ValueError, match="a text of 17 tokens: wan has room for 16"):
        base("wan")(latents(), T, over.text, told.offsets)
    # Padding beyond the fixed length is no text.
    (part,) = fits.text.parts
    longer = torch.nn.functional.pad(part.states, (0, 0, 0, 9)), torch.nn.functional.pad(part.mask, (0, 9))
    assert editor(latents(), T, replace(told, text=TextContext((TextPart(*longer),)))).isfinite().all()


@pytest.mark.parametrize(
    "grid, reason",
    [
        ((9, 8, 8), "9 latent frames, 4 x 4 patches exceeds 8"),
        ((1, 7, 8), "7 x 8 are no whole patches of 2"),
        ((1, 8, 34), "4 x 17 patches exceeds 8 latent frames, 16 x 16"),
    ],
)
def test_a_grid_that_does_not_fit_is_refused(grid: tuple[int, int, int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        base("wan")(latents(1, CHANNELS, *grid), torch.zeros(1), texts(3), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("widths", [(TEXT_WIDTH, TEXT_WIDTH), (TEXT_WIDTH + 1,)])
def test_other_text_than_wans_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wan reads one text encoder of width 12"):
        WanBackbone(WAN, CHANNELS, widths)


@pytest.mark.parametrize("change", [{"max_latent_frames": 17}, {"text_len": 4}, {"qk_norm": "none"}])
def test_a_config_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        WanConfig.model_validate(WAN.model_dump() | change)


def test_without_diffusers_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[wan\]'"):
        WanBackbone(WAN, CHANNELS, (TEXT_WIDTH,))


@torch.no_grad()
def test_released_weights_are_read_from_a_folder(tmp_path: Path) -> None:
    told, network = condition(), base("wan")
    network.transformer.save_pretrained(tmp_path / "transformer")
    found = load_wan_base(tmp_path, WAN.text_len, WAN.max_latent_frames)
    assert (found.config, found.latent_channels) == (WAN, CHANNELS)
    again = WanBackbone(found.config, found.latent_channels, (TEXT_WIDTH,)).eval()
    again.load_state_dict(dict(found.weights))
    assert torch.equal(again(latents(), T, told.text, told.offsets), network(latents(), T, told.text, told.offsets))


@pytest.mark.parametrize(
    "change", [{"in_channels": 2 * CHANNELS}, {"patch_size": (2, 2, 2)}, {"image_dim": 8, "added_kv_proj_dim": 24}]
)
def test_another_kind_of_wan_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    told = dict(base("wan").transformer.config) | change
    WanTransformer3DModel.from_config(told).save_pretrained(tmp_path / "transformer")
    with pytest.raises(ValueError, match="not a text-to-video Wan"):
        load_wan_base(tmp_path, WAN.text_len, WAN.max_latent_frames)
