"""Framing: which square of a real picture or clip is shown, how large, and whether mirrored.

The shipped photographs are few; framed anew for every row they are many.
"""

from dataclasses import dataclass

import numpy as np

from features.pictures import shrunk


@dataclass(frozen=True)
class Framing:
    """A square of `span` pixels whose corner is (`top`, `left`)."""

    top: int
    left: int
    span: int
    mirrored: bool

    def of(self, frames: np.ndarray, side: int) -> np.ndarray:
        """What is shown of frames [f h w ...] uint8, as [f side side ...]; the same square of every frame."""
        shown = frames[:, self.top : self.top + self.span, self.left : self.left + self.span]
        if self.span != side:
            shown = np.stack([shrunk(frame, side, side) for frame in shown])
        return np.ascontiguousarray(shown[:, :, ::-1] if self.mirrored else shown)


def draw_framing(height: int, width: int, side: int, mirrored_share: float, rng: np.random.Generator) -> Framing:
    """A square of at least `side` pixels anywhere in a picture [height width]: only ever shrunk, never enlarged."""
    span = int(rng.integers(side, min(height, width) + 1))
    top, left = (int(rng.integers(size - span + 1)) for size in (height, width))
    return Framing(top, left, span, bool(rng.random() < mirrored_share))


def framing_of_change(mask: np.ndarray) -> Framing:
    """The largest square of a picture that shows most of what is marked in [h w]; of equals the most central one."""
    height, width = mask.shape
    side = min(height, width)
    along = mask.sum(axis=0 if width > height else 1)
    inside = np.convolve(along, np.ones(side, dtype=np.int64), "valid")
    best = np.flatnonzero(inside == inside.max())
    start = int(best[np.abs(2 * best - len(inside) + 1).argmin()])
    top, left = (0, start) if width > height else (start, 0)
    return Framing(top, left, side, mirrored=False)
