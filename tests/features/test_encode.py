"""What the encoder of pairs makes of clips longer than a tile of the autoencoder."""

import numpy as np
import pytest
import torch

from features.encode import PairEncoder
from models.tiling import TilingConfig
from tests.world import SIDE, text_encoder, tiny_autoencoder, tiny_params

PARAMS = tiny_params()
FACTOR = PARAMS.models.autoencoder.temporal_factor


def _latents(clip: np.ndarray, latent_frames: int = 4) -> np.ndarray:
    """Latents [c l h w] of a clip."""
    tiling = TilingConfig(latent_frames=latent_frames, overlap=0)
    encoder = PairEncoder(tiny_autoencoder(PARAMS), "x", text_encoder(), "fp32", tiling)
    shape = encoder.latent_shape(len(clip), SIDE)
    return np.frombuffer(encoder.latents([clip])[0], "<f2").reshape(shape)


def _clip(frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("frames", [1, 3, 4 * FACTOR])
def test_a_clip_of_one_tile_is_encoded_whole(frames: int) -> None:
    assert np.array_equal(_latents(_clip(frames)), _latents(_clip(frames), latent_frames=64))


def test_a_longer_clip_is_its_tiles_one_after_the_other() -> None:
    clip = _clip(10 * FACTOR)
    parts = [clip[start * FACTOR : stop * FACTOR] for start, stop in ((0, 4), (4, 8), (8, 10))]
    assert np.array_equal(_latents(clip), np.concatenate([_latents(part) for part in parts], axis=1))


def test_latents_depend_neither_on_neighbours_nor_on_cores() -> None:
    clips = [_clip(frames) for frames in (8, 1, 5, 8)]
    encoder = PairEncoder(tiny_autoencoder(PARAMS), "x", text_encoder(), "fp32", PARAMS.inference.tiling)
    together, before = encoder.latents(clips), torch.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    try:
        assert together == encoder.latents(clips) == [encoder.latents([clip])[0] for clip in clips]
    finally:
        torch.set_num_threads(before)
