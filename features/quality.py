"""Quality scores of decoded frames, and the reasons for which a clip is turned away."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from features.params import QualityParams

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
BLACK_LUMA, BLACK_PIXELS = 26, 0.98  # a frame is black if that share of its pixels is darker: 10 % of white
# Of a picture that is encoded again and again hardly a pixel moves by more than a few levels, at any quality.
MOVED_LUMA, MOVED_PIXELS = 8, 0.0005
THUMBNAIL = 16  # pixels a side at which neighbouring frames are compared: small things may move, a scene may not


@dataclass(frozen=True)
class Quality:
    """Scores on luma 0..255: brightness its mean, contrast its deviation, sharpness the deviation of its Laplacian.

    `motion` is the mean absolute change between the frames that were kept, 0 for a picture. Over all frames:
    `black_share` of them, `frozen_share` of the steps between two, and `cut`, by how many levels the largest change of
    the thumbnail exceeds those before and after it (a flash is undone by the next frame, and is no cut). `dhash` is
    the 64-bit difference hash of the middle frame, as 16 hexadecimal digits.
    """

    sharpness: float
    brightness: float
    contrast: float
    motion: float
    black_share: float
    frozen_share: float
    cut: float
    dhash: str


@dataclass(frozen=True)
class Rejection:
    """Why a row is quarantined: which threshold, and the value that missed it."""

    reason: str
    value: str


def score(frames: np.ndarray) -> Quality:
    """Scores of frames [f h w 3] uint8."""
    return watch(frames, 1)[1]


def watch(frames: Iterable[np.ndarray], stride: int) -> tuple[np.ndarray, Quality]:
    """Take frames [h w 3] uint8 one by one; give back every `stride`-th, [f h w 3], and the scores of all."""
    kept: list[np.ndarray] = []
    black: list[bool] = []
    frozen: list[bool] = []
    jumps: list[float] = []
    before: tuple[np.ndarray, np.ndarray] | None = None
    for index, frame in enumerate(frames):
        luma, thumbnail = frame.astype(np.float32) @ LUMA, _grid(frame.astype(np.float32), THUMBNAIL, THUMBNAIL)
        black.append(float((luma < BLACK_LUMA).mean()) >= BLACK_PIXELS)
        if before is not None:
            frozen.append(float((np.abs(luma - before[0]) > MOVED_LUMA).mean()) < MOVED_PIXELS)
            jumps.append(float(np.abs(thumbnail - before[1]).mean()))
        before = luma, thumbnail
        if index % stride == 0:
            kept.append(frame)
    found = np.stack(kept)
    return found, Quality(
        **_look(found),
        black_share=round(float(np.mean(black)), 4),
        frozen_share=round(float(np.mean(frozen)), 4) if frozen else 0.0,
        cut=round(_cut(jumps), 4),
        dhash=difference_hash(found[len(found) // 2]),
    )


def difference_hash(frame: np.ndarray) -> str:
    """Whether each of 8 x 8 cells over a frame [h w 3] is darker than its right neighbour; in even areas none is."""
    luma = _grid((frame.astype(np.float32) @ LUMA)[..., None], 8, 9)[..., 0].round()
    return np.packbits(luma[:, 1:] > luma[:, :-1]).tobytes().hex()


def judge(quality: Quality, side: int, seconds: float, caption: str, params: QualityParams) -> list[Rejection]:
    """Every threshold that a clip misses; `seconds` is infinite for a picture."""
    found = [
        _below("seconds", seconds, params.min_seconds),
        _above("caption length", len(caption), params.max_caption),
        None if caption.strip() else Rejection("caption is empty", ""),
    ]
    return [*judge_look(quality, side, params), *(rejection for rejection in found if rejection)]


def judge_look(quality: Quality, side: int, params: QualityParams) -> list[Rejection]:
    """Every threshold that the frames of a clip or picture miss; `side` is the shorter one of its file."""
    found = [
        _below("shorter side in pixels", side, params.min_side),
        _below("sharpness", quality.sharpness, params.min_sharpness),
        _below("brightness", quality.brightness, params.min_brightness),
        _above("brightness", quality.brightness, params.max_brightness),
        _below("contrast", quality.contrast, params.min_contrast),
        _above("share of black frames", quality.black_share, params.max_black_share),
        _above("share of frozen frames", quality.frozen_share, params.max_frozen_share),
        _above("shot cut", quality.cut, params.max_cut),
    ]
    return [rejection for rejection in found if rejection]


def _look(frames: np.ndarray) -> dict[str, float]:
    luma = frames.astype(np.float32) @ LUMA
    middle = luma[:, 1:-1, 1:-1]
    around = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    motion = float(np.abs(np.diff(luma, axis=0)).mean()) if len(luma) > 1 else 0.0
    return {
        "sharpness": round(float((around - 4 * middle).std()), 4),
        "brightness": round(float(luma.mean()), 4),
        "contrast": round(float(luma.std()), 4),
        "motion": round(motion, 4),
    }


def _cut(jumps: list[float]) -> float:
    around = np.pad(np.array(jumps, dtype=np.float64), 1)
    return float((around[1:-1] - np.maximum(around[:-2], around[2:])).max(initial=0.0))


def _grid(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means of a plane [h w c] over a grid of so many rows and columns."""
    for axis, count in ((0, rows), (1, columns)):
        size = plane.shape[axis]
        edges = np.linspace(0, size, count + 1)
        starts = np.minimum(edges[:-1].astype(int), size - 1)
        widths = np.maximum(np.diff(np.append(starts, size)), 1)
        shape = [-1 if each == axis else 1 for each in range(plane.ndim)]
        plane = np.add.reduceat(plane, starts, axis=axis) / widths.reshape(shape).astype(np.float32)
    return plane


def _below(name: str, value: float, limit: float) -> Rejection | None:
    return Rejection(f"{name} below {limit}", str(value)) if value < limit else None


def _above(name: str, value: float, limit: float) -> Rejection | None:
    return Rejection(f"{name} above {limit}", str(value)) if value > limit else None
