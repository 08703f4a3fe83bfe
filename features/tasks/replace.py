"""Replace an object by another at the same place, of the same size and with the same motion."""

from dataclasses import replace

import numpy as np

from features.instructions import phrase
from features.tasks.draft import Choice, Draft, Materials, draw_nouns, draw_scene
from features.vocabulary import Named


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of one or two objects, the first of which becomes something else."""
    source = draw_scene(rng, materials, int(rng.integers(1, 3)))
    old = source.objects[0]
    nouns = draw_nouns(rng, materials.nouns, choices, tuple(item.name.noun for item in source.objects))
    wording = int(rng.integers(2**31))

    def choice(noun: str) -> Choice:
        new = replace(old, name=Named(noun))
        words = {"old": old.name.spoken, "new": new.name.with_article}
        told = phrase("replace", np.random.default_rng(wording), materials.held_out, **words)
        return Choice(told, source.swapped(old, new))

    return Draft("replace", source, tuple(choice(noun) for noun in nouns))
