"""Resampling and filtering of frames: plain functions of arrays, over Pillow."""

import numpy as np
from PIL import Image, ImageFilter


def shrunk(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """A frame [h w ...] uint8 made smaller, every pixel the mean of those it covers."""
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BOX))


def tiled(frame: np.ndarray, tiles: int) -> np.ndarray:
    """A square frame as so many tiles across of one colour each, at its own size."""
    side = frame.shape[0]
    small = Image.fromarray(shrunk(frame, tiles, tiles))
    return np.asarray(small.resize((side, side), Image.Resampling.NEAREST))


def window(frame: np.ndarray, box: tuple[float, float, float, float], side: int) -> np.ndarray:
    """The part of a frame inside (left, top, right, bottom), in fractions of pixels, as [side side 3]."""
    image = Image.fromarray(frame)
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))


def scaled_layer(layer: np.ndarray, height: int, width: int) -> np.ndarray:
    """An RGBA layer at another size; alpha is premultiplied, so that invisible pixels do not bleed into the edge."""
    premultiplied = Image.fromarray(layer).convert("RGBa").resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(premultiplied.convert("RGBA"))


def gaussian(frames: np.ndarray, radius: float) -> np.ndarray:
    """Frames [f h w ...] uint8, each blurred by a Gaussian of this deviation in pixels."""
    return _each(frames, ImageFilter.GaussianBlur(radius))


def median(frames: np.ndarray, size: int) -> np.ndarray:
    """Frames [f h w ...] uint8, each pixel the median of the square of odd `size` around it."""
    return _each(frames, ImageFilter.MedianFilter(size))


def _each(frames: np.ndarray, kind: ImageFilter.Filter) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(frame).filter(kind)) for frame in frames])
