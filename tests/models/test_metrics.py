"""Laws of the scores: a perfect edit succeeds, a copy, a blur, a fill, a wrong edit and a frozen clip do not."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from jaxtyping import TypeCheckError

from models import metrics
from models.success import CaseFrames, CaseScore, Conditions, replace_edit, score_case, score_references

HEIGHT, WIDTH, PATCH = 48, 64, 16


def _noise(rng: np.random.Generator, frames: int, height: int, width: int, low: int, high: int) -> np.ndarray:
    """Blocks of four pixels: texture that survives an autoencoder, unlike noise of single pixels."""
    blocks = rng.integers(low, high, (1, height // 4, width // 4, 3))
    return np.repeat(blocks.repeat(4, axis=1).repeat(4, axis=2), frames, axis=0).astype(np.uint8)


def _with_patch(source: metrics.Frames, seed: int) -> metrics.Frames:
    """The source with a textured square that moves two pixels a frame."""
    edited = source.copy()
    patch = _noise(np.random.default_rng(seed), 1, PATCH, PATCH, 0, 256)[0]
    for i, frame in enumerate(edited):
        frame[16 : 16 + PATCH, 10 + 2 * i : 10 + 2 * i + PATCH] = patch
    return edited


def _degraded(frames: metrics.Frames, seed: int) -> metrics.Frames:
    """A stand-in for a good autoencoder: at most two grey levels off."""
    error = np.random.default_rng(seed).integers(-2, 3, frames.shape)
    return np.clip(frames + error, 0, 255).astype(np.uint8)


def _blurred(frames: metrics.Frames, side: int) -> metrics.Frames:
    video = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    padded = F.pad(video, (side // 2,) * 4, mode="replicate")
    return F.avg_pool2d(padded, side, stride=1).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def _case(frames: int = 4, decoys: int = 3) -> CaseFrames:
    source = _noise(np.random.default_rng(0), frames, HEIGHT, WIDTH, 60, 190)
    truth = _with_patch(source, seed=1)
    return CaseFrames(
        source=source,
        truth=truth,
        edit=truth,
        ceiling=_degraded(truth, 2),
        copy_ae=_degraded(source, 3),
        decoys=tuple(_with_patch(source, seed=10 + i) for i in range(decoys)),
    )


@pytest.fixture
def case() -> CaseFrames:
    return _case()


def _score_as(case: CaseFrames, edit: metrics.Frames) -> CaseScore:
    return score_case(replace_edit(case, edit))


def test_the_truth_itself_is_a_perfect_success(case: CaseFrames) -> None:
    score = score_case(case)
    assert score.edit_psnr == score.keep_psnr == metrics.PSNR_CAP
    assert score.colour_drift == 0 and score.flicker == 0
    assert score.conditions == Conditions(True, True, True, True, True)
    assert score.success


def test_edits_that_share_a_standard_score_as_alone(case: CaseFrames) -> None:
    edits = (case.source, case.decoys[0], case.truth[::-1].copy())
    assert all(score_case(replace_edit(case, edit)) == score_case(replace(case, edit=edit)) for edit in edits)


def test_the_ceiling_succeeds_by_its_own_measure(case: CaseFrames) -> None:
    score = _score_as(case, case.ceiling)
    assert score.success
    assert score.detail_ratio == 1


@pytest.mark.parametrize("reference", ["copy", "copy_ae", "mean_fill"])
def test_no_reference_without_a_model_succeeds(case: CaseFrames, reference: str) -> None:
    scores = score_references(case)
    assert not getattr(scores, reference).success
    assert scores.ceiling.success


def test_a_copy_fails_on_the_region_and_keeps_the_rest_exactly(case: CaseFrames) -> None:
    score = _score_as(case, case.source)
    assert score.conditions.beats_source is False
    assert score.keep_psnr == metrics.PSNR_CAP
    assert score.colour_drift == 0


@pytest.mark.parametrize("side", [3, 5, 9, 15])
def test_a_blur_of_source_or_truth_never_succeeds(case: CaseFrames, side: int) -> None:
    blurred_truth = _score_as(case, _blurred(case.truth, side))
    assert blurred_truth.conditions.has_detail is False
    assert not blurred_truth.success
    assert not _score_as(case, _blurred(case.source, side)).success


def test_noise_on_the_right_edit_fails_by_its_detail(case: CaseFrames) -> None:
    noisy = np.clip(case.truth + np.random.default_rng(5).normal(0, 60, case.truth.shape), 0, 255).astype(np.uint8)
    assert _score_as(case, noisy).conditions.has_detail is False


def test_mean_fill_cannot_beat_itself_and_touches_nothing_else(case: CaseFrames) -> None:
    region = metrics.edit_region(case.source, case.truth)
    filled = metrics.mean_fill(case.source, case.truth, region)
    assert np.array_equal(filled[~region], case.source[~region])
    assert len(np.unique(filled[region], axis=0)) == 1
    assert _score_as(case, filled).conditions.beats_mean_fill is False


def test_beating_mean_fill_is_not_asked_where_the_ceiling_does_not(case: CaseFrames) -> None:
    region = metrics.edit_region(case.source, case.truth)
    worse = metrics.mean_fill(case.source, case.truth, region) ^ np.uint8(64)
    score = score_case(replace(case, ceiling=worse))
    assert score.conditions.beats_mean_fill is None


def test_damage_outside_the_region_fails_only_the_keeping(case: CaseFrames) -> None:
    keep = metrics.keep_region(metrics.edit_region(case.source, case.truth))
    damaged = case.truth.copy()
    damaged[keep] += 30
    assert _score_as(case, damaged).conditions == Conditions(True, True, True, False, True)


def test_the_edit_of_another_instruction_fails(case: CaseFrames) -> None:
    for decoy in case.decoys:
        score = _score_as(case, decoy)
        assert score.conditions.obeys is False
        assert not score.success


def test_a_tie_between_truth_and_decoy_does_not_obey(case: CaseFrames) -> None:
    truth, decoy = case.source.copy(), case.source.copy()
    truth[:, 16:32, 10:26], decoy[:, 16:32, 10:26] = 200, 0
    middle = case.source.copy()
    middle[:, 16:32, 10:26] = 100
    tied = replace(case, truth=truth, ceiling=truth, decoys=(decoy,), edit=middle)
    assert score_case(tied).conditions.obeys is False


def test_without_decoys_obeying_is_not_judged() -> None:
    score = score_case(_case(decoys=0))
    assert score.conditions.obeys is None
    assert score.success


def test_an_identity_judges_only_what_stays(case: CaseFrames) -> None:
    identity = replace(case, truth=case.source, ceiling=case.copy_ae, edit=case.source, decoys=())
    score = score_case(identity)
    assert score.edit_share == 0 and score.keep_share == 1
    assert score.edit_psnr is None and score.detail_ratio is None
    assert score.conditions == Conditions(None, None, None, True, None)
    assert score.success
    assert not _score_as(identity, _blurred(case.source, 5)).success
    region = metrics.edit_region(case.source, case.source)
    assert np.array_equal(metrics.mean_fill(case.source, case.source, region), case.source)


def test_an_identity_with_decoys_rejects_an_edit(case: CaseFrames) -> None:
    identity = replace(case, truth=case.source, ceiling=case.copy_ae)
    assert _score_as(identity, case.source).success
    assert _score_as(identity, case.decoys[0]).conditions.obeys is False


def test_a_global_edit_says_nothing_about_what_was_kept(case: CaseFrames) -> None:
    night = case.source // 2
    score = score_case(replace(case, truth=night, ceiling=night, edit=night, decoys=()))
    assert score.keep_share == 0
    assert score.keep_psnr is None and score.colour_drift is None and score.conditions.keeps_rest is None
    assert score.success


@pytest.mark.parametrize(("columns", "defined"), [(6, False), (7, True)])
def test_keep_is_defined_from_a_tenth_of_the_frame(case: CaseFrames, columns: int, defined: bool) -> None:
    keep = np.zeros(case.source.shape[:3], dtype=bool)
    keep[..., :columns] = True
    assert (metrics.keep_psnr(case.edit, case.source, keep) is not None) is defined
    assert (metrics.colour_drift(case.edit, case.source, keep) is not None) is defined


def test_a_single_frame_has_no_flicker() -> None:
    score = score_case(_case(frames=1))
    assert score.flicker is None
    assert score.success


def test_freezing_costs_flicker_and_a_constant_offset_does_not(case: CaseFrames) -> None:
    frozen = np.repeat(case.truth[:1], len(case.truth), axis=0)
    moving = metrics.flicker(frozen, case.truth)
    assert moving is not None and moving > 5
    still = np.repeat(case.source[:1], 3, axis=0)
    assert metrics.flicker(still + np.uint8(7), still) == 0


def test_flicker_is_the_rms_change_in_grey_levels(case: CaseFrames) -> None:
    pulsing = case.source.copy()
    pulsing[1::2] += 6
    assert metrics.flicker(pulsing, case.source) == pytest.approx(6)


def test_colour_drift_is_the_shift_of_the_worst_channel(case: CaseFrames) -> None:
    shifted = case.truth.copy()
    shifted[..., 0] += np.uint8(10) * (shifted[..., 0] < 240)
    shifted[..., 2] -= np.uint8(3) * (shifted[..., 2] > 10)
    assert _score_as(case, shifted).colour_drift == pytest.approx(10)


def test_colour_drift_averages_frames_and_skips_those_without_keep(case: CaseFrames) -> None:
    shifted = case.source.copy()
    shifted[0] += 8
    shifted[1] -= 4
    keep = np.ones(case.source.shape[:3], dtype=bool)
    assert metrics.colour_drift(shifted, case.source, keep) == pytest.approx((8 + 4 + 0 + 0) / 4)
    keep[2:] = False
    assert metrics.colour_drift(shifted, case.source, keep) == pytest.approx((8 + 4) / 2)


def test_regions_are_square_dilations_of_what_differs_by_more_than_eight() -> None:
    source = np.full((2, 41, 41, 3), 100, dtype=np.uint8)
    truth = source.copy()
    truth[0, 20, 20, 1] = 109
    truth[1, 20, 20, 1] = 108
    region = metrics.edit_region(source, truth)
    assert region[0, 18:23, 18:23].all() and region[0].sum() == 25
    assert not region[1].any()
    keep = metrics.keep_region(region)
    assert not keep[0, 10:31, 10:31].any() and (~keep[0]).sum() == 21 * 21
    assert metrics.share(keep[1:]) == 1


def test_psnr_is_that_of_the_error_pooled_over_frames(case: CaseFrames) -> None:
    everywhere = np.ones(case.source.shape[:3], dtype=bool)
    edit = case.source.copy()
    edit[0] += 20
    pooled = (20**2 / 4) / 255**2
    assert metrics.mse(edit, case.source, everywhere) == pytest.approx(pooled)
    assert metrics.psnr(edit, case.source) == pytest.approx(-10 * np.log10(pooled))
    assert metrics.psnr(edit, case.source) == metrics.region_psnr(edit, case.source, everywhere)
    assert metrics.region_psnr(edit, case.source, ~everywhere) is None
    with pytest.raises(ValueError, match="no pixels"):
        metrics.psnr(edit[:0], case.source[:0])


def test_gradient_energy_of_a_ramp_is_its_slope() -> None:
    ramp = np.broadcast_to((4 * np.arange(32, dtype=np.uint8))[None, None, :, None], (1, 8, 32, 3)).copy()
    inner = np.zeros((1, 8, 32), dtype=bool)
    inner[:, 2:6, 2:30] = True
    assert metrics.gradient_energy(ramp, inner) == pytest.approx((4 / 255) ** 2)
    assert metrics.gradient_energy(ramp, ~np.ones_like(inner)) is None


def test_a_flat_ceiling_asks_for_a_flat_edit(case: CaseFrames) -> None:
    flat = np.full_like(case.source, 220)
    painted = replace(case, truth=flat, ceiling=flat, edit=flat, decoys=())
    score = score_case(painted)
    assert score.detail_ratio is None and score.conditions.has_detail is True
    assert _score_as(painted, _degraded(flat, 4)).conditions.has_detail is False


def test_scores_do_not_change_their_frames(case: CaseFrames) -> None:
    before = case.source.copy(), case.truth.copy()
    score_references(case)
    assert np.array_equal(case.source, before[0]) and np.array_equal(case.truth, before[1])


def test_a_case_of_unequal_frames_is_refused(case: CaseFrames) -> None:
    # Under the shape checker of the test run the annotations refuse first, else the constructor; both name the field.
    with pytest.raises((ValueError, TypeCheckError), match="ceiling"):
        replace(case, ceiling=case.ceiling[:3])
    with pytest.raises((ValueError, TypeCheckError), match="decoy"):
        replace(case, decoys=(case.decoys[0], case.decoys[1][:, :-1]))
    with pytest.raises((ValueError, TypeCheckError), match="edit"):
        replace(case, edit=case.edit.astype(np.float32))


def test_a_case_without_frames_is_refused(case: CaseFrames) -> None:
    none = case.source[:0]
    with pytest.raises(ValueError, match="at least one pixel"):
        CaseFrames(none, none, none, none, none)


def test_decoys_must_be_few_and_differ_from_the_truth(case: CaseFrames) -> None:
    with pytest.raises(ValueError, match="at most 3"):
        replace(case, decoys=(*case.decoys, case.source))
    with pytest.raises(ValueError, match="equals the truth"):
        replace(case, decoys=(case.truth,))


def test_scores_are_frozen(case: CaseFrames) -> None:
    with pytest.raises(FrozenInstanceError):
        score_case(case).keep_share = 0.0  # type: ignore[misc]
