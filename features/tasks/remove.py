"""Remove an object: what was behind it is known."""

import numpy as np

from features.instructions import phrase
from features.tasks.draft import Choice, Draft, Materials, draw_scene


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of one to three objects, one of which goes; the decoys remove the others."""
    count = max(int(rng.integers(1, materials.params.most_objects + 1)), min(choices, materials.params.most_objects))
    source = draw_scene(rng, materials, count)
    wording = int(rng.integers(2**31))
    made = tuple(
        Choice(
            phrase("remove", np.random.default_rng(wording), materials.held_out, noun=item.name.spoken),
            source.without(item),
        )
        for item in source.objects
    )
    return Draft("remove", source, made[:choices])
