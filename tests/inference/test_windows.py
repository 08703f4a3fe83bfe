"""Laws of windows: every frame is there once, weights sum to one, memory is bounded, doing nothing changes nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

from inference.windows import Window, edit_stream, plan_windows, window_weights

SHAPES = [(8, 0), (8, 1), (8, 2), (8, 4), (5, 2), (2, 1), (1, 0)]


def _frames(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(count).integers(0, 256, (count, 2, 3, 3), dtype=np.uint8))


@pytest.mark.parametrize(("length", "overlap"), SHAPES)
@pytest.mark.parametrize("count", [1, 2, 5, 7, 8, 9, 13, 14, 16, 31])
def test_weights_sum_to_one_and_no_frame_has_more_than_two_windows(count: int, length: int, overlap: int) -> None:
    weights = window_weights(count, length, overlap)
    assert np.allclose(weights.sum(axis=0), 1)
    assert (weights >= 0).all() and (weights > 0).sum(axis=0).max() <= 2


@pytest.mark.parametrize(("length", "overlap"), SHAPES)
@pytest.mark.parametrize("count", [1, 2, 5, 7, 8, 9, 13, 14, 16, 31])
def test_windows_cover_the_clip_at_full_length(count: int, length: int, overlap: int) -> None:
    windows = plan_windows(count, length, overlap)
    assert {window.length for window in windows} == {min(count, length)}
    assert sum(window.fresh for window in windows) == count
    assert windows[0].start == 0 and windows[-1].start + windows[-1].length == count


def test_the_last_window_reaches_back() -> None:
    assert plan_windows(13, 8, 2) == (Window(0, 8, 8), Window(5, 8, 5))
    assert plan_windows(15, 8, 2) == (Window(0, 8, 8), Window(6, 8, 6), Window(7, 8, 1))
    assert plan_windows(5, 8, 2) == (Window(0, 5, 5),)
    assert plan_windows(0, 8, 2) == ()


@pytest.mark.parametrize(("length", "overlap"), SHAPES)
@pytest.mark.parametrize("count", [0, 1, 2, 5, 7, 8, 9, 13, 14, 16, 31])
def test_doing_nothing_gives_the_clip_back_exactly(count: int, length: int, overlap: int) -> None:
    frames = _frames(count)
    edited = list(edit_stream(iter(frames), lambda window: window, length, overlap))
    assert len(edited) == count
    assert all(np.array_equal(a, b) for a, b in zip(edited, frames, strict=True))


@pytest.mark.parametrize(("length", "overlap"), SHAPES)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 13, 16, 31])
def test_the_stream_follows_plan_and_weights(count: int, length: int, overlap: int) -> None:
    """Each window paints its own number: the stream must show the numbers under the weights."""
    frames, seen = _frames(count), []

    def edit(window: np.ndarray) -> np.ndarray:
        seen.append(window)
        return np.full_like(window, 8 * len(seen))

    edited = np.stack(list(edit_stream(iter(frames), edit, length, overlap)))
    plan = plan_windows(count, length, overlap)
    assert all(
        np.array_equal(window, np.stack(frames[part.start : part.start + part.length]))
        for window, part in zip(seen, plan, strict=True)
    )
    paint = 8 * (1 + np.arange(len(plan)))
    expected = paint @ window_weights(count, length, overlap)
    assert np.abs(edited[:, 0, 0, 0] - expected).max() <= 0.5 + 1e-6


def test_memory_is_bounded_by_two_windows() -> None:
    read = 0

    def source() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in _frames(1000):
            read += 1
            yield frame

    ahead = [read - given for given, _ in enumerate(edit_stream(source(), lambda window: window, 8, 2))]
    assert max(ahead) <= 16


def test_frames_may_change_their_axes() -> None:
    frames = _frames(20)
    edited = list(edit_stream(frames, lambda window: np.stack([window, 255 - window], axis=1), 8, 2))
    assert all(np.array_equal(pair[1], 255 - frame) for pair, frame in zip(edited, frames, strict=True))


def test_too_much_overlap_and_lost_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        list(edit_stream(_frames(3), lambda window: window, 8, 5))
    with pytest.raises(ValueError, match="came back with 2"):
        list(edit_stream(_frames(3), lambda window: window[1:], 8, 2))
