"""Animated frames: asked for and answered as a user's edits are, judged, and moved like their sources."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from features.affine import AffineParams, animate, draw_motion
from features.animated import PURPOSE, MotionSetting, animated_makings, draw_frame
from features.asked import (
    AskedEdit,
    AskSetting,
    Judged,
    TooFewEditsError,
    answered,
    ask,
    judged,
    provenance,
    require_enough,
)
from features.edit_filter import Verdict, score_edit
from features.pair_rows import encoded
from features.params import SamplingParams
from features.plan import ANIMATED, PlannedRow
from features.quality import Rejection
from features.writers.grammar import GrammarWriter
from inference.batch import answer
from inference.requests import EditRequest
from stores.feature_store import FeatureStore
from stores.frames import unpack_frames
from stores.schema import EDIT_PAIRS, EDIT_REQUESTS, EDIT_SCORES, EDITS, GENERATED, QUARANTINE
from tests.features.conftest import Made
from tests.inference import tiny
from tests.world import FRAMES, SIDE

MOTION = AffineParams(
    most_zoom=1.2, zoom_share=0.5, most_turn=5, turn_share=0.5, most_shift=0.2, shift_share=0.7, padding="mirror"
)
MOVES = MotionSetting("two", "code", MOTION, FRAMES)
ROWS = [PlannedRow(number, ANIMATED, "train", ("add", "global")[number % 2]) for number in range(8)]


def setting_of(made: Made, filmed_share: float = 1.0, sampling: str | None = None) -> AskSetting:
    compose = made.setting.compose
    moment = partial(draw_frame, compose=compose, filmed_share=filmed_share)
    return AskSetting("two", PURPOSE, compose, GrammarWriter(), moment, str(filmed_share), sampling)


@pytest.fixture(scope="module")
def store(made: Made, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Requests for frames of real clips, answered by an editor as they would be in the chain."""
    folder = tmp_path_factory.mktemp("animated")
    store = FeatureStore(folder, "requests-two")
    store.upsert(EDIT_REQUESTS, list(ask(ROWS, setting_of(made)).requests))
    requests = [EditRequest.from_row(row) for row in store.draft(EDIT_REQUESTS).to_pylist()]
    answer(requests, tiny.editor(resolution=SIDE), store, folder / "outputs")
    return store


def answers(store: FeatureStore) -> list[AskedEdit]:
    found = answered(store.draft(EDIT_REQUESTS).to_pylist(), store.draft(EDITS).to_pylist(), PURPOSE)
    return [one for one in found if isinstance(one, AskedEdit)]


def verdict(edit: AskedEdit, *reasons: Rejection) -> Verdict:
    return Verdict(score_edit(edit.source, edit.edit, edit.caption, edit.output_caption, None), reasons)


def test_requests_ask_for_edits_of_single_frames_that_were_filmed(made: Made) -> None:
    asked = ask(ROWS, setting_of(made))
    assert len(asked.requests) == len(ROWS) and not asked.quarantined
    videos = {row["id"]: row for row in made.rows("clips").to_pylist() if row["kind"] == "video"}
    for row in asked.requests:
        (clip,) = row["clip_ids"]
        assert videos[clip]["split"] == "train" and videos[clip]["caption"] == row["caption"]
        assert unpack_frames(row["media"]).shape == (1, SIDE, SIDE, 3)
        assert row["purpose"] == "animate" and row["output_caption"] != row["caption"]
    assert [row["task"] for row in asked.requests] == [row.task for row in ROWS]


def test_a_request_depends_on_its_number_alone(made: Made) -> None:
    whole, part = ask(ROWS, setting_of(made)), ask(ROWS[5:6], setting_of(made))
    assert part.requests == whole.requests[5:6]
    other = ask(ROWS[5:6], setting_of(made, filmed_share=0.5))
    assert other.requests[0]["id"] != part.requests[0]["id"]


def test_a_request_states_how_it_is_to_be_sampled(made: Made) -> None:
    left = SamplingParams(num_inference_steps=None, guidance_scale=None, video_guidance_scale=None)
    stated = left.model_copy(update={"num_inference_steps": 3, "guidance_scale": 1.5})
    asked = [ask(ROWS[5:6], setting_of(made, sampling=one.settings())).requests[0] for one in (left, stated)]
    overrides = [EditRequest.from_row(row).overrides() for row in asked]
    assert overrides[0].num_inference_steps is None and asked[0]["id"] != asked[1]["id"]
    assert (overrides[1].num_inference_steps, overrides[1].guidance_scale) == (3, 1.5)
    assert overrides[1].video_guidance_scale is None


def test_captions_that_no_edit_can_be_written_for_are_set_aside(made: Made) -> None:
    """A caption without an object of the vocabulary has nothing to remove."""
    asked = ask([PlannedRow(0, ANIMATED, "train", "remove")], setting_of(made))
    assert not asked.requests
    (row,) = asked.quarantined
    assert row["origin"] == PURPOSE and row["table"] == EDIT_REQUESTS.name and row["reason"].startswith("caption")


def test_every_edit_comes_back_with_what_was_asked(store: FeatureStore) -> None:
    found = answers(store)
    requests = {row["id"]: row for row in store.draft(EDIT_REQUESTS).to_pylist()}
    assert len(found) == len(ROWS)
    for edit in found:
        request = requests[edit.request_id]
        assert np.array_equal(edit.source, unpack_frames(request["media"]))
        assert edit.instruction == request["instruction"] and edit.edit.shape == (1, SIDE, SIDE, 3)
        assert edit.inverse is None


def test_targets_are_the_editors_answers_in_motion_and_say_so(store: FeatureStore, made: Made) -> None:
    """Never the composer's truth: the first frame of a target is the edit, bit for bit, and its model is named."""
    edits = {row["id"]: row for row in store.draft(EDITS).to_pylist()}
    for edit in answers(store):
        for number in range(2):
            row = MOVES.row(edit, number)
            origin = provenance(row.id, edit)
            stored = edits[origin["edit_id"]]
            assert np.array_equal(row.triple.target[0], unpack_frames(stored["frames"])[0])
            assert row.maker == stored["model_digest"] == origin["model_digest"]
            assert (row.group, row.split, row.triple.clip_ids) == (ANIMATED, "train", stored["clip_ids"])
            assert set(origin) | {"sha256"} == {field.name for field in GENERATED.schema}


def test_source_and_target_move_alike(store: FeatureStore) -> None:
    edit = answers(store)[0]
    one, other = (MOVES.row(edit, number) for number in range(2))
    motion = draw_motion(FRAMES, MOTION, np.random.default_rng(int(one.id[:16], 16)))
    assert np.array_equal(one.triple.source, animate(edit.source[0], motion, "mirror"))
    assert np.array_equal(one.triple.target, animate(edit.edit[0], motion, "mirror"))
    assert one.id != other.id and not np.array_equal(one.triple.source, other.triple.source)
    assert MOVES.row_id(edit, 0) == one.id
    assert [making.id for making in animated_makings([edit], MOVES, 2)] == [one.id, other.id]


def test_animated_pairs_are_rows_of_the_table_like_any_other(store: FeatureStore, made: Made, tmp_path: Path) -> None:
    rows = [MOVES.row(edit, 0) for edit in answers(store)[:2]]
    table = FeatureStore(tmp_path, "pairs-two")
    assert table.upsert(EDIT_PAIRS, encoded(rows, made.setting.encoder)) == 2
    for row in table.draft(EDIT_PAIRS).to_pylist():
        assert row["kind"] == "video" and row["group"] == ANIMATED and row["source_latents"]


def test_edits_are_judged_and_the_reasons_kept(store: FeatureStore, tmp_path: Path) -> None:
    def by_number(edit: AskedEdit) -> Verdict:
        poor = int(edit.edit_id, 16) % 2
        reasons = (Rejection("change inside below", "0.01"), Rejection("colour drift above", "9.0"))
        return verdict(edit, *(reasons if poor else ()))

    found = judged(answers(store), by_number, PURPOSE)
    assert {edit.edit_id for edit in found.accepted} == {
        edit.edit_id for edit in answers(store) if not int(edit.edit_id, 16) % 2
    }
    assert len(found.quarantined) == 2 * (len(ROWS) - len(found.accepted))
    aside = FeatureStore(tmp_path, "pairs-two")
    aside.upsert(QUARANTINE, list(found.quarantined))
    assert aside.draft(QUARANTINE).num_rows == len(found.quarantined)
    assert aside.upsert(EDIT_SCORES, [one.score_row() for one in found.edits]) == len(ROWS)
    for row in aside.draft(EDIT_SCORES).to_pylist():
        assert row["reasons"].count(";") == int(row["id"], 16) % 2 and 0 <= row["change_share"] <= 1


def test_failed_edits_are_set_aside_with_their_error(store: FeatureStore) -> None:
    requests, edits = store.draft(EDIT_REQUESTS).to_pylist(), store.draft(EDITS).to_pylist()
    edits[0] |= {"status": "error", "error": "the model gave values that are not finite"}
    found = judged(answered(requests, edits, PURPOSE), verdict, PURPOSE)
    assert len(found.accepted) == len(ROWS) - 1
    (row,) = found.quarantined
    assert row["row"] == edits[0]["id"] and row["value"] == "the model gave values that are not finite"


def test_edits_of_users_and_of_other_purposes_are_never_trained_on(store: FeatureStore) -> None:
    requests, edits = store.draft(EDIT_REQUESTS).to_pylist(), store.draft(EDITS).to_pylist()
    strangers = [row | {"purpose": "user"} for row in requests]
    assert not list(answered(strangers, edits, PURPOSE))
    assert not list(answered([], edits, PURPOSE))


def test_too_few_edits_stop_the_stage_and_say_why(store: FeatureStore) -> None:
    def strict(edit: AskedEdit) -> Verdict:
        reason = Rejection("agreement below", "0.1") if edit.task == "add" else Rejection("sharpness below", "0.2")
        return verdict(edit, reason)

    found = judged(answers(store), strict, PURPOSE)
    with pytest.raises(TooFewEditsError, match="0 edits for training were accepted, 3 are needed; rejected: 4 x "):
        require_enough(found, 3)
    require_enough(judged(answers(store), verdict, PURPOSE), 8)
    with pytest.raises(TooFewEditsError, match="nothing was rejected"):
        require_enough(Judged((), ()), 1)
