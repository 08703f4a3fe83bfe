"""Laws of animated frames: one motion for a frame and its edit, composed and not resampled over and over."""

from functools import lru_cache

import numpy as np
import pytest
from pydantic import ValidationError

from features.affine import AffineParams, animate, draw_motion
from features.pictures import window
from models.metrics import psnr
from stores.clip_files import read_clip
from tests.media import WIDE, real_clips

RANGES = AffineParams(
    most_zoom=1.25, zoom_share=1.0, most_turn=6.0, turn_share=1.0, most_shift=0.2, shift_share=1.0, padding="mirror"
)
FRAMES = 16


@lru_cache
def real_frame(side: int) -> np.ndarray:
    """The upper left square of a frame that was filmed."""
    frame = read_clip(real_clips()[0], WIDE).frames[0]
    span = min(frame.shape[:2])
    return window(frame, (0, 0, span, span), side)


def motion_of(seed: int, params: AffineParams = RANGES, frames: int = FRAMES) -> np.ndarray:
    return draw_motion(frames, params, np.random.default_rng(seed))


def shift(side: int, *pixels: tuple[int, int]) -> np.ndarray:
    """A motion that only shifts, by whole pixels to the right and down, accumulated."""
    matrices = np.stack([np.eye(3)] * (len(pixels) + 1))
    matrices[1:, :2, 2] = np.cumsum(pixels, axis=0) / side
    return matrices


@pytest.mark.parametrize("seed", range(20))
def test_a_motion_starts_at_rest_accumulates_and_stays_in_its_ranges(seed: int) -> None:
    motion = motion_of(seed)
    assert motion.shape == (FRAMES, 3, 3)
    assert np.array_equal(motion[0], np.eye(3))
    zooms = np.sqrt(np.linalg.det(motion[:, :2, :2]))
    assert (zooms <= 1.25 + 1e-9).all() and (zooms >= 1 / 1.25 - 1e-9).all()
    turns = np.degrees(np.arctan2(motion[:, 1, 0], motion[:, 0, 0]))
    assert (np.abs(turns) <= 6 + 1e-9).all()
    steps = motion[1:] @ np.linalg.inv(motion[:-1])
    assert np.abs(steps[:, :2, 2].sum(axis=0)).max() <= 0.2 + 1e-9
    # Smooth: no step is more than a tenth of the whole motion longer than the one before.
    lengths = np.linalg.norm(steps - np.eye(3), axis=(1, 2))
    assert np.abs(np.diff(lengths)).max() < 0.1 * lengths.sum()


def test_a_motion_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert np.array_equal(motion_of(1), motion_of(1))
    assert not np.array_equal(motion_of(1), motion_of(2))


def test_without_any_share_nothing_moves() -> None:
    still = RANGES.model_copy(update={"zoom_share": 0.0, "turn_share": 0.0, "shift_share": 0.0})
    frame = real_frame(96)
    moved = animate(frame, motion_of(3, still), "mirror")
    assert all(np.array_equal(each, frame) for each in moved)


def test_a_single_frame_has_nowhere_to_go() -> None:
    frame = real_frame(96)
    assert np.array_equal(animate(frame, motion_of(3, frames=1), "mirror"), frame[None])


@pytest.mark.parametrize("padding", ["mirror", "border", "black"])
def test_whole_pixels_are_moved_exactly_and_filled_as_asked(padding: str) -> None:
    frame = real_frame(64)
    moved = animate(frame, shift(64, (3, 0), (0, 5)), padding)
    assert np.array_equal(moved[0], frame)
    assert np.array_equal(moved[1][:, 3:], frame[:, :-3])
    assert np.array_equal(moved[2][5:, 3:], frame[:-5, :-3])
    filled = {"mirror": frame[:, 2::-1], "border": frame[:, [0, 0, 0]], "black": np.zeros((64, 3, 3))}[padding]
    assert np.array_equal(moved[1][:, :3], filled)


def test_accumulated_matrices_blur_once_not_once_a_frame() -> None:
    """Many half-pixel steps that end where they began: composed they give the frame back, warp by warp they blur it."""
    frame = real_frame(128)
    steps = [(0.5, 0), (-0.5, 0)] * 8
    composed = animate(frame, shift(128, *steps), "mirror")[-1]
    again = frame
    for step in steps:
        again = animate(again, shift(128, step), "mirror")[-1]
    assert np.array_equal(composed, frame)
    assert psnr(again[None], frame[None]) < 40


@pytest.mark.parametrize("seed", range(4))
def test_a_frame_and_its_edit_differ_in_motion_only_where_they_differed(seed: int) -> None:
    frame, motion = real_frame(128), motion_of(seed)
    edit = frame.copy()
    edit[40:80, 40:80] = 255 - edit[40:80, 40:80]
    moved, moved_edit = (animate(each, motion, "black") for each in (frame, edit))
    mask = np.zeros_like(frame)
    mask[36:84, 36:84] = 255  # wider by what bicubic sampling reads around a pixel
    inside = animate(mask, motion, "black").max(axis=-1) > 0
    assert np.array_equal(moved[~inside], moved_edit[~inside])
    assert (np.abs(moved.astype(int) - moved_edit).mean(axis=(1, 2, 3)) > 1).all()


def test_only_square_frames_are_set_in_motion() -> None:
    with pytest.raises(ValueError, match="only a square frame is set in motion, not 40 x 64"):
        animate(np.zeros((40, 64, 3), np.uint8), motion_of(0), "mirror")


@pytest.mark.parametrize("wrong", [{"most_zoom": 0.9}, {"shift_share": 1.5}, {"padding": "wrap"}, {"speed": 1.0}])
def test_ranges_out_of_bounds_and_unknown_keys_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        AffineParams.model_validate(RANGES.model_dump() | wrong)
