"""Instructions as edits of scenes: what the phrasings of our tasks say, read back and carried out in words."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from features.composer import Placed, Scene
from features.instructions import PHRASINGS, UNDOINGS
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import BEFORE, EFFECTS, Named
from features.writers.reading import COLOUR, MAIN, OBJECT, SPOKEN_NOUNS, THING, any_of, read_object, read_scene

KINDS = {style.removeprefix("a ").removeprefix("an "): style for style in STYLES}
Words = Mapping[str, str]
Apply = Callable[[Scene, Words], Scene | None]

# What may stand for a word of a phrasing. A background's name is free text: a clip's own is not in the closed list.
SLOTS: Mapping[str, str] = {
    "thing": OBJECT,
    "noun": THING,
    "old": any_of(*SPOKEN_NOUNS),
    "new": any_of(*(Named(noun).with_article for noun in SPOKEN_NOUNS.values())),
    "colour": COLOUR,
    "look": any_of(*LOOKS),
    "style": any_of(*STYLES),
    "effect": any_of(*EFFECTS.values()),
    "before": any_of(*BEFORE.values()),
    "kind": any_of(*KINDS),
    "backdrop": ".+",
    "scene": ".+",
}


def understood(instruction: str, caption: str) -> str | None:
    """The caption after an instruction: None where it asks for nothing that can be done, or could mean two things."""
    scene = read_scene(caption)
    results = {done.caption for apply, words in _readings(instruction) if (done := apply(scene, words)) is not None}
    return results.pop() if len(results) == 1 else None


def _readings(instruction: str) -> Iterator[tuple[Apply, Words]]:
    for pattern, apply in _patterns():
        if found := pattern.fullmatch(instruction):
            yield apply, found.groupdict()


@lru_cache(1)
def _patterns() -> tuple[tuple[re.Pattern[str], Apply], ...]:
    tables = ((PHRASINGS, DOING), (UNDOINGS, UNDOING))
    return tuple(
        (re.compile(_as_pattern(wording)), apply)
        for phrasings, applies in tables
        for task, apply in applies.items()
        for wording in phrasings[task]
    )


def _as_pattern(wording: str) -> str:
    escaped = re.escape(wording)
    return re.sub(r"\\{(\w+)\\}", lambda slot: f"(?P<{slot[1]}>{SLOTS[slot[1]]})", escaped)


def _named(scene: Scene, spoken: str) -> Placed | None:
    return next((item for item in scene.objects if item.name.spoken == spoken), None)


def _pointed(scene: Scene, noun: str) -> bool:
    return noun == MAIN or _named(scene, noun) is not None


def _add(scene: Scene, words: Words) -> Scene | None:
    item = read_object(words["thing"])
    if item is None or _named(scene, item.name.spoken):
        return None
    return scene.with_object(item)


def _remove(scene: Scene, words: Words) -> Scene | None:
    item = _named(scene, words["noun"])
    return None if item is None else scene.without(item)


def _replace(scene: Scene, words: Words) -> Scene | None:
    old = _named(scene, words["old"])
    noun = next(noun for noun in SPOKEN_NOUNS.values() if Named(noun).with_article == words["new"])
    if old is None or _named(scene, Named(noun).spoken):
        return None
    return scene.swapped(old, replace(old, name=Named(noun)))


def _recolour(scene: Scene, words: Words) -> Scene | None:
    return scene.coloured(_named(scene, words["noun"]), words["colour"]) if _pointed(scene, words["noun"]) else None


def _segment(scene: Scene, words: Words) -> Scene | None:
    return scene.marked(_named(scene, words["noun"]), words["colour"]) if _pointed(scene, words["noun"]) else None


def _detect(scene: Scene, words: Words) -> Scene | None:
    if not _pointed(scene, words["noun"]) or scene.box is not None:
        return None
    return scene.boxed(_named(scene, words["noun"]), words["colour"])


def _background(scene: Scene, words: Words) -> Scene | None:
    return scene.before(words["backdrop"], with_subject=not scene.objects)


def _look(scene: Scene, words: Words) -> Scene | None:
    return None if scene.look else replace(scene, look=words.get("look") or words["style"])


def _own_colour(scene: Scene, words: Words) -> Scene | None:
    item = _named(scene, words["noun"])
    if words["noun"] == MAIN:
        told = scene.subject.colour
        done = replace(scene, subject=replace(scene.subject, colour=None))
    else:
        told = item.colour if item else None
        done = scene.swapped(item, replace(item, colour=None)) if item else scene
    return done if told is not None and words.get("colour", told) == told else None


def _unmark(scene: Scene, words: Words) -> Scene | None:
    item = _named(scene, words["noun"])
    if words["noun"] == MAIN:
        told = scene.subject.mark
        done = replace(scene, subject=replace(scene.subject, mark=None))
    else:
        told = item.mark if item else None
        done = scene.swapped(item, replace(item, mark=None)) if item else scene
    return done if told == words["colour"] else None


def _unbox(scene: Scene, words: Words) -> Scene | None:
    box = scene.box
    noun = box.item.name.spoken if box and box.item else MAIN
    return replace(scene, box=None) if box and (box.colour, noun) == (words["colour"], words["noun"]) else None


def _own_background(scene: Scene, words: Words) -> Scene | None:
    if scene.backdrop is None:
        return None
    done = replace(scene, backdrop=None, subject=replace(scene.subject, kept=False))
    return done if done.ground == words["scene"] else None


def _own_look(scene: Scene, words: Words) -> Scene | None:
    look = str(scene.look)
    meant = words.get("effect") == EFFECTS.get(look, "") or words.get("before") == BEFORE.get(look, "")
    return replace(scene, look=None) if meant else None


def _photograph(scene: Scene, words: Words) -> Scene | None:
    return replace(scene, look=None) if scene.look == KINDS[words["kind"]] else None


def _nothing(scene: Scene, words: Words) -> Scene | None:
    return scene


DOING: Mapping[str, Apply] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "recolour": _recolour,
    "background": _background,
    "global": _look,
    "style": _look,
    "segment": _segment,
    "detect": _detect,
    "identity": _nothing,
}
UNDOING: Mapping[str, Apply] = {
    "recolour": _own_colour,
    "background": _own_background,
    "global": _own_look,
    "style": _photograph,
    "segment": _unmark,
    "detect": _unbox,
}
