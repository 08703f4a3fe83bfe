"""Painting on frames: colours of the closed list, tints that keep shading, layers with alpha, boxes."""

from dataclasses import dataclass

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
OPAQUE = 127
MARK_OPACITY = 0.75
BOX_WIDTH = 3  # pixels

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 30, 36),
    "orange": (245, 130, 20),
    "yellow": (250, 220, 30),
    "green": (40, 160, 60),
    "blue": (30, 80, 220),
    "purple": (130, 40, 170),
    "pink": (250, 105, 180),
    "white": (240, 240, 240),
    "black": (35, 35, 35),
}
VIVID = ("red", "yellow", "green", "blue", "purple", "pink")  # told apart on any ground, for marks and boxes


@dataclass(frozen=True)
class Box:
    """Rows [top, bottom) and columns [left, right) of a frame."""

    top: int
    bottom: int
    left: int
    right: int


def tinted(layer: np.ndarray, colour: str) -> np.ndarray:
    """An RGBA layer [... h w 4] uint8 in another colour: its light and shade remain, its alpha too.

    Light is measured from the layer's own middle, so that a bright thing and a dark one end as the same colour.
    """
    light = (layer[..., :3].astype(np.float32) @ LUMA) / 255
    seen = light[layer[..., 3] > OPAQUE]
    offset = float(np.median(seen)) - 0.5 if seen.size else 0.0
    light = np.clip(light - offset, 0.0, 1.0)[..., None]
    full = np.array(COLOURS[colour], dtype=np.float32)
    shaded = np.where(light < 0.5, full * (0.3 + 1.4 * light), full + (255 - full) * 0.8 * (2 * light - 1))
    return _with_alpha(shaded, layer)


def marked(layer: np.ndarray, colour: str) -> np.ndarray:
    """An RGBA layer [... h w 4] uint8 covered by a flat colour, through which it still shows."""
    flat = np.array(COLOURS[colour], dtype=np.float32)
    return _with_alpha(layer[..., :3] * (1 - MARK_OPACITY) + flat * MARK_OPACITY, layer)


def tint_change(layer: np.ndarray, colour: str) -> float:
    """Mean change of the visible pixels, in levels of the channel that changes most, were a layer tinted so."""
    visible = layer[..., 3] > OPAQUE
    if not visible.any():
        return 0.0
    change = np.abs(tinted(layer, colour)[..., :3].astype(np.int16) - layer[..., :3])[visible]
    return float(change.max(axis=-1).mean())


def paste(frame: np.ndarray, layer: np.ndarray, top: int, left: int) -> Box | None:
    """Blend an RGBA layer [h w 4] into a float frame in place, clipped at the borders; where it can be seen."""
    height, width = layer.shape[:2]
    y0, y1 = max(top, 0), min(top + height, frame.shape[0])
    x0, x1 = max(left, 0), min(left + width, frame.shape[1])
    if y0 >= y1 or x0 >= x1:
        return None
    part = layer[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = part[..., 3:].astype(np.float32) / 255
    frame[y0:y1, x0:x1] = frame[y0:y1, x0:x1] * (1 - alpha) + part[..., :3] * alpha
    return _extent(part[..., 3], y0, x0)


def visible(layer: np.ndarray) -> Box | None:
    """Where a layer of the frame's size can be seen, without painting it."""
    return _extent(layer[..., 3], 0, 0)


def outline(frame: np.ndarray, box: Box, colour: str) -> None:
    """Draw a rectangle just around a box into a frame in place, as much of it as fits."""
    top, left = max(box.top - BOX_WIDTH, 0), max(box.left - BOX_WIDTH, 0)
    bottom, right = min(box.bottom + BOX_WIDTH, frame.shape[0]), min(box.right + BOX_WIDTH, frame.shape[1])
    for rows, columns in (
        (slice(top, top + BOX_WIDTH), slice(left, right)),
        (slice(bottom - BOX_WIDTH, bottom), slice(left, right)),
        (slice(top, bottom), slice(left, left + BOX_WIDTH)),
        (slice(top, bottom), slice(right - BOX_WIDTH, right)),
    ):
        frame[rows, columns] = COLOURS[colour]


def _extent(alpha: np.ndarray, top: int, left: int) -> Box | None:
    rows, columns = (np.flatnonzero((alpha > OPAQUE).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return Box(top + int(rows[0]), top + int(rows[-1]) + 1, left + int(columns[0]), left + int(columns[-1]) + 1)


def levels(values: np.ndarray) -> np.ndarray:
    """Numbers as uint8 levels, rounded and clipped."""
    rounded: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _with_alpha(colours: np.ndarray, layer: np.ndarray) -> np.ndarray:
    return np.concatenate([levels(colours), layer[..., 3:]], axis=-1)
