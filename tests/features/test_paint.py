"""Laws of painting: alpha decides where, and light and shade outlive a tint."""

from functools import cache

import numpy as np
import pytest

from features.framing import Framing, draw_framing
from features.paint import COLOURS, LUMA, MARK_OPACITY, Box, marked, outline, paste, tinted, visible
from features.raw import read_cutouts
from features.vocabulary import NOUNS
from tests.world import ROOT


@cache
def _pictures() -> dict[str, np.ndarray]:
    return read_cutouts(ROOT / "data", NOUNS)


@pytest.mark.parametrize("paint", [tinted, marked])
def test_paint_keeps_alpha_and_leaves_its_layer_alone(paint) -> None:
    for noun in NOUNS[::8]:
        layer = _pictures()[noun]
        before = layer.copy()
        painted = paint(layer, "blue")
        assert np.array_equal(painted[..., 3], layer[..., 3]) and np.array_equal(layer, before)
        assert painted.dtype == np.uint8


@pytest.mark.parametrize("colour", COLOURS)
def test_whatever_is_tinted_ends_near_the_colour(colour: str) -> None:
    for noun in NOUNS:
        painted = tinted(_pictures()[noun], colour)
        seen = painted[painted[..., 3] > 127][:, :3]
        nearest = min(COLOURS, key=lambda name: np.abs(np.median(seen, axis=0) - COLOURS[name]).sum())
        assert nearest == colour, (noun, np.median(seen, axis=0))


def test_light_and_shade_outlive_a_tint() -> None:
    """What was lighter than something else is not darker afterwards."""
    ramp = np.full((1, 64, 4), 255, dtype=np.uint8)
    ramp[0, :, :3] = np.linspace(0, 255, 64)[:, None]
    for colour in COLOURS:
        luma = tinted(ramp, colour)[0, :, :3] @ LUMA
        assert (np.diff(luma) >= -0.6).all() and np.ptp(luma) > 20


def test_a_mark_is_the_colour_in_its_share() -> None:
    layer = _pictures()["owl"]
    flat = np.array(COLOURS["pink"])
    wanted = layer[..., :3] * (1 - MARK_OPACITY) + flat * MARK_OPACITY
    assert np.abs(marked(layer, "pink")[..., :3] - wanted).max() <= 0.5


def test_nothing_is_pasted_where_alpha_is_none_and_all_where_it_is_full() -> None:
    frame = np.full((20, 20, 3), 50.0, dtype=np.float32)
    layer = np.zeros((6, 8, 4), dtype=np.uint8)
    layer[1:5, 2:7] = (200, 100, 0, 255)
    box = paste(frame, layer, 3, 4)
    assert box == Box(4, 8, 6, 11)
    changed = (frame != 50).any(axis=-1)
    assert changed.sum() == 20 and (frame[4:8, 6:11] == (200, 100, 0)).all()


@pytest.mark.parametrize("corner", [(-3, -3), (17, 17), (-3, 17)])
def test_what_lies_across_a_border_is_cut_and_what_lies_outside_is_not_seen(corner: tuple[int, int]) -> None:
    frame = np.zeros((20, 20, 3), dtype=np.float32)
    layer = np.full((6, 6, 4), 255, dtype=np.uint8)
    box = paste(frame, layer, *corner)
    assert box and (frame[box.top : box.bottom, box.left : box.right] == 255).all() and frame.sum() == 9 * 3 * 255
    assert paste(frame, layer, 40, 40) is None and visible(np.zeros((4, 4, 4), dtype=np.uint8)) is None


def test_an_outline_encloses_its_box_and_stays_in_the_frame() -> None:
    frame = np.zeros((40, 40, 3), dtype=np.float32)
    outline(frame, Box(10, 20, 8, 30), "red")
    drawn = frame.any(axis=-1)
    assert not drawn[10:20, 8:30].any() and drawn[9, 8:30].all() and drawn[10:20, 30].all()
    rows, columns = np.nonzero(drawn)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 22, 5, 32)
    outline(frame, Box(0, 40, 0, 40), "blue")
    assert (frame[0] == COLOURS["blue"]).all() and (frame[:, -1] == COLOURS["blue"]).all()


def test_framings_stay_inside_vary_and_never_enlarge() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_framing(48, 70, 32, 0.5, rng) for _ in range(300)]
    assert all(0 <= each.top <= 48 - each.span and 0 <= each.left <= 70 - each.span for each in drawn)
    assert {each.span for each in drawn} == set(range(32, 49)) and 100 < sum(each.mirrored for each in drawn) < 200


def test_a_framing_shows_the_same_of_frames_and_of_their_mask() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
    for framing in (Framing(3, 5, 32, mirrored=False), Framing(3, 5, 32, mirrored=True), Framing(0, 2, 40, True)):
        shown = framing.of(frames, 32)
        assert shown.shape == (2, 32, 32, 3)
        assert np.array_equal(framing.of(frames[..., 0], 32), shown[..., 0])
    assert np.array_equal(Framing(3, 5, 32, False).of(frames, 32), frames[:, 3:35, 5:37])
    assert np.array_equal(Framing(3, 5, 32, True).of(frames, 32), frames[:, 3:35, 36:4:-1])
