"""Pixels to tensors and back, the one conversion for encoding, training, inference and scores."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from models.shapes import Video

Frames = UInt8[np.ndarray, "f h w 3"]
HALF_RANGE = 127.5  # grey levels: 0 becomes -1, 255 becomes 1


def to_video(frames: Frames) -> Float[Tensor, "1 3 f h w"]:
    """RGB frames as a batch of one video in [-1, 1]."""
    pixels = torch.from_numpy(np.array(frames, order="C"))  # a copy: torch warns of arrays that it may not write
    return rearrange(pixels.float() / HALF_RANGE - 1, "f h w c -> 1 c f h w")


def to_frames(video: Video) -> UInt8[np.ndarray, "b f h w 3"]:
    """RGB frames of every video of a batch, clipped and rounded to the nearest level: the inverse of `to_video`."""
    levels = ((video.float().clamp(-1, 1) + 1) * HALF_RANGE).round().to(torch.uint8)
    return np.ascontiguousarray(rearrange(levels, "b c f h w -> b f h w c").cpu().numpy())
