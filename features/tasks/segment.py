"""Mark an object: instruction-guided segmentation, the object under a flat colour (Movie Gen Edit, section 5.1.2)."""

import numpy as np

from features.composer import Scene
from features.tasks.draft import Draft, Materials
from features.tasks.marks import draw_colour_edit


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of one to three objects, one of which is marked in a colour."""
    return draw_colour_edit("segment", rng, materials, choices, Scene.marked, materials.params.least_tint)
