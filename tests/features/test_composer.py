"""Laws of the composer: a scene is data, rendering it is pure, and only what the edit names changes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from features.composer import Background, Cutouts, Placed, Scene
from features.motion import STILL, Drift, draw_drift, pan
from features.raw import read_cutouts
from features.setting import EVERY_LOOK
from features.tasks.global_look import greyscale, inverted
from features.vocabulary import NOUNS, Named, Place, Size
from tests.world import ROOT, colourful, cutouts, drawn, materials, tiny_params

TINY = tiny_params()
PARAMS = TINY.features.compose
OWL = Placed(Named("owl"), Place.LEFT, Size.BIG)
STAR = Placed(Named("star"), Place.RIGHT, Size.SMALL)


@cache
def _all_cutouts() -> Cutouts:
    return Cutouts(read_cutouts(ROOT / "data", NOUNS))


def _draw(scene: Scene, things: Cutouts | None = None) -> np.ndarray:
    return drawn(scene, TINY, things)


def _changed(scene: Scene, other: Scene) -> np.ndarray:
    return (_draw(scene) != _draw(other)).any(axis=-1)


def test_rendering_twice_gives_the_same_frames_and_leaves_the_background_alone() -> None:
    background = colourful(3, 64)
    before = background.frames.copy()
    scene = Scene(background, (replace(OWL, drift=Drift(0.1, 0.05, 0.3)), STAR), "sepia")
    assert np.array_equal(_draw(scene), _draw(scene))
    assert np.array_equal(background.frames, before)


@pytest.mark.parametrize("place", Place)
@pytest.mark.parametrize("size", Size)
def test_outside_the_objects_box_nothing_changes(place: Place, size: Size) -> None:
    background, side = colourful(1, 64), 64
    changed = _changed(Scene(background), Scene(background, (Placed(Named("umbrella"), place, size),)))[0]
    share = PARAMS.small_share if size is Size.SMALL else PARAMS.big_share
    height, width = cutouts().sized("umbrella", share, side).shape[:2]
    rows, columns = np.indices(changed.shape)
    away = np.abs(rows + 0.5 - place.value[0] * side) > height / 2 + 1
    away |= np.abs(columns + 0.5 - place.value[1] * side) > width / 2 + 1
    assert changed.any() and not changed[away].any()


def test_what_is_added_and_removed_again_leaves_no_trace() -> None:
    source = Scene(colourful(2, 64), (STAR,))
    there = source.with_object(OWL)
    assert not np.array_equal(_draw(there), _draw(source))
    assert np.array_equal(_draw(there.without(OWL)), _draw(source))
    assert np.array_equal(_draw(there.swapped(OWL, STAR).swapped(STAR, OWL).without(OWL)), colourful(2, 64).frames)


def test_an_edit_of_one_object_leaves_the_others_as_they_are() -> None:
    source = Scene(colourful(1, 64), (OWL, STAR))
    changed = _changed(source, source.swapped(OWL, replace(OWL, name=Named("banana"))))[0]
    assert changed[:, :32].any() and not changed[:, 44:].any()


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("share", [PARAMS.small_share, PARAMS.big_share])
def test_what_is_opaque_covers_the_share_that_was_asked_for(share: float, side: int) -> None:
    for noun in NOUNS:
        got = (_all_cutouts().sized(noun, share, side)[..., 3] > 127).sum() / side**2
        assert got == pytest.approx(share, rel=0.1), noun


def test_every_noun_stands_where_its_place_says() -> None:
    background = Background(np.full((1, 64, 64, 3), 127, dtype=np.uint8), "grey", "clip", "scene")
    for noun in NOUNS:
        for place in Place:
            for size in Size:
                scene = Scene(background, (Placed(Named(noun), place, size),))
                rows, columns = np.nonzero((_draw(scene, _all_cutouts())[0] != 127).any(axis=-1))
                for share, found in zip(place.value, (rows.mean() / 64, columns.mean() / 64), strict=True):
                    third = int(share * 3)
                    # The middle of the box is in its third; the mass of a lopsided shape may lie a little outside.
                    assert third / 3 - 0.035 <= found <= (third + 1) / 3 + 0.035, (noun, place, size)


def test_an_edge_takes_no_colour_from_invisible_pixels() -> None:
    picture = np.zeros((40, 40, 4), dtype=np.uint8)
    picture[..., 0] = 255  # red wherever nothing is to be seen
    picture[10:30, 10:30] = (0, 0, 255, 255)
    resized = Cutouts({"x": picture}).sized("x", 0.1, 64)
    assert resized[resized[..., 3] > 32][:, 0].max() < 16


def test_a_drift_begins_where_the_object_stands_and_keeps_within_its_bound() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        drift = draw_drift(rng, 0.1)
        offsets = np.array([drift.at(frame, 16) for frame in range(16)])
        assert np.array_equal(offsets[0], [0, 0])
        assert np.abs(offsets).max() <= 0.1
        assert np.ptp(offsets) > 0


def test_a_picture_has_no_motion_and_a_clip_has() -> None:
    rng = np.random.default_rng(0)
    assert materials(colourful(1), TINY).drift(rng) == STILL
    moving = replace(OWL, drift=materials(colourful(4), TINY).drift(rng))
    frames = _draw(Scene(replace(colourful(4), frames=np.full((4, 64, 64, 3), 90, np.uint8)), (moving,)))
    assert not np.array_equal(frames[0], frames[3])


def test_a_pan_is_a_moving_crop_of_its_picture() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    once, again = (pan(picture, 5, 32, np.random.default_rng(7)) for _ in range(2))
    assert once.shape == (5, 32, 32, 3) and np.array_equal(once, again)
    assert not np.array_equal(once[0], once[-1])


def test_grey_stays_grey_and_a_negative_of_a_negative_is_the_picture() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    grey = greyscale(picture)
    assert np.array_equal(greyscale(grey), grey)
    assert (grey[..., 0] == grey[..., 2]).all()
    assert np.array_equal(inverted(inverted(picture)), picture)


@pytest.mark.parametrize("look", EVERY_LOOK)
def test_looks_are_plain_functions_of_pixels(look: str) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    before = picture.copy()
    turned = EVERY_LOOK[look](picture)
    assert turned.dtype == np.uint8 and turned.shape == picture.shape and np.array_equal(picture, before)
    # Frame by frame: what a clip becomes is what its frames become.
    assert np.array_equal(turned[1:], EVERY_LOOK[look](picture[1:]))


def test_no_look_can_be_mistaken_for_another() -> None:
    picture = colourful(1, 64).frames
    looks = {name: look(picture).astype(np.int16) for name, look in EVERY_LOOK.items()}
    for name, seen in looks.items():
        for other, also in {**looks, "none": picture.astype(np.int16)}.items():
            assert name == other or np.abs(seen - also).mean() > 5, (name, other)
