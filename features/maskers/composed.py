"""Masks of composed scenes: exact, because a scene is data."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from features.composer import Placed, Scene
from features.maskers.protocol import MaskRejected, MaskTrack, checked
from features.paint import COLOURS, MARK_OPACITY
from features.tasks.marks import spoken

LIGHT, DARK = "white", "black"


class ComposedMasker:
    """The things of one scene, by their spoken names; `draw` renders it.

    A thing is where a mark on it would show, so that what stands before it is left out, and soft edges stay soft.
    """

    def __init__(self, scene: Scene, draw: Callable[[Scene], np.ndarray]) -> None:
        self._scene, self._draw = scene, draw
        self.revision = "composed"

    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        """ValueError if these cannot be the scene's frames."""
        shape = self._scene.background.frames.shape
        if checked(frames).shape != shape:
            raise ValueError(f"the scene's frames are {list(shape)}, not {list(frames.shape)}")
        items: list[Placed | None] = list(self._scene.objects)
        if self._scene.background.subject is not None:
            items.append(None)
        meant = [item for item in items if thing in (spoken(item), item.name.noun if item else None)]
        if not meant:
            return MaskRejected(thing, "not in the scene")
        alpha = self._alpha(meant[0])
        return MaskTrack(thing, alpha, 1.0) if alpha.any() else MaskRejected(thing, "hidden", 0.0)

    def _alpha(self, item: Placed | None) -> np.ndarray:
        plain = replace(self._scene, look=None, box=None)
        light, dark = (self._draw(plain.marked(item, colour)).astype(np.float32) for colour in (LIGHT, DARK))
        full = MARK_OPACITY * (COLOURS[LIGHT][0] - COLOURS[DARK][0])
        alpha: np.ndarray = np.clip(np.rint((light - dark)[..., 0] / full * 255), 0, 255).astype(np.uint8)
        return alpha
