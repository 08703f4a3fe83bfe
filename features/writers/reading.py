"""Captions as scenes: what `Scene.caption` composes is read back; of any other text only the words are known."""

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np

from features.backdrops import DRAWN, PHOTOGRAPHS
from features.composer import Background, Boxed, Placed, Scene, Subject, as_shown
from features.paint import COLOURS
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import NOUNS, Named, Place, Size

NO_FRAMES = np.zeros((0, 0, 0, 3), dtype=np.uint8)  # a scene of words shows nothing
MAIN = "main object"
SPOKEN_NOUNS = {Named(noun).spoken: noun for noun in NOUNS}
PLACES = {place.phrase: place for place in Place}
BACKDROPS = (*DRAWN, *PHOTOGRAPHS.values())


def any_of(*words: str) -> str:
    """A pattern of any of these words; of two that begin alike the longer is tried first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


COLOUR = any_of(*COLOURS)
THING = any_of(*SPOKEN_NOUNS, MAIN)
OBJECT = (
    rf"(?:a|some) (?:{any_of(*(size.value for size in Size))}) (?:(?:{COLOUR}) )?"
    rf"(?:{any_of(*SPOKEN_NOUNS)}) (?:{any_of(*PLACES)})"
)
_ONE = re.compile(rf"(.+) with ({OBJECT})")
_MORE = re.compile(rf"(.+?)((?:, {OBJECT})+) and ({OBJECT})")
_BOX = re.compile(rf"(.+), a ({COLOUR}) box around the ({THING})")
_MARK = re.compile(rf"(.+), the ({THING}) marked in ({COLOUR})")
_KEPT = re.compile(rf"(.+), in front of ({any_of(*BACKDROPS)})")
_TINT = re.compile(rf"(.+), the {MAIN} in ({COLOUR})")


def scene_of_words(ground: str) -> Scene:
    """A scene of which only the words are known."""
    return Scene(Background(NO_FRAMES, ground, "", ""))


@lru_cache(4096)
def read_scene(caption: str) -> Scene:
    """The scene that has exactly this caption; without frames."""
    text, look = _without_look(caption)
    text, box = _split(_BOX, text)
    text, marks = _without_marks(text)
    text, objects = _without_objects(text)
    text, kept = _split(_KEPT, text)
    text, tint = _split(_TINT, text)
    items = {item.name.spoken: replace(item, mark=marks.get(item.name.spoken)) for item in objects}
    subject = Subject(tint[0] if tint else None, marks.get(MAIN), bool(kept))
    boxed = Boxed(items.get(box[1]), box[0]) if box else None
    scene = replace(
        scene_of_words(text),
        objects=tuple(items.values()), look=look, backdrop=kept[0] if kept else None, subject=subject, box=boxed,
    )  # fmt: skip
    # Two things of one name, or a mark on what is not there: then the words are all that is known.
    return scene if scene.caption == caption else scene_of_words(caption)


def read_object(phrase: str) -> Placed | None:
    """An object as `Placed.phrase` tells it."""
    pattern = rf"(?:a|some) (\w+) (?:({COLOUR}) )?({any_of(*SPOKEN_NOUNS)}) ({any_of(*PLACES)})"
    # A colour may be part of the name: first without one.
    for told in (pattern.replace(f"(?:({COLOUR}) )?", "()"), pattern):
        found = re.fullmatch(told, phrase)
        if found and found[1] in [size.value for size in Size]:
            item = Placed(Named(SPOKEN_NOUNS[found[3]]), PLACES[found[4]], Size(found[1]), colour=found[2] or None)
            return item if item.phrase == phrase else None
    return None


def _split(pattern: re.Pattern[str], text: str) -> tuple[str, tuple[str, ...]]:
    found = pattern.fullmatch(text)
    return (found[1], found.groups()[1:]) if found else (text, ())


def _without_look(text: str) -> tuple[str, str | None]:
    for look in (*LOOKS, *STYLES):
        ending = f", {as_shown(look)}"
        if text.endswith(ending):
            return text.removesuffix(ending), look
    return text, None


def _without_marks(text: str) -> tuple[str, dict[str, str]]:
    marks: dict[str, str] = {}
    while found := _MARK.fullmatch(text):
        text = found[1]
        marks[found[2]] = found[3]
    return text, marks


def _without_objects(text: str) -> tuple[str, tuple[Placed, ...]]:
    if found := _MORE.fullmatch(text):
        phrases = [*re.findall(OBJECT, found[2]), found[3]]
    elif found := _ONE.fullmatch(text):
        phrases = [found[2]]
    else:
        return text, ()
    items = [read_object(phrase) for phrase in phrases]
    return (found[1], tuple(item for item in items if item)) if all(items) else (text, ())
