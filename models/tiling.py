"""Temporal tiling: long clips through the autoencoder a few latent frames at a time (Movie Gen, section 3.1.1)."""

from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from models.shapes import Latent, Video


class TilingConfig(BaseModel):
    """Length of a tile and what neighbouring tiles share when decoding, both in latent frames.

    The paper's tiles are 4 latent frames (32 raw ones at its factor of 8), sharing 2 in the decoder and none in the
    encoder. With three or more, no tile of a longer clip need be a single latent frame (see `plan_tiles`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    latent_frames: int = Field(ge=3)
    overlap: int = Field(ge=0)

    @model_validator(mode="after")
    def _tiles_move_on(self) -> "TilingConfig":
        if self.overlap >= self.latent_frames:
            raise ValueError(f"overlap {self.overlap} is not smaller than a tile of {self.latent_frames} latent frames")
        return self


@runtime_checkable
class TemporalShape(Protocol):
    """What tiling reads of an autoencoder's config.

    `tileable` promises that T frames give ceil(T / factor) latent frames, and that latent frame i stands for the raw
    frames from i times the factor on.
    """

    @property
    def temporal_factor(self) -> int: ...

    @property
    def tileable(self) -> bool: ...


@runtime_checkable
class VideoAutoencoder(Protocol):
    """What takes clips here: in tiles where its config is `tileable`, else whole, bounding its memory by itself."""

    @property
    def config(self) -> TemporalShape: ...

    def encode(self, video: Video) -> Latent: ...

    def decode(self, latents: Latent, frames: int) -> Video: ...


def encode_tiled(autoencoder: VideoAutoencoder, video: Video, tile: TilingConfig) -> Latent:
    """Latents of a clip encoded tile by tile, without overlap; whole if it is one tile or cannot be tiled."""
    frames, factor = video.shape[2], autoencoder.config.temporal_factor
    if not autoencoder.config.tileable or frames <= tile.latent_frames * factor:
        return autoencoder.encode(video)
    parts = plan_tiles(-(-frames // factor), tile.latent_frames, overlap=0)
    return torch.cat([autoencoder.encode(video[:, :, part.start * factor : part.stop * factor]) for part in parts], 2)


def decode_tiled(autoencoder: VideoAutoencoder, latents: Latent, frames: int, tile: TilingConfig) -> Video:
    """The video of latents decoded tile by tile, blended where they overlap; whole if one tile, or not tileable.

    Raises:
        ValueError: more than one tile, and `frames` does not end in the last latent frame.
    """
    count, factor = latents.shape[2], autoencoder.config.temporal_factor
    if not autoencoder.config.tileable or count <= tile.latent_frames:
        return autoencoder.decode(latents, frames)
    if -(-frames // factor) != count:
        raise ValueError(f"{frames} frames are not the length of {count} latent frames of {factor} frames each")
    parts = plan_tiles(count, tile.latent_frames, tile.overlap)
    video: Tensor | None = None
    for part, weights in zip(parts, tile_weights(parts, frames, factor), strict=True):
        span = slice(part.start * factor, min(part.stop * factor, frames))
        made = autoencoder.decode(latents[:, :, part.start : part.stop], span.stop - span.start)
        if video is None:
            video = made.new_zeros((*made.shape[:2], frames, *made.shape[3:]))
        video[:, :, span] += weights[span].to(made)[:, None, None] * made
    assert video is not None
    return video


def reconstruct_tiled(autoencoder: VideoAutoencoder, video: Video, tile: TilingConfig) -> Video:
    """A clip through the autoencoder and back."""
    return decode_tiled(autoencoder, encode_tiled(autoencoder, video, tile), video.shape[2], tile)


def plan_tiles(latent_frames: int, length: int, overlap: int) -> list[range]:
    """Latent frames of each tile; the last may be shorter, but always has frames that no other has.

    A single latent frame left over takes one from the tile before: the autoencoder would see a picture, in which it
    has no temporal attention.
    """
    if latent_frames <= length:
        return [range(latent_frames)]
    starts = range(0, latent_frames - overlap, length - overlap)
    tiles = [range(start, min(start + length, latent_frames)) for start in starts]
    if len(tiles[-1]) == 1:
        tiles[-2:] = [range(tiles[-2].start, latent_frames - 2), range(latent_frames - 2, latent_frames)]
    return tiles


def tile_weights(tiles: list[range], frames: int, factor: int) -> Float[Tensor, "tiles f"]:
    """The share of every tile in every raw frame.

    The paper prints the weight j/N of frame j of N shared ones for the earlier tile, which would jump at both ends;
    here it is the later tile's, which so fades in from 0 to the 1 it has after the overlap.
    """
    weights = torch.zeros(len(tiles), frames)
    weights[0, : tiles[0].stop * factor] = 1
    for number, (before, part) in enumerate(pairwise(tiles), start=1):
        start, stop = part.start * factor, before.stop * factor
        rising = torch.arange(stop - start) / max(stop - start, 1)
        weights[:number, start:stop] *= 1 - rising
        weights[number, start:stop] = rising
        weights[number, stop : part.stop * factor] = 1
    return weights
