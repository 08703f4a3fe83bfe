"""The inverse of the grammar of instructions: which task an instruction asks for, told by its wording alone."""

import re
from collections.abc import Iterable, Mapping
from functools import cache

from features.backdrops import DRAWN, PHOTOGRAPHS
from features.instructions import PHRASINGS
from features.paint import COLOURS
from features.tasks.global_look import LOOKS
from features.tasks.marks import spoken
from features.tasks.style import STYLES
from features.vocabulary import NOUNS, Named, Place, Size

ANYTHING = ".+"


def tasks_told(instruction: str) -> frozenset[str]:
    """Tasks one of whose phrasings, held-out ones included, gives exactly this instruction; empty if none does.

    There may be two: a caption can be anything, so `show where the owl is in red` could be one that is to be shown.
    """
    return frozenset(task for task, pattern in _patterns().items() if pattern.fullmatch(instruction))


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """One pattern a task; slots take the words of the closed lists, but for captions."""
    slots = _slots()
    found = {}
    for task, phrasings in PHRASINGS.items():
        ways = (_pattern(phrasing, slots) for phrasing in phrasings)
        found[task] = re.compile("|".join(ways), re.DOTALL)
    return found


def _pattern(phrasing: str, slots: Mapping[str, str]) -> str:
    """A phrasing whose {slots} are filled by what may stand there."""
    parts = re.split(r"\{(\w+)\}", phrasing)
    return "".join(slots[part] if i % 2 else re.escape(part) for i, part in enumerate(parts))


def _slots() -> dict[str, str]:
    named = [Named(noun) for noun in NOUNS]
    nouns = _one_of([spoken(None), *(name.spoken for name in named)])
    bare = _one_of(name.with_article.partition(" ")[2] for name in named)
    sizes, places = _one_of(size.value for size in Size), _one_of(place.phrase for place in Place)
    return {
        "thing": f"(?:a|some) {sizes} {bare} {places}",
        "noun": nouns,
        "old": nouns,
        "new": _one_of(name.with_article for name in named),
        "colour": _one_of(COLOURS),
        "backdrop": _one_of([*DRAWN, *PHOTOGRAPHS.values()]),
        "look": _one_of(LOOKS),
        "style": _one_of(STYLES),
        "caption": ANYTHING,
    }


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(word) for word in words)})"
