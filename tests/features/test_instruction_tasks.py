"""What an instruction asks for can be told from its wording: the grammar and its inverse agree."""

import itertools
import string

import numpy as np
import pytest

from features.backdrops import DRAWN, PHOTOGRAPHS
from features.composer import Placed
from features.instruction_tasks import tasks_told
from features.instructions import PHRASINGS, phrase
from features.paint import COLOURS
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import NOUNS, Named, Place, Size

NAMED = [Named(noun) for noun in NOUNS]
SPOKEN = ["main object", *(name.spoken for name in NAMED)]
WORDS = {
    "thing": [
        Placed(name, place, size).phrase for name in NAMED for place, size in zip(Place, [*Size] * 4, strict=False)
    ],
    "noun": SPOKEN,
    "old": SPOKEN,
    "new": [name.with_article for name in NAMED],
    "colour": list(COLOURS),
    "backdrop": [*DRAWN, *PHOTOGRAPHS.values()],
    "look": list(LOOKS),
    "style": list(STYLES),
    "caption": [
        "a dog runs",
        "a wall with a small red apple on the left, in sepia",
        "two\nlines",
        "(brackets) and [more]",
    ],
}


def _all(phrasing: str) -> list[str]:
    """A phrasing with every word of every slot, the slots turned independently."""
    slots = [name for _, name, *_ in string.Formatter().parse(phrasing) if name]
    return [
        phrasing.format(**dict(zip(slots, words, strict=True)))
        for words in itertools.product(*(WORDS[s] for s in slots))
    ]


@pytest.mark.parametrize("task", PHRASINGS)
def test_every_phrasing_of_a_task_is_recognised_as_that_task(task: str) -> None:
    """And as no other, but that a caption can be anything, an instruction too."""
    for phrasing in PHRASINGS[task]:
        for told in _all(phrasing):
            found = tasks_told(told)
            assert task in found and found - {"text_to_video"} <= {task}, told


@pytest.mark.parametrize("task", PHRASINGS)
@pytest.mark.parametrize("held_out", [True, False])
def test_what_the_grammar_says_its_inverse_understands(task: str, held_out: bool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        words = {slot: known[int(rng.integers(len(known)))] for slot, known in WORDS.items()}
        assert task in tasks_told(phrase(task, rng, held_out, **words))


@pytest.mark.parametrize(
    "told",
    [
        "",
        "add",
        "add a small unicorn on the left",
        "Add a small red apple on the left",
        "remove the owl, please",
        "make the owl octarine",
        "turn the picture red",
        "please make a video that shows a dog",
    ],
)
def test_what_the_grammar_cannot_say_is_no_task(told: str) -> None:
    assert tasks_told(told) == frozenset()


def test_an_instruction_that_could_be_a_caption_has_both_tasks() -> None:
    assert tasks_told("show where the owl is in red") == {"segment", "text_to_video"}
    assert tasks_told("show a dog") == {"text_to_video"}
