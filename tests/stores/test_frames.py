"""Packed frames are lossless, equal for equal frames, and told from media."""

import io
import zlib

import numpy as np
import pytest

from stores.frames import PackedFramesError, is_packed, pack_frames, unpack_frames

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)


def test_frames_come_back_exactly() -> None:
    assert np.array_equal(unpack_frames(pack_frames(FRAMES)), FRAMES)
    assert np.array_equal(unpack_frames(pack_frames(FRAMES[:, ::-1])), FRAMES[:, ::-1])


def test_equal_frames_give_equal_bytes() -> None:
    assert pack_frames(FRAMES) == pack_frames(np.asfortranarray(FRAMES))


def test_packed_frames_are_told_from_media() -> None:
    assert is_packed(pack_frames(FRAMES))
    assert not any(is_packed(head) for head in (b"\x89PNG", b"RIFF", b"\xff\xd8\xff", b"\0\0\0\x20ftyp", b"GIF8"))


def _packed_array(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return zlib.compress(buffer.getvalue())


@pytest.mark.parametrize(
    "packed",
    [b"", b"noise", pack_frames(FRAMES)[:-20], zlib.compress(b"noise"), _packed_array(FRAMES.astype(np.float32))],
)
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(PackedFramesError):
        unpack_frames(packed)
