"""Named backdrops: the closed list of what can be put behind the objects of a scene.

Each is one fixed picture, so that its name determines the truth: drawn here, or the middle of a training photograph.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Backdrop:
    """A picture [side side 3] uint8, with the row of `clips` it was taken from, if from any."""

    picture: np.ndarray
    clip_id: str | None


Drawn = Callable[[int], np.ndarray]

# By scene: photographs that look like nothing else on the list.
PHOTOGRAPHS: dict[str, str] = {
    "lomiri-wallpapers-16.04-sunset_by_Aitzol_Berasategi": "a sunset behind mountains",
    "lomiri-wallpapers-16.04-life_by_Aitzol_Berasategi": "a forest stream",
    "lomiri-wallpapers-16.04-aitzgorri_by_Aitzol_Berasategi": "an autumn meadow",
    "scikit-image-hubble_deep_field": "deep space with galaxies",
    "scikit-image-brick": "a brick wall",
    "clickgame-sea3": "a coral reef",
}


def plain(*colour: int) -> Drawn:
    """One colour all over."""
    return lambda side: np.full((side, side, 3), colour, dtype=np.uint8)


def squares(side: int) -> np.ndarray:
    """A chequerboard of eight by eight."""
    cells = np.arange(side) * 8 // side
    light = (cells[:, None] + cells) % 2 == 0
    return np.where(light[..., None], 235, 30).astype(np.uint8).repeat(3, axis=-1)


def stripes(side: int) -> np.ndarray:
    """Eight upright stripes, red and white."""
    red = (np.arange(side) * 8 // side) % 2 == 0
    row = np.where(red[:, None], np.array([200, 30, 40]), np.array([245, 245, 245])).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row, (side, side, 3)))


def sky(side: int) -> np.ndarray:
    """From blue above to nearly white below."""
    share = np.linspace(0, 1, side, dtype=np.float32)[:, None]
    column = np.array([60, 130, 230], dtype=np.float32) * (1 - share) + np.array([235, 245, 255]) * share
    return np.ascontiguousarray(np.broadcast_to(np.rint(column)[:, None].astype(np.uint8), (side, side, 3)))


DRAWN: Mapping[str, Drawn] = {
    "a plain blue background": plain(40, 90, 200),
    "a plain green background": plain(50, 160, 80),
    "a plain yellow background": plain(245, 215, 70),
    "a plain black background": plain(12, 12, 12),
    "black and white squares": squares,
    "red and white stripes": stripes,
    "a clear blue sky": sky,
}


def drawn_backdrops(side: int) -> dict[str, Backdrop]:
    """Those that need no photograph, by name."""
    return {name: Backdrop(make(side), None) for name, make in DRAWN.items()}
