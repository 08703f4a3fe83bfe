"""Laws of Wan's autoencoder behind our interface: shapes at every length, normalisation, the mode of the posterior."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan

from models.autoencoder_wan import WanAutoencoder, WanAutoencoderConfig, load_wan_autoencoder
from models.precision import Precision, autocast
from tests.tiny import CHANNELS, WAN_AUTOENCODER, latents, wan_autoencoder

RELEASED = WanAutoencoderConfig(
    name="wan", latent_channels=16, base_dim=96, decoder_base_dim=96, dim_mult=(1, 2, 4, 4), num_res_blocks=2,
    temporal_downsample=(False, True, True), is_residual=False, patch_size=1,
)  # fmt: skip
SECOND = {"is_residual": True, "patch_size": 2}  # how Wan2.2 differs from Wan2.1


def video(frames: int, seed: int = 0) -> torch.Tensor:
    return latents(1, 3, frames, 16, 24, seed=seed).clamp(-1, 1)


@torch.no_grad()
@pytest.mark.parametrize("change", [{}, SECOND], ids=["2.1", "2.2"])
@pytest.mark.parametrize("frames", range(1, 18))
def test_every_length_comes_back(frames: int, change: dict[str, Any]) -> None:
    network = wan_autoencoder(**change)
    found = network.encode(video(frames))
    assert tuple(found.shape[1:]) == network.config.latent_shape(frames, 16, 24).as_tuple()
    decoded = network.decode(found, frames)
    assert decoded.shape == (1, 3, frames, 16, 24)
    assert decoded.abs().max() <= 1


def test_one_frame_is_one_latent_frame_and_then_one_for_each_four() -> None:
    frames = {count: RELEASED.latent_shape(count, 480, 480).frames for count in (1, 2, 5, 6, 16, 81)}
    assert frames == {1: 1, 2: 2, 5: 2, 6: 3, 16: 5, 81: 21}
    assert RELEASED.latent_shape(81, 480, 832).as_tuple() == (16, 21, 60, 104)
    assert (RELEASED.spatial_factor, RELEASED.temporal_factor) == (8, 4)
    assert RELEASED.model_copy(update=SECOND).spatial_factor == 16


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple of 8 pixels"):
        RELEASED.latent_shape(1, 480, 484)


@torch.no_grad()
def test_latents_are_the_normalised_mode_and_the_same_every_time() -> None:
    network = wan_autoencoder()
    found = network.encode(video(5))
    mean = network.vae.encode(video(5)).latent_dist.mean
    raw = found * network.latent_std.view(1, -1, 1, 1, 1) + network.latent_mean.view(1, -1, 1, 1, 1)
    assert torch.allclose(raw, mean, atol=1e-6)
    assert torch.equal(network.encode(video(5)), found)


@torch.no_grad()
def test_decoding_undoes_the_normalisation() -> None:
    network = wan_autoencoder()
    raw = latents(1, CHANNELS, 2, 4, 6)
    normalised = (raw - network.latent_mean.view(1, -1, 1, 1, 1)) / network.latent_std.view(1, -1, 1, 1, 1)
    assert torch.allclose(network.decode(normalised, 5), network.vae.decode(raw).sample, atol=1e-5)


@torch.no_grad()
def test_the_last_frame_stands_in_for_those_that_lack() -> None:
    network, clip = wan_autoencoder(), video(6)
    continued = torch.cat([clip, clip[:, :, -1:].expand(-1, -1, 3, -1, -1)], dim=2)
    assert torch.equal(network.encode(clip), network.encode(continued))


@torch.no_grad()
def test_time_is_causal() -> None:
    network, clip = wan_autoencoder(), video(9)
    assert torch.allclose(network.encode(clip)[:, :, :1], network.encode(clip[:, :, :1]), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("change", [{}, SECOND], ids=["2.1", "2.2"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_precisions_give_full_precision_numbers(precision: Precision, change: dict[str, Any]) -> None:
    network = wan_autoencoder(**change)
    with autocast("cpu", precision):
        found = network.encode(video(5))
        decoded = network.decode(found, 5)
    assert found.dtype == decoded.dtype == torch.float32
    assert torch.allclose(found, network.encode(video(5)), atol=0.1)
    assert decoded.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("change", [{}, SECOND], ids=["2.1", "2.2"])
def test_released_weights_are_read_from_a_folder_with_their_statistics(tmp_path: Path, change: dict[str, Any]) -> None:
    network = wan_autoencoder(**change)
    network.vae.register_to_config(latents_mean=network.latent_mean.tolist(), latents_std=network.latent_std.tolist())
    network.vae.save_pretrained(tmp_path / "vae")
    found = load_wan_autoencoder(tmp_path)
    assert found.config == network.config
    again = WanAutoencoder(found.config).eval()
    again.load_state_dict(dict(found.weights))
    assert torch.allclose(again.encode(video(5)), network.encode(video(5)), atol=1e-6)


def test_another_kind_of_autoencoder_is_refused(tmp_path: Path) -> None:
    told = dict(wan_autoencoder().vae.config) | {"in_channels": 4}
    AutoencoderKLWan.from_config(told).save_pretrained(tmp_path / "vae")
    with pytest.raises(ValueError, match="not an autoencoder of RGB video"):
        load_wan_autoencoder(tmp_path)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"temporal_downsample": (True, True, False)}, "3 levels change 2 times"),
        ({"temporal_downsample": (True, False)}, "two of temporal_downsample"),
        ({"attn_scales": ()}, "Extra inputs"),
    ],
)
def test_a_config_that_cannot_be_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        WanAutoencoderConfig.model_validate(WAN_AUTOENCODER.model_dump() | change)
