"""Laws of masks: exact on composed scenes, smooth and honest on real clips, and marked as the composer marks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from features.composer import Placed, Scene
from features.maskers.build import build_masker
from features.maskers.composed import ComposedMasker
from features.maskers.config import MaskerConfig, SaliencyConfig
from features.maskers.marking import MarkedClip, mark, mark_as_told
from features.maskers.protocol import MaskRejected, MaskTrack, bounded
from features.maskers.smoothing import margin, offset_between, shifted, smoothed, steadiness
from features.motion import Drift
from features.paint import MARK_OPACITY, VIVID
from features.pairs import DRAWERS
from features.vocabulary import Named, Place, Size
from tests.world import ROOT, colourful, drawn, materials, tiny_params, with_subject

TINY = tiny_params()
OWL = Placed(Named("owl"), Place.LEFT, Size.BIG, Drift(0.1, 0.05, 0.3))
STAR = Placed(Named("star"), Place.MIDDLE, Size.BIG)
SALIENCY = {
    "kind": "saliency", "network": str(ROOT / "data" / "pretrained" / "u2netp.onnx"), "threads": 1, "radius": 1,
    "least_steadiness": 0.5, "least_confidence": 0.5, "least_share": 0.02, "most_share": 0.7,
}  # fmt: skip


def _draw(scene: Scene) -> np.ndarray:
    return drawn(scene, TINY)


def _track(scene: Scene, thing: str) -> MaskTrack:
    track = ComposedMasker(scene, _draw).mask(_draw(scene), thing)
    assert isinstance(track, MaskTrack)
    return track


def _disc(row: float, column: float, radius: float = 9, side: int = 48) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return np.clip(radius - np.hypot(rows - row, columns - column) + 0.5, 0, 1).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_a_marked_scene_is_what_the_composer_draws(seed: int) -> None:
    """The mask and the marking together are the composed task; on a soft edge, the ground behind it is marked too."""
    ground = with_subject(32, seed) if seed % 2 else colourful(3, 32, seed)
    draft = DRAWERS["segment"](np.random.default_rng(seed), materials(ground, TINY), 1)
    (choice,) = draft.choices
    marks = {item.name.spoken: item.mark for item in choice.target.objects if item.mark}
    thing, colour = next(iter(marks.items())) if marks else ("main object", str(choice.target.subject.mark))
    track = _track(draft.source, thing)
    got = mark(_draw(draft.source), track, colour)
    soft = track.alpha[..., None] / 255
    apart = np.abs(got.astype(np.int16) - _draw(choice.target))
    assert (apart <= 3 + MARK_OPACITY * 255 * soft * (1 - soft)).all()


def test_a_composed_mask_leaves_out_what_stands_before_the_thing() -> None:
    near = replace(STAR, place=Place.LEFT, drift=OWL.drift)
    alone, behind = Scene(colourful(3, 64), (OWL,)), Scene(colourful(3, 64), (OWL, near))
    covered = _track(behind, "owl").hard
    assert covered.sum() < _track(alone, "owl").hard.sum()
    assert not (covered & _track(behind, "star").hard).any()


def test_a_composed_mask_follows_the_thing_whatever_the_look() -> None:
    scene = Scene(colourful(4, 64), (OWL, STAR))
    track = _track(scene, "owl")
    assert len({frame.tobytes() for frame in track.hard}) > 1 and track.confidence == 1.0
    plain = Scene(colourful(4, 64), (replace(OWL, colour="red"), STAR), look="sepia")
    # 255 levels of alpha are told apart by 154 of colour, each rounded.
    assert np.abs(_track(plain, "owl").alpha.astype(np.int16) - track.alpha).max() <= 4


def test_a_thing_that_is_not_there_or_not_to_be_seen_is_rejected() -> None:
    scene = Scene(colourful(1, 64), (STAR, replace(STAR, name=Named("owl"))))
    masker = ComposedMasker(scene, _draw)
    for thing in ("banana", "main object", ""):
        assert masker.mask(_draw(scene), thing) == MaskRejected(thing, "not in the scene")
    with pytest.raises(ValueError, match="the scene's frames are"):
        masker.mask(_draw(scene)[:, :32], "owl")


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (3, -5), (-7, 2), (11, 11)])
def test_the_offset_of_a_moved_thing_is_found_and_taken_back(rows: int, columns: int) -> None:
    before, after = _disc(24, 24), _disc(24 + rows, 24 + columns)
    assert offset_between(before, after) == (rows, columns)
    assert np.abs(shifted(before, rows, columns) - after).max() < 1e-6


def test_smoothing_leaves_a_steady_thing_alone_even_if_it_moves() -> None:
    maps = np.stack([_disc(20 + 2 * n, 16 + 3 * n) for n in range(5)])
    assert np.abs(smoothed(maps, 2) - maps).max() < 1e-6
    assert steadiness(maps) == pytest.approx(1.0) and margin(maps) > 0.8
    assert np.array_equal(smoothed(maps[:1], 2), maps[:1]) and steadiness(maps[:1]) == 1.0


def test_smoothing_mends_a_single_bad_frame() -> None:
    maps = np.stack([_disc(24, 20 + n) for n in range(5)])
    broken = maps.copy()
    broken[2, :, :22] = 0
    assert steadiness(broken) < 0.9
    assert steadiness(smoothed(broken, 1)) > steadiness(broken)
    assert np.abs(smoothed(broken, 1)[2] - maps[2]).mean() < np.abs(broken[2] - maps[2]).mean() / 2


def test_unsure_maps_have_little_margin() -> None:
    assert margin(np.full((1, 8, 8), 0.5, np.float32)) == 0.0
    assert margin(np.zeros((1, 8, 8), np.float32)) == 0.0
    assert margin(np.ones((1, 8, 8), np.float32)) == 1.0


def test_the_main_object_of_a_picture_that_moves() -> None:
    """An owl over a plain ground, moved: found in every frame, where it is."""
    scene = Scene(replace(colourful(3, 96), frames=np.full((3, 96, 96, 3), (120, 170, 120), np.uint8)), (OWL,))
    track = build_masker(SaliencyConfig.model_validate(SALIENCY)).mask(_draw(scene), "main object")
    assert isinstance(track, MaskTrack) and 0.5 < track.confidence <= 1
    exact = _track(scene, "owl").hard
    assert (track.hard & exact).sum() / (track.hard | exact).sum() > 0.75


def test_what_saliency_cannot_answer_is_rejected() -> None:
    masker = build_masker(SaliencyConfig.model_validate(SALIENCY))
    frames = colourful(2, 48).frames
    assert masker.mask(frames, "owl") == MaskRejected("owl", "only the main object is known")
    strict = build_masker(SaliencyConfig.model_validate(SALIENCY | {"least_confidence": 1.0, "least_steadiness": 0.0}))
    told = strict.mask(frames, "main object")
    assert isinstance(told, MaskRejected) and told.reason == "confidence below"
    with pytest.raises(ValueError, match="frames are uint8"):
        masker.mask(frames[0], "main object")
    with pytest.raises(FileNotFoundError, match="dvc pull"):
        build_masker(SaliencyConfig.model_validate(SALIENCY | {"network": "none.onnx"}))


def test_bounds_name_what_is_beyond_them() -> None:
    track = MaskTrack("owl", np.full((2, 4, 4), 255, np.uint8), 0.4)
    assert bounded(track, 0.3, 0.1, 1.0) is track
    assert bounded(track, 0.5, 0.1, 1.0) == MaskRejected("owl", "confidence below", 0.4)
    assert bounded(track, 0.3, 0.1, 0.9) == MaskRejected("owl", "share of the frame above", 1.0)
    empty = replace(track, alpha=np.zeros((2, 4, 4), np.uint8))
    assert bounded(empty, 0.3, 0.1, 0.9) == MaskRejected("owl", "share of the frame below", 0.0)


def test_a_marked_clip_says_what_it_shows() -> None:
    scene = Scene(colourful(3, 64), (OWL,))
    frames, track = _draw(scene), _track(scene, "owl")
    told = mark_as_told(frames, track, np.random.default_rng(0), False, 20)
    assert isinstance(told, MarkedClip) and told.colour in VIVID
    assert "the owl" in told.instruction and told.colour in told.instruction
    assert np.array_equal(told.target, mark(frames, track, told.colour))
    assert not (told.target != frames).any(axis=-1)[track.alpha == 0].any()
    assert (told.target != frames).any(axis=-1)[track.hard].mean() > 0.95


def test_a_mark_that_would_not_show_is_rejected() -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    track = MaskTrack("owl", np.zeros((2, 8, 8), np.uint8), 1.0)
    assert mark_as_told(frames, track, np.random.default_rng(0), False, 1.0) == MaskRejected(
        "owl", "no colour would show"
    )
    with pytest.raises(ValueError, match="does not fit"):
        mark(frames[:1], track, "red")


def test_a_config_is_checked(tmp_path: Path) -> None:
    read = TypeAdapter(MaskerConfig).validate_python
    assert read(SALIENCY).kind == "saliency"
    for bad in ({"kind": "oracle"}, SALIENCY | {"radius": -1}, SALIENCY | {"extra": 1}, {"kind": "saliency"}):
        with pytest.raises(ValidationError):
            read(bad)
