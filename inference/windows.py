"""Long clips in windows: which frames are edited together, and how neighbouring windows are blended.

All windows have full length, for that is what the model was trained on; the last one reaches back for frames already
edited, as context. Each window fades in over the `overlap` frames that it shares with the one before, so that no frame
is a blend of more than two. A clip shorter than a window is one short window: the autoencoder takes any length, and
padding would only show the model frames that are not there.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Weights = NDArray[np.float64]
EditWindow = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Window:
    """Frames start .. start + length - 1 of a clip; the last `fresh` of them were in no window before."""

    start: int
    length: int
    fresh: int


def plan_windows(frames: int, window_frames: int, overlap: int) -> tuple[Window, ...]:
    """The windows of a clip, in order.

    Raises:
        ValueError: the overlap is over half of a window.
    """
    _check(window_frames, overlap)
    if frames <= window_frames:
        return (Window(0, frames, frames),) if frames else ()
    windows = [Window(0, window_frames, window_frames)]
    done = window_frames
    while done < frames:
        fresh = min(window_frames - overlap, frames - done)
        done += fresh
        windows.append(Window(done - window_frames, window_frames, fresh))
    return tuple(windows)


def fade_in(overlap: int) -> Weights:
    """Weights of a new window over the frames it shares with the one before: rising, never 0 or 1, [overlap]."""
    weights: Weights = np.arange(1, overlap + 1) / (overlap + 1)
    return weights


def window_weights(frames: int, window_frames: int, overlap: int) -> Weights:
    """The share of every window in every frame of the result, [windows, frames]."""
    windows = plan_windows(frames, window_frames, overlap)
    weights = np.zeros((len(windows), frames))
    for i, window in enumerate(windows):
        end = window.start + window.length
        weights[i, end - window.fresh : end] = 1
        if i > 0:
            shared = slice(end - window.fresh - overlap, end - window.fresh)
            weights[i, shared] = fade_in(overlap)
            weights[i - 1, shared] = 1 - fade_in(overlap)
    return weights


def edit_stream(frames: Iterable[Frame], edit_window: EditWindow, window_frames: int, overlap: int) -> Iterator[Frame]:
    """Edit a clip of any length frame by frame, holding at most two windows of it.

    `edit_window` maps frames [f ...] to as many edited ones, and may change what a frame is (its axes after the
    first). Gives as many frames as come in.

    Raises:
        ValueError: the overlap is over half of a window, or `edit_window` gives another number of frames.
    """
    _check(window_frames, overlap)
    recent: deque[Frame] = deque(maxlen=window_frames)
    held: Sequence[Frame] = ()  # edited frames that the next window still fades into
    fresh, begun = 0, False
    for frame in frames:
        recent.append(frame)
        fresh += 1
        if fresh == (window_frames - overlap if begun else window_frames):
            ready = _joined(held, _edited(edit_window, recent), fresh, overlap)
            split = len(ready) - overlap
            yield from ready[:split]
            held, fresh, begun = ready[split:], 0, True
    if fresh:
        held = _joined(held, _edited(edit_window, recent), fresh, overlap)
    yield from held


def _check(window_frames: int, overlap: int) -> None:
    if not 0 <= 2 * overlap <= window_frames or window_frames < 1:
        raise ValueError(
            f"need 0 <= 2 * overlap <= window_frames, got overlap={overlap}, window_frames={window_frames}"
        )


def _edited(edit_window: EditWindow, recent: Iterable[Frame]) -> NDArray[np.uint8]:
    window = np.stack(tuple(recent))
    edited = edit_window(window)
    if len(edited) != len(window):
        raise ValueError(f"a window of {len(window)} frames came back with {len(edited)}")
    return edited


def _joined(held: Sequence[Frame], edited: NDArray[np.uint8], fresh: int, overlap: int) -> list[Frame]:
    """The held frames faded into the new window, then its fresh frames."""
    new = list(edited[len(edited) - fresh - len(held) :])
    shared = zip(held, new, fade_in(overlap), strict=False)
    return [_mix(old, late, share) for old, late, share in shared] + new[len(held) :]


def _mix(old: Frame, new: Frame, share: float) -> Frame:
    mixed = old + share * (new.astype(np.float32) - old)
    rounded: Frame = np.rint(mixed).astype(np.uint8)
    return rounded
