"""Grounding DINO and SAM 2, tiny and random: what is found means nothing, that it is followed is real."""

from pathlib import Path

import numpy as np
import pytest
import torch

from features.maskers.build import build_masker
from features.maskers.config import GroundedSamConfig
from features.maskers.grounded_sam import MEAN, STD, GroundedSamMasker, MaskerError, prepared
from features.maskers.protocol import MaskRejected, MaskTrack
from tests.features.maskers.tracking import save_detector, save_tracker
from tests.world import colourful


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sam")
    return save_detector(folder / "dino"), save_tracker(folder / "sam2")


def _config(models: tuple[Path | str, Path | str], **changes: object) -> GroundedSamConfig:
    told = {"kind": "grounded_sam", "detector": str(models[0]), "tracker": str(models[1]), "device": "cpu", "looks": 2}
    told |= {"least_score": 0.0, "least_confidence": 0.0, "least_share": 0.0, "most_share": 1.0}
    return GroundedSamConfig.model_validate(told | changes)


@pytest.fixture(scope="module")
def masker(models: tuple[Path, Path]) -> GroundedSamMasker:
    made = build_masker(_config(models))
    assert isinstance(made, GroundedSamMasker)
    return made


def _frames(count: int = 3) -> np.ndarray:
    return colourful(count, 64).frames[:, :48]


@pytest.mark.parametrize("count", [1, 3])
def test_a_track_has_a_mask_for_every_frame(masker: GroundedSamMasker, count: int) -> None:
    frames = _frames(count)
    track = masker.mask(frames, "red owl")
    assert isinstance(track, MaskTrack) and track.thing == "red owl"
    assert track.alpha.shape == frames.shape[:3] and track.alpha.dtype == np.uint8
    assert 0 <= track.confidence <= 1
    again = masker.mask(frames.copy(), "red owl")
    assert isinstance(again, MaskTrack) and np.array_equal(again.alpha, track.alpha)


def test_case_space_and_full_stop_of_a_name_do_not_matter(masker: GroundedSamMasker) -> None:
    one, other = (masker.mask(_frames(), name) for name in ("red owl", " Red  OWL. "))
    assert isinstance(one, MaskTrack) and isinstance(other, MaskTrack)
    assert one.confidence == other.confidence and np.array_equal(one.alpha, other.alpha)


def test_what_is_not_found_is_rejected_with_its_score(models: tuple[Path, Path]) -> None:
    told = build_masker(_config(models, least_score=1.0)).mask(_frames(), "owl")
    assert isinstance(told, MaskRejected) and "not found" in told.reason and told.value is not None
    sure = build_masker(_config(models, least_confidence=1.0)).mask(_frames(), "owl")
    assert isinstance(sure, MaskRejected) and sure.reason == "confidence below"
    assert isinstance(build_masker(_config(models)).mask(_frames(), " . "), MaskRejected)


def test_frames_are_prepared_as_sam_reads_them() -> None:
    flat = np.full((2, 30, 50, 3), 255, dtype=np.uint8)
    white = prepared(flat, 16)
    assert white.shape == (2, 3, 16, 16)
    expected = torch.tensor([(1 - mean) / std for mean, std in zip(MEAN, STD, strict=True)])
    assert torch.allclose(white[0, :, 5, 5], expected, atol=1e-5)
    half = flat.copy()
    half[:, :, :25] = 0
    assert prepared(half, 16)[0, 0, :, :7].max() < 0 < prepared(half, 16)[0, 0, :, 9:].min()


def test_the_revision_is_that_of_both_models(
    models: tuple[Path, Path], masker: GroundedSamMasker, tmp_path: Path
) -> None:
    other = build_masker(_config((models[0], save_tracker(tmp_path / "other", seed=1))))
    assert masker.revision != other.revision
    assert masker.revision.rpartition("-")[0].rpartition("-")[0] in other.revision


def test_what_cannot_be_loaded_is_a_clear_error(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MaskerError, match="no folder"):
        build_masker(_config((models[0], tmp_path / "none")))
    with pytest.raises(MaskerError, match="save_pretrained"):
        build_masker(_config((tmp_path, models[1])))
    with pytest.raises(MaskerError):
        build_masker(_config((models[1], models[0])))


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3))]
)
def test_what_are_no_frames_is_a_clear_error(masker: GroundedSamMasker, bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frames are uint8"):
        masker.mask(bad, "owl")
