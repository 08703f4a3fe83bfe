"""Laws of temporal tiling: weights sum to one, still clips and short ones do not show it, no tile is ever longer."""

from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.tiling import TilingConfig, VideoAutoencoder, decode_tiled, encode_tiled, plan_tiles, tile_weights
from tests.tiny import CHANNELS, autoencoder, latents, wan_autoencoder

PAPER = TilingConfig(latent_frames=4, overlap=2)
TILINGS = [PAPER, *(TilingConfig(latent_frames=n, overlap=o) for n, o in ((3, 0), (4, 0), (3, 1), (3, 2), (6, 5)))]
each_tiling = pytest.mark.parametrize("tile", TILINGS, ids=lambda tile: f"{tile.latent_frames}-{tile.overlap}")


class Watched(Autoencoder):
    """The real autoencoder, which also notes how many frames it was given."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config)
        self.encoded: list[int] = []
        self.decoded: list[int] = []

    def encode(self, video: Tensor) -> Tensor:
        self.encoded.append(video.shape[2])
        return super().encode(video)

    def decode(self, latents: Tensor, frames: int) -> Tensor:
        self.decoded.append(latents.shape[2])
        return super().decode(latents, frames)


def moving(halvings: int = 1) -> Watched:
    """Random everywhere, so that temporal layers, which start as the identity, mix frames."""
    plain = autoencoder(True, halvings, channels=(8, 8, 16))
    network = Watched(plain.config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.copy_(0.25 * torch.randn(parameter.shape, generator=generator))
    return network


def test_the_temporal_layers_of_these_tests_mix_frames() -> None:
    network, clip = moving(2), latents(1, 3, 16, 8, 8)
    changed = torch.cat([clip[:, :, :8], -clip[:, :, 8:]], dim=2)
    assert not torch.allclose(network.encode(clip)[:, :, 0], network.encode(changed)[:, :, 0], atol=1e-3)
    code = latents(1, CHANNELS, 4, 1, 1)
    other = torch.cat([code[:, :, :2], -code[:, :, 2:]], dim=2)
    assert not torch.allclose(network.decode(code, 16)[:, :, 0], network.decode(other, 16)[:, :, 0], atol=1e-3)


@each_tiling
@pytest.mark.parametrize("factor", [1, 2, 8])
def test_tile_weights_sum_to_one(tile: TilingConfig, factor: int) -> None:
    for frames in range(1, 70):
        parts = plan_tiles(-(-frames // factor), tile.latent_frames, tile.overlap)
        weights = tile_weights(parts, frames, factor)
        assert weights.shape == (len(parts), frames)
        assert torch.allclose(weights.sum(0), torch.ones(frames), atol=1e-6)
        assert weights.min() >= 0


@each_tiling
def test_tiles_cover_the_clip_share_what_was_asked_for_and_leave_no_frame_alone(tile: TilingConfig) -> None:
    for count in range(1, 40):
        tiles = plan_tiles(count, tile.latent_frames, tile.overlap)
        assert (tiles[0].start, tiles[-1].stop) == (0, count)
        assert all(min(count, 2) <= len(part) <= tile.latent_frames for part in tiles)
        for before, part in pairwise(tiles):
            assert before.stop - part.start == tile.overlap and part.stop > before.stop


def test_the_papers_encoder_takes_32_frames_at_a_time() -> None:
    assert plan_tiles(32, 4, 0) == [range(start, start + 4) for start in range(0, 32, 4)]
    assert plan_tiles(9, 4, 0) == [range(0, 4), range(4, 7), range(7, 9)]


def test_the_later_tile_fades_in_linearly_over_the_papers_sixteen_frames() -> None:
    early, late = tile_weights(plan_tiles(6, 4, 2), 48, 8)
    assert torch.equal(late, torch.cat([torch.zeros(16), torch.arange(16) / 16, torch.ones(16)]))
    assert torch.equal(early, 1 - late)


def test_a_weight_is_that_of_its_tile_only() -> None:
    parts = plan_tiles(8, 4, 2)
    for part, row in zip(parts, tile_weights(parts, 64, 8), strict=True):
        assert not row[: part.start * 8].any() and not row[part.stop * 8 :].any()


@each_tiling
@pytest.mark.parametrize("halvings", [1, 2])
def test_a_still_clip_is_alike_tiled_or_whole(tile: TilingConfig, halvings: int) -> None:
    """Replicate padding hides the ends of a still clip, and attention over equal tokens is the value of each."""
    network = moving(halvings)
    for frames in (1, 5, 16, 17, 31):
        clip = latents(1, 3, 1, 8, 16).expand(-1, -1, frames, -1, -1)
        assert torch.allclose(encode_tiled(network, clip, tile), network.encode(clip), atol=1e-4)
        code = latents(1, CHANNELS, 1, 1, 2).expand(-1, -1, -(-frames // network.config.temporal_factor), -1, -1)
        whole = network.decode(code, frames)
        assert whole.std() > 0.01 and (whole.abs() < 1).float().mean() > 0.5, "clipping would hide a difference"
        assert torch.allclose(decode_tiled(network, code, frames, tile), whole, atol=1e-4)


def test_a_moving_clip_is_not() -> None:
    network, code = moving(), latents(1, CHANNELS, 9, 1, 2)
    assert not torch.allclose(decode_tiled(network, code, 18, PAPER), network.decode(code, 18), atol=1e-3)


@each_tiling
def test_every_length_comes_back_and_no_tile_is_longer_than_asked(tile: TilingConfig) -> None:
    network = moving(2)
    factor = network.config.temporal_factor
    for frames in range(1, 34):
        code = encode_tiled(network, latents(2, 3, frames, 8, 8), tile)
        assert code.shape == (2, *network.config.latent_shape(frames, 8, 8).as_tuple())
        assert decode_tiled(network, code, frames, tile).shape == (2, 3, frames, 8, 8)
    assert max(network.encoded) <= tile.latent_frames * factor
    assert max(network.decoded) <= tile.latent_frames


def test_a_clip_of_one_tile_is_the_same_to_the_last_bit() -> None:
    network = moving(2)
    for frames in (1, 2, 13, 16):
        clip = latents(2, 3, frames, 8, 8)
        code = network.encode(clip)
        assert torch.equal(encode_tiled(network, clip, PAPER), code)
        assert torch.equal(decode_tiled(network, code, frames, PAPER), network.decode(code, frames))


def test_the_frames_of_a_single_tile_are_left_as_they_were_decoded() -> None:
    network, code = moving(2), latents(1, CHANNELS, 7, 1, 1)
    found = decode_tiled(network, code, 28, PAPER)
    assert torch.equal(found[:, :, :8], network.decode(code[:, :, :4], 16)[:, :, :8])
    assert torch.equal(found[:, :, -4:], network.decode(code[:, :, 4:], 12)[:, :, -4:])


@pytest.mark.parametrize("frames", [0, 24, 29])
def test_a_length_that_is_not_that_of_the_latents_is_refused(frames: int) -> None:
    with pytest.raises(ValueError, match=f"{frames} frames are not the length of 7 latent frames of 4 frames each"):
        decode_tiled(moving(2), latents(1, CHANNELS, 7, 1, 1), frames, PAPER)


@pytest.mark.parametrize("values", [{"overlap": 4}, {"overlap": -1}, {"latent_frames": 2, "overlap": 1}, {"stride": 2}])
def test_impossible_tilings_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        TilingConfig.model_validate(PAPER.model_dump() | values)


def test_the_autoencoder_can_be_tiled() -> None:
    assert isinstance(autoencoder(), VideoAutoencoder)
    assert autoencoder().config.tileable


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 5, 9, 16, 17])
def test_the_autoencoder_of_wan_takes_every_clip_whole(frames: int) -> None:
    network, tile = wan_autoencoder(), TilingConfig(latent_frames=3, overlap=1)
    assert isinstance(network, VideoAutoencoder)
    assert not network.config.tileable
    clip = latents(1, 3, frames, 16, 16).clamp(-1, 1)
    code = encode_tiled(network, clip, tile)
    assert tuple(code.shape[1:]) == network.config.latent_shape(frames, 16, 16).as_tuple()
    assert torch.equal(code, network.encode(clip))
    decoded = decode_tiled(network, code, frames, tile)
    assert decoded.shape == clip.shape
    assert torch.equal(decoded, network.decode(code, frames))
