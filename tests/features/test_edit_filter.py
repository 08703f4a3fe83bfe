"""The filter of generated edits: laws of its scores, thresholds one by one, and the report of what they keep."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest

from features.edit_filter import (
    BY_SCORER,
    SPOKEN,
    EditJudge,
    EditScores,
    rejections,
    score_edit,
    thresholds,
)
from features.filter_report import ScoredEdit, filter_report, separation, write_filter_report
from features.params import EditFilterParams
from models.scorers.build import build_scorer
from models.scorers.config import ClipConfig
from models.scorers.protocol import Scorer
from tests.scorer_models import save_scorer
from tests.world import colourful

CAPTIONS = ("a dog left of tree", "a red balloon left of tree")


def _params(**on: float) -> EditFilterParams:
    return EditFilterParams.model_validate(dict.fromkeys(EditFilterParams.model_fields) | on)


def _frames(count: int = 1, seed: int = 0) -> np.ndarray:
    return colourful(count, 32, seed).frames


def _moving(count: int = 4) -> np.ndarray:
    return np.stack([np.roll(_frames()[0], 2 * number, axis=1) for number in range(count)])


def _scores(source: np.ndarray, edit: np.ndarray) -> EditScores:
    return score_edit(source, edit, *CAPTIONS, None)


def _patched(source: np.ndarray, levels: int = 60) -> np.ndarray:
    """A quarter of each frame, brighter by so many levels."""
    edit = source.copy()
    edit[:, :16, :16] = np.minimum(edit[:, :16, :16].astype(int) + levels, 255)
    return edit


@dataclass(frozen=True)
class Made:
    """What a generated edit says of itself."""

    source: np.ndarray
    edit: np.ndarray
    caption: str = CAPTIONS[0]
    output_caption: str = CAPTIONS[1]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder = save_scorer("clip", tmp_path_factory.mktemp("clip"))
    return build_scorer(ClipConfig(kind="clip", source=str(folder), device="cpu", batch=4))


@pytest.mark.parametrize("count", [1, 4])
def test_a_copy_changes_nothing_and_is_turned_away(count: int) -> None:
    scores = _scores(_frames(count), _frames(count))
    assert (scores.change_share, scores.change_inside, scores.change_outside) == (0, None, 0)
    assert (scores.sharpness, scores.colour_drift) == (1, 0)
    assert scores.flicker == (None if count == 1 else 0)
    (reason,) = rejections(scores, _params(least_change_share=0.01))
    assert (reason.reason, reason.value) == ("share of changed pixels below 0.01", "0.0")


def test_without_thresholds_everything_passes() -> None:
    assert not rejections(_scores(_frames(), 255 - _frames()), _params())


def test_changes_are_counted_where_they_are() -> None:
    source = np.full((2, 32, 32, 3), 100, np.uint8)
    edit = _patched(source, 60) + np.uint8(3)
    scores = _scores(source, edit)
    assert (scores.change_share, scores.change_inside, scores.change_outside) == (0.25, 63, 3)
    assert scores.colour_drift == 3 and scores.sharpness is None


def test_scores_do_not_change_when_time_runs_backwards_or_frames_are_turned() -> None:
    source, edit = _moving(), _patched(_moving())
    scores = _scores(source, edit)
    for turned in (_scores(source[::-1], edit[::-1]), _scores(source[:, :, ::-1], edit[:, :, ::-1])):
        assert turned.change_share == scores.change_share and turned.flicker == scores.flicker
        assert turned.change_inside == pytest.approx(scores.change_inside)
        assert turned.colour_drift == pytest.approx(scores.colour_drift)


def test_a_frozen_edit_of_a_moving_source_flickers_and_a_steady_change_does_not() -> None:
    source = _moving()
    frozen = _scores(source, source[:1].repeat(4, axis=0)).flicker
    steady = _scores(source // 2, source // 2 + 40).flicker
    assert frozen is not None and frozen > 5 and steady == 0


def test_a_smear_is_less_sharp_and_noise_is_sharper() -> None:
    source = _frames()
    smeared = source.reshape(1, 8, 4, 8, 4, 3).mean(axis=(2, 4)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, source.shape, dtype=np.uint8)
    less, more = _scores(source, smeared).sharpness, _scores(source, noise).sharpness
    assert less is not None and more is not None and less < 1 < more
    assert [reason.reason for reason in rejections(_scores(source, smeared), _params(least_sharpness=0.99))]
    assert [reason.reason for reason in rejections(_scores(source, noise), _params(most_sharpness=1.01))]


def test_frames_of_two_shapes_or_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        _scores(_frames(2), _frames(1))
    with pytest.raises(ValueError, match="uint8"):
        _scores(_frames().astype(float), _frames().astype(float))
    with pytest.raises(ValueError, match="uint8"):
        _scores(_frames()[0], _frames()[0])


def test_every_threshold_reads_a_score_and_every_score_has_one() -> None:
    on = list(thresholds(_params(**dict.fromkeys(EditFilterParams.model_fields, 0.5))))
    names = {field.name for field in fields(EditScores)}
    assert len(on) == len(EditFilterParams.model_fields)
    assert {threshold.score for threshold in on} == names == SPOKEN.keys()
    assert set(BY_SCORER) < names


@pytest.mark.parametrize("name", EditFilterParams.model_fields)
def test_a_bound_itself_passes_and_what_is_beyond_is_turned_away(name: str) -> None:
    which, _, score = name.partition("_")
    beyond = 0.4 if which == "least" else 0.6
    none = dict.fromkeys((field.name for field in fields(EditScores)), None)
    params = _params(**{name: 0.5})
    assert not rejections(EditScores(**none | {score: 0.5}), params)
    (reason,) = rejections(EditScores(**none | {score: beyond}), params)
    assert reason.value == str(beyond) and reason.reason.startswith(SPOKEN[score])
    assert not rejections(EditScores(**none), params), "what is not defined is not held against an edit"


def test_tighter_thresholds_turn_away_no_less() -> None:
    edits = [_scores(_frames(), _patched(_frames(), levels)) for levels in (0, 10, 30, 90)]
    kept = [sum(not rejections(edit, _params(least_change_inside=limit)) for edit in edits) for limit in (5, 20, 80)]
    assert kept == sorted(kept, reverse=True) and kept[0] > kept[-1]


def test_a_scorer_sees_edits_the_same_whatever_they_are_judged_with(scorer: Scorer) -> None:
    judge = EditJudge(_params(least_agreement=-1.0), scorer)
    one, other = Made(_frames()[0], _patched(_frames())[0]), Made(_frames(4), _patched(_frames(4)))
    alone = judge(one).scores
    judge(other)
    assert judge(one).scores == alone
    assert alone.consistency is None and alone.agreement is not None
    assert not judge(one).reasons


def test_swapped_captions_turn_the_direction_round(scorer: Scorer) -> None:
    judge = EditJudge(_params(least_direction=0.0), scorer)
    there = Made(_frames(), _patched(_frames()))
    back = Made(there.source, there.edit, *CAPTIONS[::-1])
    directions = [judge(made).scores.direction or 0 for made in (there, back)]
    assert directions[0] == pytest.approx(-directions[1], abs=1e-4) and directions[0] != 0
    assert bool(judge(there).reasons) != bool(judge(back).reasons)


def test_thresholds_of_a_scorer_need_one() -> None:
    with pytest.raises(ValueError, match="direction"):
        EditJudge(_params(least_direction=0.2), None)
    assert not EditJudge(_params(least_change_share=0.1), None)(Made(_frames(), _patched(_frames()))).reasons


def test_the_report_counts_what_each_threshold_keeps_and_what_that_is_worth(tmp_path: Path) -> None:
    edits = [
        ScoredEdit("copy", _scores(_frames(), _frames()), success=False, edit_psnr=10.0),
        ScoredEdit("faint", _scores(_frames(), _patched(_frames(), 12)), success=False, edit_psnr=14.0),
        ScoredEdit("good", _scores(_frames(), _patched(_frames(), 60)), success=True, edit_psnr=30.0),
        ScoredEdit("unknown", _scores(_frames(), _patched(_frames(), 70))),
    ]
    params = _params(least_change_share=0.1, least_change_inside=20.0, most_flicker=5.0)
    report = filter_report(edits, params)
    share, inside, flicker, together = report.thresholds
    assert (share.kept.edits, share.kept.success, share.rejected.edit_psnr) == (3, 0.5, 10)
    assert (inside.kept.edits, inside.kept.success, inside.undefined) == (3, 0.5, 1), "a copy has no change inside"
    assert (flicker.kept.edits, flicker.undefined, flicker.rejected.success) == (4, 4, None)
    assert (together.kept.edits, together.kept.success, together.kept.edit_psnr) == (2, 1, 30)
    by_name = {line.score: line for line in report.scores}
    assert by_name["share of changed pixels"].separation == 0.75
    assert by_name["flicker"].separation is None and by_name["flicker"].defined == 0
    write_filter_report(report, tmp_path / "made" / "filter.md")
    text = (tmp_path / "made" / "filter.md").read_text()
    assert "| all together | 2 | 2 | 100 % | 0 % | 30 | 12 |  |" in text
    assert "4 edits, of 3 of which the truth is known" in text


def test_a_report_of_no_edits_says_so() -> None:
    assert "0 edits" in filter_report([], _params(least_change_share=0.1)).text()


def test_separation_is_a_chance() -> None:
    assert separation([2, 3], [0, 1]) == 1 and separation([0, 1], [2, 3]) == 0 and separation([1], [1]) == 0.5
    assert separation([], [1]) is None
