"""What every task builder promises: the instruction says what is done, and has one true answer."""

import re
from dataclasses import replace

import numpy as np
import pytest

from features.backdrops import DRAWN
from features.composer import Placed, Scene
from features.instructions import PHRASINGS, phrase
from features.pairs import DRAWERS
from features.tasks.draft import Choice, Draft
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import NOUNS, SPOKEN, Named, Place, Size
from tests.world import colourful, drawn, materials, tiny_params, with_subject

TINY = tiny_params()
PARAMS = TINY.features.compose
SEEDS = range(40)
EDITS = tuple(task for task in DRAWERS if task != "identity")


def _draft(task: str, seed: int, choices: int = 3, held_out: bool = False, frames: int = 1) -> Draft:
    background = with_subject(32, seed) if frames == 1 else colourful(frames, 32, seed)
    return DRAWERS[task](np.random.default_rng(seed), materials(background, TINY, held_out), choices)


def _wording(task: str, instruction: str) -> int:
    """Which phrasing of the task an instruction follows."""
    patterns = [re.sub(r"\\{\w+\\}", "(.+)", re.escape(pattern)) for pattern in PHRASINGS[task]]
    found = [number for number, pattern in enumerate(patterns) if re.fullmatch(pattern, instruction)]
    assert len(found) == 1, (instruction, found)
    return found[0]


@pytest.mark.parametrize("task", EDITS)
def test_the_same_seed_gives_the_same_draft(task: str) -> None:
    one, other = _draft(task, 1), _draft(task, 1)
    assert [choice.instruction for choice in one.choices] == [choice.instruction for choice in other.choices]
    assert one.source.objects == other.source.objects
    assert len({_draft(task, seed).choices[0].instruction for seed in SEEDS}) > len(SEEDS) // 3


@pytest.mark.parametrize("seed", SEEDS)
def test_adding_names_the_noun_its_size_and_its_place(seed: int) -> None:
    draft = _draft("add", seed)
    for choice in draft.choices:
        *kept, new = choice.target.objects
        assert tuple(kept) == draft.source.objects
        assert f"{new.size.value} {new.name.spoken} {new.place.phrase}" in choice.instruction
        assert all(new.place.value[1] != other.place.value[1] for other in kept)
        assert new.name.noun not in {other.name.noun for other in kept}


@pytest.mark.parametrize("seed", SEEDS)
def test_removing_names_one_of_the_objects(seed: int) -> None:
    draft = _draft("remove", seed)
    assert 1 <= len(draft.source.objects) <= PARAMS.most_objects
    for choice in draft.choices:
        (gone,) = set(draft.source.objects) - set(choice.target.objects)
        assert len(choice.target.objects) == len(draft.source.objects) - 1
        assert f"the {gone.name.spoken}" in choice.instruction


@pytest.mark.parametrize("seed", SEEDS)
def test_replacing_names_both_and_keeps_place_size_and_motion(seed: int) -> None:
    draft = _draft("replace", seed, frames=3)
    old = draft.source.objects[0]
    for choice in draft.choices:
        new = choice.target.objects[0]
        assert (new.place, new.size, new.drift) == (old.place, old.size, old.drift)
        assert choice.target.objects[1:] == draft.source.objects[1:]
        assert old.name.spoken in choice.instruction and new.name.with_article in choice.instruction


@pytest.mark.parametrize("seed", SEEDS)
def test_a_look_is_named_and_covers_everything(seed: int) -> None:
    draft = _draft("global", seed)
    for choice in draft.choices:
        assert choice.target.look in LOOKS and str(choice.target.look) in choice.instruction
        assert choice.target.objects == draft.source.objects


@pytest.mark.parametrize("seed", SEEDS)
def test_a_style_is_named_and_covers_everything(seed: int) -> None:
    draft = _draft("style", seed)
    for choice in draft.choices:
        assert choice.target.look in STYLES and str(choice.target.look) in choice.instruction
        assert choice.target.objects == draft.source.objects


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backdrop_is_named_and_what_stands_before_it_stays(seed: int) -> None:
    draft = _draft("background", seed)
    for choice in draft.choices:
        target = choice.target
        assert target.backdrop in DRAWN and str(target.backdrop) in choice.instruction
        assert target.objects == draft.source.objects and target.subject.kept == (not target.objects)
        before, after = drawn(draft.source, TINY)[0], drawn(target, TINY)[0]
        opaque = draft.source.background.subject == 255
        kept = opaque if target.subject.kept else (before == after).all(axis=-1)
        assert kept.any() and np.array_equal(before[kept], after[kept])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", ["recolour", "segment", "detect"])
def test_what_is_pointed_at_is_named_and_nothing_else_changes(task: str, seed: int) -> None:
    draft = _draft(task, seed)
    before = drawn(draft.source, TINY)[0]
    for choice in draft.choices:
        thing, colour, extent = _pointed(draft, choice)
        assert f"the {thing} " in f"{choice.instruction} " and colour in choice.instruction
        changed = (drawn(choice.target, TINY)[0] != before).any(axis=-1)
        assert changed.any() and not changed[~extent].any()


def _pointed(draft: Draft, choice: Choice) -> tuple[str, str, np.ndarray]:
    """What an edit points at, in which colour, and where it may change pixels: over the thing, or a box around it."""
    target = choice.target
    if target.box:
        item, colour = target.box.item, target.box.colour
    elif target.subject.painted:
        item, colour = None, str(target.subject.colour or target.subject.mark)
    else:
        ((_, item),) = [pair for pair in zip(draft.source.objects, target.objects, strict=True) if pair[0] != pair[1]]
        colour = str(item.colour or item.mark)
    extent = _extent(draft.source, item)
    if target.box:
        rows, columns = np.nonzero(extent)
        extent[max(rows.min() - 4, 0) : rows.max() + 5, max(columns.min() - 4, 0) : columns.max() + 5] = True
    return ("main object" if item is None else item.name.spoken), colour, extent


def _extent(source: Scene, item: Placed | None) -> np.ndarray:
    """Where a thing covers anything at all."""
    background = source.background
    if item is None:
        assert background.subject is not None
        return background.subject > 0
    alone = replace(item, colour=None, mark=None)
    bare = [np.full_like(background.frames, level) for level in (0, 255)]
    scenes = [Scene(replace(background, frames=frames), (alone,)) for frames in bare]
    # Where a black and a white ground differ by less than all, something lies on them.
    dark, light = (drawn(scene, TINY)[0].astype(np.int16) for scene in scenes)
    return (light - dark).min(axis=-1) < 255


@pytest.mark.parametrize("task", ["recolour", "segment", "detect", "background"])
def test_subjects_of_pictures_are_meant_too_but_never_in_clips(task: str) -> None:
    told = [_draft(task, seed).source.objects for seed in range(80)]
    assert 0.1 < sum(not objects for objects in told) / len(told) < 0.45
    assert all(_draft(task, seed, frames=3).source.objects for seed in SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_colour_is_plainly_another(seed: int) -> None:
    draft = _draft("recolour", seed)
    before = drawn(draft.source, TINY)[0].astype(np.int16)
    seen = [drawn(choice.target, TINY)[0].astype(np.int16) for choice in draft.choices]
    for picture in seen:
        change = np.abs(picture - before).max(axis=-1)
        assert change[change > 8].mean() > PARAMS.least_tint / 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("held_out", [False, True])
def test_an_identity_keeps_the_scene_and_takes_it_from_the_seed(seed: int, held_out: bool) -> None:
    draft, again = (_draft("identity", seed, held_out=held_out) for _ in range(2))
    (choice,) = draft.choices
    assert choice.target == draft.source and draft.task == "identity"
    assert (again.choices[0].instruction, again.source.objects) == (choice.instruction, draft.source.objects)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("task", EDITS)
def test_the_truth_is_unique(task: str, frames: int) -> None:
    for seed in SEEDS:
        draft = _draft(task, seed, choices=4, frames=frames)
        scenes = [draft.source, *(choice.target for choice in draft.choices)]
        seen = [drawn(scene, TINY).tobytes() for scene in scenes]
        assert len(set(seen)) == len(seen), seed
        told = [choice.instruction for choice in draft.choices]
        assert len(set(told)) == len(told), seed


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("task", DRAWERS)
def test_all_choices_are_worded_alike(task: str, held_out: bool) -> None:
    for seed in SEEDS:
        draft = _draft(task, seed, held_out=held_out)
        assert len({_wording(task, choice.instruction) for choice in draft.choices}) == 1


@pytest.mark.parametrize("task", DRAWERS)
def test_the_held_out_wording_is_for_tests_alone(task: str) -> None:
    last = len(PHRASINGS[task]) - 1
    trained = {_wording(task, _draft(task, seed).choices[0].instruction) for seed in range(150)}
    tested = {_wording(task, _draft(task, seed, held_out=True).choices[0].instruction) for seed in range(50)}
    assert trained == set(range(last)) and tested == {last}


@pytest.mark.parametrize("task", PHRASINGS)
def test_no_wording_of_a_task_is_written_twice(task: str) -> None:
    assert len(set(PHRASINGS[task])) == len(PHRASINGS[task]) >= 2
    rng = np.random.default_rng(0)
    words = {"thing": "a", "noun": "b", "old": "c", "new": "d", "look": "e", "caption": "f"}
    words |= {"colour": "g", "backdrop": "h", "style": "i"}
    assert all("{" not in phrase(task, rng, held_out, **words) for held_out in (False, True) for _ in range(20))


@pytest.mark.parametrize("noun", NOUNS)
def test_articles_agree_with_what_follows(noun: str) -> None:
    name = Named(noun)
    article, _, rest = name.with_article.partition(" ")
    assert article == "some" or (article == "an") == (rest[0] in "aeiou")
    assert rest == name.spoken


def test_a_size_between_article_and_noun_changes_the_article() -> None:
    drafts = [_draft("add", seed) for seed in range(200)]
    told = {choice.instruction for draft in drafts for choice in draft.choices}
    assert not [text for text in told if re.search(r"\ban (?![aeiou])|\ba (?=[aeiou])|  |[{}]", text)]
    assert any("a small avocado" in text or "a big avocado" in text for text in told)
    assert any("some small grapes" in text or "some big grapes" in text for text in told)


def test_a_spoken_name_means_one_noun() -> None:
    assert set(SPOKEN) <= set(NOUNS) and len(set(NOUNS)) == len(NOUNS)
    assert len({Named(noun).spoken for noun in NOUNS}) == len(NOUNS)
    assert len({place.phrase for place in Place}) == len(Place) and len({size.value for size in Size}) == 2
