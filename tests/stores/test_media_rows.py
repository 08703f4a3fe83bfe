"""Laws of decoding a row of `clips` at working size."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from stores.clip_files import read_clip
from stores.clip_types import MediaError
from stores.clip_writer import encode_clip, encode_picture
from stores.media_rows import WorkingSize, decode_row, shorter_side
from tests.media import WIDE, error, moving_frames


def row(count: int, fps: int = 24, height: int = 48, width: int = 64) -> dict[str, Any]:
    frames = moving_frames(count, height, width)
    return {"id": "row-1", "kind": "clip", "media": encode_clip(frames, Fraction(fps)), "fps": float(fps)}


@pytest.mark.parametrize("side", [1, 8, 80, 127, 128])
@pytest.mark.parametrize(("height", "width"), [(480, 854), (1080, 1920), (333, 500), (64, 64), (1000, 7), (3, 1024)])
def test_the_shorter_side_is_the_side_and_the_other_is_rounded_up(height: int, width: int, side: int) -> None:
    found = shorter_side(height, width, side)
    assert min(found) == side
    exact = max(height, width) * side / min(height, width)
    assert exact - 1e-6 <= max(found) < exact + 1
    assert (found[0] <= found[1]) == (height <= width) or found[0] == found[1]
    assert shorter_side(width, height, side) == found[::-1]


def test_scaling_to_its_own_side_changes_nothing() -> None:
    assert shorter_side(480, 854, 480) == (480, 854)


@pytest.mark.parametrize(
    ("count", "fps", "frames", "expected"),
    [
        (24, 24, 8, 8),  # long enough: every third frame
        (48, 24, 8, 16),  # longer: still every third frame
        (12, 24, 8, 12),  # too short for its rate: thinned less
        (16, 24, 8, 8),  # just long enough for every second
        (5, 24, 8, 5),  # shorter than asked: all there is
        (8, 8, 8, 8),  # of that rate already
        (6, 4, 3, 6),  # slower than the rate: nothing is doubled
    ],
)
def test_a_clip_is_thinned_to_its_rate_unless_too_few_frames_are_left(
    count: int, fps: int, frames: int, expected: int
) -> None:
    found = decode_row(row(count, fps), WorkingSize(24, 8, frames), WIDE)
    assert found.shape == (expected, 24, 32, 3)
    assert found.dtype == np.uint8


def test_the_frames_kept_are_every_nth() -> None:
    told = row(24)
    whole = read_clip(told["media"], WIDE, size=(24, 32)).frames
    assert np.array_equal(decode_row(told, WorkingSize(24, 8, 8), WIDE), whole[::3])


def test_a_picture_is_one_frame_whatever_is_asked() -> None:
    picture = moving_frames(1, 48, 64)
    told = {"id": "p", "kind": "picture", "media": encode_picture(picture[0], "png"), "fps": 1.0}
    assert decode_row(told, WorkingSize(12, 8, 16), WIDE).shape == (1, 12, 16, 3)
    assert error(decode_row(told, WorkingSize(48, 8, 16), WIDE), picture) == 0


def test_damaged_media_name_the_row() -> None:
    with pytest.raises(MediaError, match="row-1"):
        decode_row(row(8) | {"media": b"no video"}, WorkingSize(24, 8, 8), WIDE)
