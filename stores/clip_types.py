"""What every reader and writer of media shares: frames, limits, descriptions, and one error in plain words.

Frames are uint8 [f, h, w, 3] RGB. A picture is a clip of one frame.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Frame: TypeAlias = NDArray[np.uint8]  # [h, w, 3]
Frames: TypeAlias = NDArray[np.uint8]  # [f, h, w, 3]
Source: TypeAlias = Path | bytes


class MediaError(ValueError):
    """A file that cannot be read or written; the message names the file and the cause."""


@dataclass(frozen=True)
class MediaLimits:
    """What is refused before decoding: pixels of one frame, frames, and seconds of a clip."""

    max_pixels: int
    max_frames: int
    max_seconds: float


@dataclass(frozen=True)
class MediaInfo:
    """What a file shows: upright size in square pixels; `fps` is the average rate (1 for a picture)."""

    kind: Literal["picture", "video"]
    frames: int
    fps: Fraction
    width: int
    height: int
    seconds: float
    has_audio: bool


@dataclass(frozen=True)
class Clip:
    """Frames uint8 [f, h, w, 3] RGB and their rate.

    Raises:
        MediaError: another type or shape, no frame, or a rate that is not positive.
    """

    frames: Frames
    fps: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[3] != 3 or not self.frames.size:
            found = f"{self.frames.dtype} {list(self.frames.shape)}"
            raise MediaError(f"a clip is uint8 [f, h, w, 3] with at least one pixel, not {found}")
        if self.fps <= 0:
            raise MediaError(f"a clip needs a positive frame rate, not {self.fps}")


@dataclass(frozen=True)
class Geometry:
    """Size of a frame as stored but with square pixels, and how to turn it upright: transpose, then flip."""

    height: int
    width: int
    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def shown(self) -> tuple[int, int]:
        """Size (h, w) as seen upright."""
        return (self.width, self.height) if self.transpose else (self.height, self.width)

    def resized(self, size: tuple[int, int] | None) -> "Geometry":
        """The same turn with another upright size (h, w)."""
        height, width = (self.shown() if size is None else size)[:: -1 if self.transpose else 1]
        return Geometry(height, width, self.transpose, self.flip_x, self.flip_y)

    def upright(self, frame: Frame) -> Frame:
        """Turn a frame of the stored size upright."""
        turned = frame.transpose(1, 0, 2) if self.transpose else frame
        return np.ascontiguousarray(turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


def checked_name(source: Source, name: str | None) -> str:
    """How messages call the source: its path, or `name` for bytes.

    Raises:
        MediaError: missing, empty, or not a regular file.
    """
    if isinstance(source, bytes):
        name = name or "<bytes>"
        size = len(source)
    else:
        name = name or str(source)
        if not source.exists():
            raise MediaError(f"{name}: no such file")
        if not source.is_file():
            raise MediaError(f"{name}: not a regular file")
        size = source.stat().st_size
    if not size:
        raise MediaError(f"{name}: empty file")
    return name


def check_limits(name: str, limits: MediaLimits, pixels: int, frames: int = 1, seconds: float = 0) -> None:
    """Refuse what is beyond the limits, in pixels a frame, frames and seconds."""
    if pixels > limits.max_pixels:
        raise MediaError(f"{name}: {pixels} pixels a frame, more than the limit of {limits.max_pixels}")
    if frames > limits.max_frames:
        raise MediaError(f"{name}: {frames} frames or more, beyond the limit of {limits.max_frames}")
    if seconds > limits.max_seconds:
        raise MediaError(f"{name}: {seconds:.1f} seconds or more, beyond the limit of {limits.max_seconds}")
