"""Laws of the temporal autoencoder."""

import pytest
import torch

from models.autoencoder import AutoencoderConfig
from models.autoencoder_layers import FactoredAttention, FrameNorm, ResidualBlock, TemporalConv, Up
from tests.tiny import CHANNELS, autoencoder, latents

PAPER = AutoencoderConfig(
    name="tae", latent_channels=16, channels=(128, 256, 512, 512), blocks=2, groups=32, pixel_patch=1,
    spatial_halvings=3, temporal_halvings=3, linear_path=False,
)  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_every_length_comes_back_and_gives_a_latent_frame_for_each_started_block(
    halvings: int, linear_path: bool
) -> None:
    network = autoencoder(linear_path, halvings, channels=(8, 8, 8, 8), pixel_patch=1)
    for frames in range(1, 34):
        found = network.encode(latents(1, 3, frames, 8, 16))
        expected = (1, CHANNELS, -(-frames // 2**halvings), 1, 2)
        assert found.shape == expected == (1, *network.config.latent_shape(frames, 8, 16).as_tuple())
        assert network.decode(found, frames).shape == (1, 3, frames, 8, 16)


@torch.no_grad()
@pytest.mark.parametrize("linear_path", [False, True])
def test_one_frame_in_is_one_latent_frame_out(linear_path: bool) -> None:
    assert autoencoder(linear_path).encode(latents(2, 3, 1, 16, 8)).shape == (2, CHANNELS, 1, 4, 2)


@torch.no_grad()
@pytest.mark.parametrize("linear_path", [False, True])
def test_decoding_fewer_frames_drops_the_surplus_of_the_last_latent_frame(linear_path: bool) -> None:
    network = autoencoder(linear_path)
    found = network.encode(latents(1, 3, 6, 8, 8))
    assert torch.equal(network.decode(found, 5), network.decode(found, 6)[:, :, :5])


@torch.no_grad()
def test_a_clip_does_not_depend_on_its_batch() -> None:
    network, video = autoencoder(linear_path=True), latents(3, 3, 4, 8, 8)
    assert torch.allclose(network.encode(video)[1:2], network.encode(video[1:2]), atol=1e-5)


def test_normalising_a_frame_does_not_depend_on_the_length_of_its_clip() -> None:
    norm, clip = FrameNorm(2, 4), latents(1, 4, 5, 3, 3) * torch.arange(1.0, 6.0)[None, None, :, None, None]
    whole = norm(clip)
    for i in range(5):
        assert torch.allclose(whole[:, :, i : i + 1], norm(clip[:, :, i : i + 1]), atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_temporal_convolution_sees_a_picture_as_a_still_clip(stride: int) -> None:
    layer, picture = TemporalConv(4, stride), latents(1, 4, 1, 3, 3)
    torch.nn.init.normal_(layer.weight)
    still = layer(picture.expand(-1, -1, 4, -1, -1))
    assert still.shape[2] == 4 // stride
    assert torch.allclose(still, layer(picture).expand_as(still), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 1, 4, 4), (1, 8, 5, 4, 4)])
def test_temporal_layers_start_as_the_identity(shape: tuple[int, ...]) -> None:
    x = latents(*shape)
    assert torch.allclose(TemporalConv(8)(x), x)
    assert torch.equal(FactoredAttention(8, 4)(x), x)


@torch.no_grad()
def test_normalisation_is_undone_by_decoding() -> None:
    network, video = autoencoder(), latents(1, 3, 4, 8, 8)
    before, plain = network.decode(network.encode(video), 4), network.encode(video)
    network.set_normalisation(torch.arange(4.0), torch.arange(1.0, 5.0))
    assert not torch.allclose(network.encode(video), plain)
    assert torch.allclose(network.decode(network.encode(video), 4), before, atol=1e-5)


@torch.no_grad()
def test_normalised_latents_have_zero_mean_and_unit_variance() -> None:
    network, video = autoencoder(linear_path=True), latents(8, 3, 4, 16, 16)
    raw = network.posterior(video).mean
    network.set_normalisation(raw.mean((0, 2, 3, 4)), raw.std((0, 2, 3, 4)))
    found = network.encode(video)
    assert torch.allclose(found.mean((0, 2, 3, 4)), torch.zeros(CHANNELS), atol=1e-4)
    assert torch.allclose(found.std((0, 2, 3, 4)), torch.ones(CHANNELS), atol=1e-4)


@torch.no_grad()
def test_decoded_pixels_stay_in_range() -> None:
    network = autoencoder(linear_path=True)
    assert network.decode(100 * latents(1, CHANNELS, 2, 2, 2), 4).abs().max() == 1


@torch.no_grad()
def test_the_linear_path_begins_as_the_principal_components_of_blocks_in_space_and_time() -> None:
    network = autoencoder(linear_path=True)
    blocks = latents(400, 96) @ latents(96, 96, seed=3) + 2
    assert network.linear is not None
    network.linear.set_components(blocks)
    centred = blocks - blocks.mean(0)
    components = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -CHANNELS:]
    expected = blocks.mean(0) + centred @ components @ components.T
    video = blocks.reshape(400, 3, 2, 4, 4)
    found = network.posterior(video).mean
    assert torch.allclose(network.reconstruct(found, 2).reshape(400, 96), expected, atol=2e-3)
    assert torch.allclose(found.mean(0).flatten(), torch.zeros(CHANNELS), atol=1e-4)
    assert torch.allclose(found.std(0).flatten(), torch.ones(CHANNELS), atol=1e-4)


@torch.no_grad()
def test_the_linear_path_takes_a_clip_that_ends_early_as_one_that_stops() -> None:
    path = autoencoder(linear_path=True, halvings=2, channels=(8, 8, 8)).linear
    assert path is not None
    video = latents(1, 3, 7, 8, 8)
    for frames in (1, 2, 3, 5, 7):
        last = video[:, :, frames - 1 : frames]
        whole = torch.cat([video[:, :, :frames], *[last] * (-frames % 4)], dim=2)
        assert torch.equal(path.encode(video[:, :, :frames]), path.encode(whole))
        assert torch.equal(path.decode(path.encode(whole), frames), path.decode(path.encode(whole), 8)[:, :, :frames])


@torch.no_grad()
def test_principal_components_are_kept_while_the_deep_layers_learn() -> None:
    network = autoencoder(linear_path=True)
    assert network.linear is not None
    network.linear.set_components(latents(40, 96))
    assert not any(parameter.requires_grad for parameter in network.linear.parameters())


@torch.no_grad()
def test_doubling_a_single_frame_is_no_use_since_its_copies_would_stay_equal() -> None:
    layer, picture = Up(4, 4, double_space=True, double_time=True), latents(1, 4, 1, 3, 3)
    torch.nn.init.normal_(layer.temporal.weight)
    still = layer(picture.expand(-1, -1, 3, -1, -1))
    assert still.shape[2] == 6 and layer(picture).shape[2] == 1
    assert torch.allclose(still, layer(picture).expand_as(still), atol=1e-5)


def test_a_residual_block_starts_as_the_identity_and_learns_at_once() -> None:
    block, x = ResidualBlock(8, 4), latents(1, 8, 3, 4, 4)
    assert torch.equal(block(x), x)
    (block(x) - 1).square().mean().backward()
    assert block.spatial2.weight.grad is not None and block.spatial2.weight.grad.any()


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last_3d])
@torch.no_grad()
def test_the_order_of_memory_changes_no_result(memory: torch.memory_format) -> None:
    network, video = autoencoder(), latents(2, 3, 5, 8, 8)
    found = network.encode(video.contiguous(memory_format=memory))
    assert torch.allclose(found, network.encode(video), atol=1e-6)
    assert torch.allclose(
        network.decode(found.contiguous(memory_format=memory), 5), network.decode(found, 5), atol=1e-6
    )


def test_a_fresh_posterior_is_narrow() -> None:
    found = autoencoder().posterior(latents(1, 3, 2, 8, 8))
    assert (found.sample(latents(1, CHANNELS, 1, 2, 2)) - found.mean).abs().max() < 0.2
    assert torch.equal(found.sample(torch.zeros(1, CHANNELS, 1, 2, 2)), found.mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temporal_halvings": 4}, "4 temporal halvings"),
        ({"spatial_halvings": 4}, "4 spatial halvings"),
        ({"groups": 24}, "multiples of groups"),
    ],
)
def test_impossible_shapes_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AutoencoderConfig.model_validate(PAPER.model_dump() | change)


@pytest.mark.parametrize(("height", "width"), [(12, 16), (16, 12)])
def test_a_size_that_is_no_multiple_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"{height}x{width} is not a multiple of 8"):
        PAPER.latent_shape(1, height, width)
