"""Add an object: the instruction states noun, size and place, so its truth is unique."""

import numpy as np

from features.composer import Placed
from features.instructions import phrase
from features.tasks.draft import Choice, Draft, Materials, draw_nouns, draw_scene
from features.vocabulary import Named, Place, Size


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene with at most one object, to which another is added at a free place."""
    source = draw_scene(rng, materials, int(rng.integers(2)))
    taken = {item.place.value[1] for item in source.objects}
    free = [place for place in Place if place.value[1] not in taken]
    place, size = free[int(rng.integers(len(free)))], list(Size)[int(rng.integers(2))]
    nouns = draw_nouns(rng, materials.nouns, choices, tuple(item.name.noun for item in source.objects))
    wording = int(rng.integers(2**31))

    def choice(noun: str) -> Choice:
        item = Placed(Named(noun), place, size)
        # One generator a choice, so that all of them are worded alike.
        told = phrase("add", np.random.default_rng(wording), materials.held_out, thing=item.phrase)
        return Choice(told, source.with_object(item))

    return Draft("add", source, tuple(choice(noun) for noun in nouns))
