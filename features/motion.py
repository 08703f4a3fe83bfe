"""Smooth motion over a clip: of objects, and of a camera over a still picture."""

from dataclasses import dataclass

import numpy as np

from features.pictures import window


@dataclass(frozen=True)
class Drift:
    """A slow sway around a place: offsets in shares of the frame, one (row, column) a frame."""

    rows: float
    columns: float
    phase: float

    def at(self, frame: int, frames: int) -> tuple[float, float]:
        turn = np.sin(2 * np.pi * (frame / max(frames, 2) * 0.75 + self.phase)) - np.sin(2 * np.pi * self.phase)
        return self.rows * float(turn), self.columns * float(turn)


STILL = Drift(0.0, 0.0, 0.0)


def draw_drift(rng: np.random.Generator, most: float) -> Drift:
    """A drift of up to `most` of the frame in each direction."""
    # From its own start the sway goes as far as twice its amplitude.
    rows, columns = rng.uniform(-most, most, 2) / 2
    return Drift(float(rows), float(columns), float(rng.random()))


def pan(picture: np.ndarray, frames: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """A camera gliding over a still picture [h w 3]: [frames size size 3], one resampling a frame."""
    height, width, _ = picture.shape
    side = min(height, width)
    zoom0, zoom1 = rng.uniform(0.72, 1.0, 2)
    ends = [[rng.uniform(0, 1), rng.uniform(0, 1)] for _ in range(2)]
    out = []
    for place in np.linspace(0, 1, frames):
        ease = place * place * (3 - 2 * place)
        span = side * (zoom0 + (zoom1 - zoom0) * ease)
        row, column = (ends[0][axis] + (ends[1][axis] - ends[0][axis]) * ease for axis in (0, 1))
        top, left = row * (height - span), column * (width - span)
        out.append(window(picture, (left, top, left + span, top + span), size))
    return np.stack(out)
