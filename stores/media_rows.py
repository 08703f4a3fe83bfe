"""Decode the media of a `clips` row at working size."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stores.clip_files import probe, read_clip
from stores.clip_types import MediaLimits

COLUMNS = ("id", "kind", "media", "fps")


@dataclass(frozen=True)
class WorkingSize:
    """Pixels of the shorter side, frames a second, and how many frames a clip should have if it can."""

    side: int
    frame_rate: float
    frames: int


def decode_row(row: Mapping[str, Any], working: WorkingSize, limits: MediaLimits) -> np.ndarray:
    """Frames [f h w 3] uint8 at working size; a clip too short for its frames is thinned less than its rate asks."""
    info = probe(row["media"], limits, name=row["id"])
    stride = max(1, min(round(row["fps"] / working.frame_rate), info.frames // working.frames))
    size = shorter_side(info.height, info.width, working.side)
    frames: np.ndarray = read_clip(row["media"], limits, stride=stride, size=size, name=row["id"]).frames
    return frames


def shorter_side(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width scaled so that the shorter of the two is `side`, the other rounded up."""
    scale = side / min(height, width)
    return math.ceil(height * scale - 1e-9), math.ceil(width * scale - 1e-9)
