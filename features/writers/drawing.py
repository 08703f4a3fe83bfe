"""Drawing an edit for a scene that is known by its words: the same choices as the composer's tasks, on any caption."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from features.composer import Placed, Scene
from features.paint import COLOURS, VIVID
from features.tasks.global_look import LOOKS
from features.tasks.marks import ColourEdit
from features.tasks.style import STYLES
from features.vocabulary import NOUNS, Named, Place, Size
from features.writers.reading import BACKDROPS


class NothingToDraw(ValueError):
    """A caption that this task can do nothing with; the message is the reason."""


T = TypeVar("T")
Draw = Callable[[np.random.Generator, Scene, bool], Scene]


def _one(rng: np.random.Generator, things: Sequence[T], reason: str) -> T:
    if not things:
        raise NothingToDraw(reason)
    return things[int(rng.integers(len(things)))]


def _new_noun(rng: np.random.Generator, scene: Scene) -> Named:
    taken = {item.name.noun for item in scene.objects}
    return Named(_one(rng, [noun for noun in NOUNS if noun not in taken], "every noun is taken"))


def _add(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
    """At a place whose column is free, as nothing may be covered."""
    taken = {item.place.value[1] for item in scene.objects}
    place = _one(rng, [place for place in Place if place.value[1] not in taken], "no place is free")
    return scene.with_object(Placed(_new_noun(rng, scene), place, _one(rng, list(Size), "")))


def _object(rng: np.random.Generator, scene: Scene) -> Placed:
    return _one(rng, scene.objects, "names no object of the vocabulary")


def _remove(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
    gone = _object(rng, scene)
    if gone.mark or (scene.box and scene.box.item == gone):
        raise NothingToDraw("the object carries a mark")
    return scene.without(gone)


def _replace(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
    old = _object(rng, scene)
    if scene.box and scene.box.item == old:
        raise NothingToDraw("the object carries a mark")
    return scene.swapped(old, replace(old, name=_new_noun(rng, scene)))


def _pointed(rng: np.random.Generator, scene: Scene, subject: bool) -> Placed | None:
    """An object, or the subject if no object covers it."""
    if not scene.objects and subject:
        return None
    return _object(rng, scene)


def _recolour(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
    item = _pointed(rng, scene, subject)
    own = {scene.subject.colour} if item is None else {item.colour, *item.name.spoken.split()}
    return scene.coloured(item, _one(rng, [colour for colour in COLOURS if colour not in own], "no colour is left"))


def _pointing(edit: ColourEdit) -> Draw:
    def draw(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
        item = _pointed(rng, scene, subject)
        if scene.box or (scene.subject.mark if item is None else item.mark):
            raise NothingToDraw("something is pointed at already")
        return edit(scene, item, _one(rng, VIVID, ""))

    return draw


def _background(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
    if not scene.objects and not subject:
        raise NothingToDraw("nothing stands before the background")
    if scene.objects and scene.subject.painted:
        raise NothingToDraw("the background has an edited subject")
    names = [name for name in BACKDROPS if name not in (scene.backdrop, scene.background.caption)]
    return scene.before(_one(rng, names, "no backdrop is left"), with_subject=not scene.objects)


def _looks(names: tuple[str, ...]) -> Draw:
    def draw(rng: np.random.Generator, scene: Scene, subject: bool) -> Scene:
        if scene.look:
            raise NothingToDraw("it has a look already")
        return replace(scene, look=_one(rng, names, ""))

    return draw


DRAW: Mapping[str, Draw] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "recolour": _recolour,
    "background": _background,
    "global": _looks(tuple(LOOKS)),
    "style": _looks(tuple(STYLES)),
    "segment": _pointing(Scene.marked),
    "detect": _pointing(Scene.boxed),
}
