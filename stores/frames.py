"""Frames as bytes of a table cell, lossless: a NumPy file (uint8 [f, h, w, 3]) under zlib."""

import io
import zlib

import numpy as np
from numpy.typing import NDArray

_ZLIB_START = b"\x78"  # no picture or video container starts with it
_LEVEL = 3  # photographs gain nothing from more, and it is five times faster than the highest


class PackedFramesError(ValueError):
    """Bytes that are not packed frames."""


def pack_frames(frames: NDArray[np.uint8]) -> bytes:
    """Frames uint8 [f, h, w, 3] to bytes; equal frames give equal bytes."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(frames), allow_pickle=False)
    return zlib.compress(buffer.getvalue(), _LEVEL)


def unpack_frames(packed: bytes) -> NDArray[np.uint8]:
    """The frames of `pack_frames`, uint8 [f, h, w, 3].

    Raises:
        PackedFramesError: the bytes are something else, or damaged.
    """
    try:
        frames = np.load(io.BytesIO(zlib.decompress(packed)), allow_pickle=False)
    except (zlib.error, ValueError, EOFError, OSError) as error:
        raise PackedFramesError(f"not packed frames, or damaged: {error}") from error
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise PackedFramesError(f"packed frames are uint8 [f, h, w, 3], not {frames.dtype} {list(frames.shape)}")
    return frames


def is_packed(data: bytes) -> bool:
    """Whether bytes of a cell are packed frames, not an encoded picture or video."""
    return data.startswith(_ZLIB_START)
