"""What tasks that point at something share: which thing of a scene is meant, and edits that name a colour for it."""

from collections.abc import Callable

import numpy as np

from features.composer import Placed, Scene
from features.instructions import phrase
from features.paint import VIVID
from features.tasks.draft import Choice, Draft, Materials, draw_scene

SUBJECT_SHARE = 0.25  # of drafts, where the background has a subject of its own
ColourEdit = Callable[[Scene, Placed | None, str], Scene]


def draw_pointed(rng: np.random.Generator, materials: Materials, most: int) -> tuple[Scene, Placed | None]:
    """A scene of up to so many objects, and the one meant: None is the background's own subject, alone in it."""
    if materials.background.subject is not None and rng.random() < SUBJECT_SHARE:
        return Scene(materials.background), None
    scene = draw_scene(rng, materials, int(rng.integers(1, most + 1)))
    return scene, scene.objects[0]


def draw_colour_edit(
    task: str, rng: np.random.Generator, materials: Materials, choices: int, edit: ColourEdit, least_change: float
) -> Draft:
    """One thing of a scene pointed out in a vivid colour; decoys point at the others, then use other colours.

    No colour is used that is within `least_change` of the thing's own, as `Materials.tint_change` counts.
    """
    source, item = draw_pointed(rng, materials, materials.params.most_objects)
    colours = plain_colours(rng, materials, item, VIVID, least_change)
    others = [(other, colours[0]) for other in source.objects if other != item]
    wording = int(rng.integers(2**31))
    made = tuple(
        Choice(
            phrase(task, np.random.default_rng(wording), materials.held_out, noun=spoken(meant), colour=colour),
            edit(source, meant, colour),
        )
        for meant, colour in [(item, colours[0]), *others, *((item, colour) for colour in colours[1:])][:choices]
    )
    return Draft(task, source, made)


def spoken(item: Placed | None) -> str:
    """How an instruction calls it."""
    return "main object" if item is None else item.name.spoken


def plain_colours(
    rng: np.random.Generator, materials: Materials, item: Placed | None, colours: tuple[str, ...], least_change: float
) -> list[str]:
    """Colours, in drawn order, in which a thing would plainly look different; all of them if there are none."""
    drawn = shuffled(rng, colours)
    noun = None if item is None else item.name.noun
    return [colour for colour in drawn if materials.tint_change(noun, colour) >= least_change] or drawn


def shuffled(rng: np.random.Generator, names: tuple[str, ...]) -> list[str]:
    """The names in drawn order."""
    return [names[int(i)] for i in rng.permutation(len(names))]
