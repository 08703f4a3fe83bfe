"""Laws of the grammar: it tells what the composer draws, carries out what it tells, and takes it back exactly."""

import random
from dataclasses import replace

import numpy as np
import pytest

from features.composer import Scene
from features.instructions import PHRASINGS, UNDOINGS
from features.motion import STILL
from features.pairs import DRAWERS
from features.sample_captions import CAPTIONS
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import BEFORE, EFFECTS
from features.writers.grammar import TASKS, GrammarWriter
from features.writers.protocol import InvertRequest, Rejected, WriteRequest, Written
from features.writers.reading import read_scene
from features.writers.understanding import understood
from tests.world import colourful, materials, tiny_params, with_subject

TINY = tiny_params()
SEEDS = range(40)
EDITS = tuple(task for task in TASKS if task != "text_to_video")
WRITER = GrammarWriter()
FREE = "people walking outdoors in front of a house"
TEXTS = (
    FREE,
    "a small red apple on the left",
    "a plain with nothing on it, in black and white",
    "a wall, the owl marked in red",
    "a wall, a red box around the owl",
    "a wall with a small owl on the left and a small owl on the right",
    ", sepia",
    " with a small owl on the left",
    "two\nlines with a small owl on the left",
    "{noun} %s \\1 (.*) é 漢字",
    "x",
)


def _drafts(task: str, frames: int = 1, held_out: bool = False):
    for seed in SEEDS:
        ground = with_subject(32, seed) if frames == 1 else colourful(frames, 32, seed)
        yield DRAWERS[task](np.random.default_rng(seed), materials(ground, TINY, held_out), 3)


def _composed_captions() -> list[str]:
    return [draft.source.caption for task in DRAWERS for draft in _drafts(task)]


def _still(scene: Scene) -> tuple:
    return tuple(replace(item, drift=STILL) for item in scene.objects), scene.look


def _same(one: str | None, other: str) -> bool:
    """Whether two captions show the same, in whatever order they list it."""
    scenes = [read_scene(str(one)), read_scene(other)]
    objects = [set(scene.objects) for scene in scenes]
    return objects[0] == objects[1] and len({replace(scene, objects=()).caption for scene in scenes}) == 1


def _written(task: str, captions: list[str], held_out: bool = False) -> list[tuple[WriteRequest, Written]]:
    asked = [WriteRequest(text, task, i, held_out, subject=True) for i, text in enumerate(captions)]
    answers = WRITER.write(asked).all
    return [(ask, told) for ask, told in zip(asked, answers, strict=True) if isinstance(told, Written)]


def _inverse(caption: str, output: str, instruction: str, seed: int, held_out: bool = False) -> str:
    (told,) = WRITER.invert([InvertRequest(caption, output, instruction, seed, held_out)]).accepted
    return told.instruction


@pytest.mark.parametrize("task", DRAWERS)
def test_captions_of_the_composer_are_read_back(task: str) -> None:
    for draft in _drafts(task):
        for scene in (draft.source, *(choice.target for choice in draft.choices)):
            read = read_scene(scene.caption)
            assert read.caption == scene.caption
            assert _still(read) == _still(scene)


def test_any_caption_is_read_without_loss() -> None:
    for text in (*TEXTS, *CAPTIONS.values()):
        assert read_scene(text).caption == text
    drawn = random.Random(0)
    pieces = [piece for text in (*TEXTS, *_composed_captions()) for piece in text.split(" ")]
    for _ in range(500):
        text = " ".join(drawn.choices(pieces, k=drawn.randint(1, 25)))
        assert read_scene(text).caption == text


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("task", DRAWERS)
def test_its_output_caption_is_that_of_the_drawn_target(task: str, frames: int, held_out: bool) -> None:
    for draft in _drafts(task, frames, held_out):
        for choice in draft.choices:
            assert understood(choice.instruction, draft.source.caption) == choice.target.caption


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("task", EDITS)
def test_what_it_writes_leads_to_its_output_caption(task: str, held_out: bool) -> None:
    written = _written(task, [*_composed_captions(), *CAPTIONS.values()], held_out)
    assert len(written) > 200
    for asked, told in written:
        assert understood(told.instruction, asked.caption) == told.output_caption, told
        assert (told.output_caption == asked.caption) == (task == "identity")
        assert told.task == task and (told.thing is None or told.thing in told.instruction)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("task", EDITS)
def test_an_edit_and_its_inverse_restore_the_caption(task: str, held_out: bool) -> None:
    for asked, told in _written(task, [*_composed_captions(), FREE]):
        back = _inverse(asked.caption, told.output_caption, told.instruction, asked.seed, held_out)
        restored = understood(back, told.output_caption)
        # What is removed and comes back is listed last.
        assert _same(restored, asked.caption) if task == "remove" else restored == asked.caption, (told, back)


@pytest.mark.parametrize("task", EDITS)
def test_the_inverse_of_the_inverse_is_the_edit(task: str) -> None:
    for asked, told in _written(task, [*_composed_captions(), FREE]):
        back = _inverse(asked.caption, told.output_caption, told.instruction, asked.seed)
        again = _inverse(told.output_caption, asked.caption, back, asked.seed)
        assert understood(again, asked.caption) == told.output_caption


@pytest.mark.parametrize("task", EDITS)
def test_edits_of_edits_are_taken_back_too(task: str) -> None:
    """Every edit once more on top of another, so that looks, marks, boxes and colours are there already."""
    once = [told.output_caption for first in EDITS for _, told in _written(first, _composed_captions()[::7])]
    for asked, told in _written(task, once):
        back = _inverse(asked.caption, told.output_caption, told.instruction, asked.seed)
        assert _same(understood(back, told.output_caption), asked.caption), (asked, told, back)


def test_the_inverse_names_the_opposite_task() -> None:
    opposite = {"add": "remove", "remove": "add", "segment": "remove", "detect": "remove"}
    for task in EDITS:
        for asked, told in _written(task, _composed_captions()):
            request = InvertRequest(asked.caption, told.output_caption, told.instruction, 0)
            assert WRITER.invert([request]).accepted[0].task == opposite.get(task, task)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_request_is_answered_alike_and_seeds_vary_it(task: str) -> None:
    caption = "a meadow, a small owl on the left and a big star on the right"
    asked = [WriteRequest(caption, task, seed) for seed in range(60)]
    one, other = WRITER.write(asked), WRITER.write(asked)
    assert one.all == other.all and not one.rejected
    assert len({told.instruction for told in one.accepted}) > 2
    assert one.report.asked == one.report.accepted == 60 and one.report.prompt_tokens == 0


@pytest.mark.parametrize("table", [PHRASINGS, UNDOINGS])
def test_held_out_wordings_are_for_tests_alone(table: dict) -> None:
    for task, wordings in table.items():
        assert len(set(wordings)) == len(wordings) >= 2, task
        heads = {wording.partition("{")[0] for wording in wordings[:-1]}
        assert "{" not in wordings[-1] or wordings[-1] not in heads


def test_every_look_can_be_undone_in_words() -> None:
    assert set(EFFECTS) == set(BEFORE) == set(LOOKS)
    assert len(set(EFFECTS.values())) == len(EFFECTS)
    grey, sepia, sketch = f"{FREE}, black and white", f"{FREE}, sepia", f"{FREE}, as a pencil sketch"
    assert understood("make it colourful again", grey) == FREE
    assert understood("undo the sepia", sepia) == FREE
    assert understood("turn the pencil sketch back into a photograph", sketch) == FREE
    assert understood("undo the sepia", grey) is None and understood("undo the sepia", FREE) is None
    assert set(STYLES) and not set(STYLES) & set(LOOKS)


def test_the_background_that_comes_back_is_named() -> None:
    caption, output = f"{FREE} with a small owl on the left", "a brick wall with a small owl on the left"
    told = _inverse(caption, output, "", 0)
    assert FREE in told and understood(told, output) == caption
    kept = f"{FREE}, in front of a brick wall"
    told = _inverse(FREE, kept, "", 0)
    assert FREE in told and understood(told, kept) == FREE


@pytest.mark.parametrize(
    ("instruction", "caption"),
    [
        ("remove the owl", FREE),
        ("replace the owl with a star", "a wall with a small star on the left and a big owl on the right"),
        ("add a small owl on the left", "a wall with a big owl on the right"),
        ("turn it into a film", FREE),
        ("give the main object its own colour again", FREE),
        ("take the red mark off the owl", "a wall with a small owl on the left, the owl marked in blue"),
        ("take away the red box around the owl", "a wall with a small owl on the left"),
        ("make it sepia", f"{FREE}, dim"),
        ("", FREE),
    ],
)
def test_what_cannot_be_done_is_not_understood(instruction: str, caption: str) -> None:
    assert understood(instruction, caption) is None


def test_captions_without_an_answer_are_rejected_with_the_reason() -> None:
    asked = [
        WriteRequest(FREE, "remove", 0),
        WriteRequest(FREE, "recolour", 0),
        WriteRequest(FREE, "background", 0),
        WriteRequest(f"{FREE}, dim", "global", 0),
        WriteRequest("  ", "add", 0),
        WriteRequest(FREE, "add", 0),
    ]
    answers = WRITER.write(asked)
    assert [rejected.request for rejected in answers.rejected] == asked[:5]
    assert "names no object" in answers.rejected[0].reason and "empty" in answers.rejected[4].reason
    assert (answers.report.asked, answers.report.accepted) == (6, 1)
    unlike = WRITER.invert([InvertRequest("a dog", "a cat in the sun", "x", 0)]).all
    assert isinstance(unlike[0], Rejected) and unlike[0].value == "a cat in the sun -> a dog"


def test_an_unknown_task_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="texture; the grammar knows add, remove"):
        WRITER.write([WriteRequest(FREE, "texture", 0)])


def test_the_revision_follows_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GrammarWriter().revision == WRITER.revision
    monkeypatch.setitem(PHRASINGS, "add", (*PHRASINGS["add"], "draw {thing}"))
    assert GrammarWriter().revision != WRITER.revision
