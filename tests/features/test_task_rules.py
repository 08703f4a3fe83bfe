"""The task of an instruction: every sentence of the composer, and what people write."""

import itertools
import string

import pytest

from features.backdrops import DRAWN, PHOTOGRAPHS
from features.composer import Placed
from features.instructions import PHRASINGS
from features.paint import COLOURS
from features.task_rules import RULES, task_told
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import NOUNS, Named, Place, Size
from models.tasks import EDIT_TASKS, Task

NAMED = [Named(noun) for noun in NOUNS]
SPOKEN = ["main object", *(name.spoken for name in NAMED)]
WORDS = {
    "thing": [Placed(name, place, size).phrase for name, place, size in itertools.product(NAMED[:9], Place, Size)],
    "noun": SPOKEN,
    "old": SPOKEN,
    "new": [name.with_article for name in NAMED],
    "colour": list(COLOURS),
    "backdrop": [*DRAWN, *PHOTOGRAPHS.values()],
    "look": list(LOOKS),
    "style": list(STYLES),
}
WRITTEN = {
    Task.ADD: ("Add a hat to the man.", "give him a beard", "let there be a boat", "add hills in the background"),
    Task.REMOVE: ("Please remove the lamp", "erase the tree in the background", "take the sign off"),
    Task.REPLACE: ("turn the man into a robot", "swap the mug for a vase", "Could you change the dog to a cat?"),
    Task.RECOLOUR: ("change the color of the car to blue", "paint a wall light green", "turn the cat blue", "dye it"),
    Task.BACKGROUND: ("change the background to a beach", "put her in front of the sea", "remove the background"),
    Task.GLOBAL: ("make it winter", "turn it into a rainy day", "change the weather to fog", "make the image brighter"),
    Task.STYLE: ("make it a painting", "In the style of van Gogh", "convert to anime", "render it as a watercolour"),
    Task.SEGMENT: ("highlight the dog in red", "mask the sky"),
    Task.DETECT: ("draw a red box around the car", "locate the bird"),
    Task.TEXTURE: ("make the table out of glass", "it should be made of wood"),
    Task.IDENTITY: ("Change nothing!", "don't edit anything", "keep the image the same"),
    Task.LOCAL: ("make the man smile", "turn it into a cat", "open the door", "what if she were older?"),
}  # fmt: skip


@pytest.mark.parametrize("task", [task for task in PHRASINGS if task != "text_to_video"])
def test_what_the_composer_says_is_of_its_own_task(task: str) -> None:
    for phrasing in PHRASINGS[task]:
        slots = [name for _, name, *_ in string.Formatter().parse(phrasing) if name]
        for words in itertools.product(*(WORDS[slot] for slot in slots)):
            told = phrasing.format(**dict(zip(slots, words, strict=True)))
            assert task_told(told).label == task, told


@pytest.mark.parametrize("task", WRITTEN, ids=lambda task: task.label)
def test_what_people_write_has_a_task(task: Task) -> None:
    assert {told: task_told(told) for told in WRITTEN[task]} == dict.fromkeys(WRITTEN[task], task)


def test_every_editing_task_can_be_told() -> None:
    assert {task for task, _ in RULES} | {Task.LOCAL} == set(EDIT_TASKS) == set(WRITTEN)


@pytest.mark.parametrize("told", ["", " ", "?", "x" * 10_000, "turn the " * 2000, "\n\0", "\u0661"])
def test_nothing_that_is_said_is_an_error(told: str) -> None:
    assert task_told(told) in EDIT_TASKS
