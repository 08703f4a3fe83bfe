"""Quality scores of decoded frames, and the reasons for which a clip is turned away."""

from dataclasses import dataclass

import numpy as np

from features.params import QualityParams

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Quality:
    """Scores on luma 0..255: brightness its mean, contrast its deviation, sharpness the deviation of its Laplacian.

    `motion` is the mean absolute change between neighbouring frames, 0 for a picture.
    """

    sharpness: float
    brightness: float
    contrast: float
    motion: float


@dataclass(frozen=True)
class Rejection:
    """Why a row is quarantined: which threshold, and the value that missed it."""

    reason: str
    value: str


def score(frames: np.ndarray) -> Quality:
    """Scores of frames [f h w 3] uint8."""
    luma = frames.astype(np.float32) @ LUMA
    middle = luma[:, 1:-1, 1:-1]
    around = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    motion = float(np.abs(np.diff(luma, axis=0)).mean()) if len(luma) > 1 else 0.0
    return Quality(
        sharpness=round(float((around - 4 * middle).std()), 4),
        brightness=round(float(luma.mean()), 4),
        contrast=round(float(luma.std()), 4),
        motion=round(motion, 4),
    )


def judge(quality: Quality, side: int, seconds: float, caption: str, params: QualityParams) -> list[Rejection]:
    """Every threshold that a clip misses; `seconds` is infinite for a picture."""
    found = [
        _below("shorter side in pixels", side, params.min_side),
        _below("seconds", seconds, params.min_seconds),
        _below("sharpness", quality.sharpness, params.min_sharpness),
        _below("brightness", quality.brightness, params.min_brightness),
        _above("brightness", quality.brightness, params.max_brightness),
        _below("contrast", quality.contrast, params.min_contrast),
        _above("caption length", len(caption), params.max_caption),
        None if caption.strip() else Rejection("caption is empty", ""),
    ]
    return [rejection for rejection in found if rejection]


def _below(name: str, value: float, limit: float) -> Rejection | None:
    return Rejection(f"{name} below {limit}", str(value)) if value < limit else None


def _above(name: str, value: float, limit: float) -> Rejection | None:
    return Rejection(f"{name} above {limit}", str(value)) if value > limit else None
