"""Change nothing: an instruction that asks for no edit, whose truth is the source itself."""

import numpy as np

from features.instructions import phrase
from features.tasks.draft import Choice, Draft, Materials, draw_scene


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of up to two objects, to be kept as it is. There are no decoys: all such instructions mean the same."""
    source = draw_scene(rng, materials, int(rng.integers(3)))
    return Draft("identity", source, (Choice(phrase("identity", rng, materials.held_out), source),))
