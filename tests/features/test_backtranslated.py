"""Backtranslation: clips are asked for with the way back, and the clean clip is always the target."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from features.asked import AskedEdit, AskSetting, answered, ask
from features.backtranslated import PURPOSE, BackSetting, backtranslated_makings, draw_clip, plan_clips
from features.generated import build_makings, replay, write_provenance
from features.plan import BACKTRANSLATED, PlannedRow
from features.writers.grammar import GrammarWriter
from inference.batch import answer
from inference.requests import EditRequest
from stores.feature_store import FeatureStore
from stores.frames import unpack_frames
from stores.schema import EDIT_PAIRS, EDIT_REQUESTS, EDITS, GENERATED
from tests.features.conftest import Made
from tests.inference import tiny
from tests.world import FRAMES, SIDE

TURNS = BackSetting("three", "code")
ROWS = [PlannedRow(number, BACKTRANSLATED, "train", ("add", "global", "recolour")[number % 3]) for number in range(6)]
WAYS_BACK = {"add": "remove", "global": "global", "recolour": "recolour"}


def setting_of(made: Made, composed_share: float = 1.0) -> AskSetting:
    compose = made.setting.compose
    moment = partial(draw_clip, compose=compose, composed_share=composed_share)
    return AskSetting("three", PURPOSE, compose, GrammarWriter(), moment, str(composed_share), both_ways=True)


@pytest.fixture(scope="module")
def store(made: Made, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Requests for clips, answered by an editor as they would be in the chain."""
    folder = tmp_path_factory.mktemp("backtranslated")
    store = FeatureStore(folder, "requests-three")
    store.upsert(EDIT_REQUESTS, list(ask(ROWS, setting_of(made)).requests))
    requests = [EditRequest.from_row(row) for row in store.draft(EDIT_REQUESTS).to_pylist()]
    answer(requests, tiny.editor(resolution=SIDE), store, folder / "outputs")
    return store


@pytest.fixture(scope="module")
def edits(store: FeatureStore) -> list[AskedEdit]:
    found = answered(store.draft(EDIT_REQUESTS).to_pylist(), store.draft(EDITS).to_pylist(), PURPOSE)
    return [one for one in found if isinstance(one, AskedEdit)]


def test_requests_are_of_whole_clips_and_know_the_way_back(made: Made) -> None:
    asked = ask(ROWS, setting_of(made))
    assert len(asked.requests) == len(ROWS) and asked.report.asked == 2 * len(ROWS)
    for row in asked.requests:
        assert unpack_frames(row["media"]).shape == (FRAMES, SIDE, SIDE, 3)
        assert row["kind"] == "video" and row["fps"] == made.params.features.geometry.frame_rate
        assert row["inverse_task"] == WAYS_BACK[row["task"]]
        assert row["inverse_instruction"] and row["inverse_instruction"] != row["instruction"]


def test_what_has_no_way_back_is_not_asked(made: Made) -> None:
    """A caption keeps the names of objects, not what stood behind them: a new background cannot be taken back."""
    asked = ask([PlannedRow(0, BACKTRANSLATED, "train", "background")], setting_of(made))
    back = [row["inverse_instruction"] for row in asked.requests]
    assert all(back) and len(back) + len(asked.quarantined) == 1
    (none,) = ask([PlannedRow(0, BACKTRANSLATED, "train", "remove")], setting_of(made, composed_share=0.0)).quarantined
    assert none["origin"] == PURPOSE and none["table"] == EDIT_REQUESTS.name and none["reason"].startswith("caption")


def test_clips_that_were_filmed_are_asked_as_they_were_filmed(made: Made) -> None:
    videos = {row["id"]: row for row in made.rows("clips").to_pylist() if row["kind"] == "video"}
    asked = ask(ROWS[:2], setting_of(made, composed_share=0.0))
    for row in asked.requests:
        (clip,) = row["clip_ids"]
        assert videos[clip]["caption"] == row["caption"] and videos[clip]["split"] == "train"


def test_the_target_is_the_clean_clip_and_the_source_what_the_editor_made_of_it(
    store: FeatureStore, edits: list[AskedEdit]
) -> None:
    requests = {row["id"]: row for row in store.draft(EDIT_REQUESTS).to_pylist()}
    answers = {row["id"]: row for row in store.draft(EDITS).to_pylist()}
    assert len(edits) == len(ROWS)
    for edit in edits:
        request, row = requests[edit.request_id], TURNS.row(edit)
        triple = row.triple
        assert np.array_equal(triple.target, unpack_frames(request["media"]))
        assert triple.source is not None
        assert np.array_equal(triple.source, unpack_frames(answers[edit.edit_id]["frames"]))
        assert (triple.task, triple.instruction) == (request["inverse_task"], request["inverse_instruction"])
        assert (triple.source_caption, triple.target_caption) == (request["output_caption"], request["caption"])
        assert row.maker == answers[edit.edit_id]["model_digest"] and row.group == BACKTRANSLATED


def test_plain_tuning_takes_the_same_edits_forwards(store: FeatureStore, edits: list[AskedEdit]) -> None:
    """What the paper compares with: the edit is the target, under the instruction that it was made by."""
    plain = BackSetting("three", "code", backwards=False)
    requests = {row["id"]: row for row in store.draft(EDIT_REQUESTS).to_pylist()}
    for edit in edits:
        forth, back = plain.row(edit).triple, TURNS.row(edit).triple
        assert np.array_equal(forth.target, back.source) and np.array_equal(forth.source, back.target)
        assert (forth.task, forth.instruction) == (edit.task, requests[edit.request_id]["instruction"])
        assert plain.row_id(edit) != TURNS.row_id(edit)


def test_an_edit_that_was_asked_one_way_cannot_be_turned_round(edits: list[AskedEdit]) -> None:
    one_way = AskedEdit(**{**vars(edits[0]), "inverse": None})
    with pytest.raises(ValueError, match="has no inverse instruction"):
        TURNS.row(one_way)


def test_pairs_are_written_once_with_their_origin_and_replayed_as_they_are(
    made: Made, edits: list[AskedEdit], tmp_path: Path
) -> None:
    table, later = FeatureStore(tmp_path, "pairs-three"), FeatureStore(tmp_path, "pairs-four")
    makings = backtranslated_makings(edits, TURNS)
    for _ in range(2):
        build_makings(makings, made.setting.encoder, table)
    assert write_provenance(makings, table) == [making.id for making in makings]
    assert {row["edit_id"] for row in table.draft(GENERATED).to_pylist()} == {edit.edit_id for edit in edits}
    for spec in (EDIT_PAIRS, GENERATED):
        published = table.publish(spec)
        for _ in range(2):
            assert set(replay(table.open(published), spec, later)) == table.ids(spec)
        assert later.publish(spec).digest == published.digest


def test_plans_hold_clips_of_test_scenes_out(made: Made) -> None:
    params = made.params.features.backtranslated.model_copy(update={"requests": 20, "tasks": {"add": 1}})
    rows = plan_clips(params, 0.1)
    assert [row.split for row in rows].count("train") == 20 and len(rows) == 22
    compose, tests = made.setting.compose, made.setting.compose.test.scenes
    held_out = [draw_clip(row, row.generator(3), compose, 0.5) for row in rows if row.split == "validation"]
    assert held_out and all(moment.scene in tests for moment in held_out)
