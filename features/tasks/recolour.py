"""Give an object another colour: light and shade remain."""

import numpy as np

from features.instructions import phrase
from features.paint import COLOURS
from features.tasks.draft import Choice, Draft, Materials
from features.tasks.marks import draw_pointed, plain_colours, spoken


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of one or two objects, one of which changes colour to one that is plainly another."""
    source, item = draw_pointed(rng, materials, 2)
    colours = plain_colours(rng, materials, item, tuple(COLOURS), materials.params.least_tint)
    wording = int(rng.integers(2**31))
    made = tuple(
        Choice(
            phrase("recolour", np.random.default_rng(wording), materials.held_out, noun=spoken(item), colour=colour),
            source.coloured(item, colour),
        )
        for colour in colours[:choices]
    )
    return Draft("recolour", source, made)
