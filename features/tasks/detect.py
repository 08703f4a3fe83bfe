"""Find an object: a box in a given colour around it, as Emu Edit's detection."""

import numpy as np

from features.composer import Scene
from features.tasks.draft import Draft, Materials
from features.tasks.marks import draw_colour_edit


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of one to three objects, one of which gets a box in a colour."""
    return draw_colour_edit("detect", rng, materials, choices, Scene.boxed, 0.0)
