"""Laws of compositing: what is not edited is the source itself, what is edited is the edit."""

import numpy as np
import pytest
import torch

from inference.composite import KeepDetail, edit_share, restore, upsample
from tests.media import moving_frames

KEEP = KeepDetail(0.03)
SOURCE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
RECONSTRUCTION = moving_frames(1, 32, 32)[0]


def test_an_edit_equal_to_the_reconstruction_gives_the_source_bit_for_bit() -> None:
    assert np.array_equal(restore(SOURCE, RECONSTRUCTION, RECONSTRUCTION, KEEP), SOURCE)


def test_changes_under_the_threshold_are_no_edit() -> None:
    drifted = (RECONSTRUCTION.astype(int) + 5).astype(np.uint8)  # 5/255 < 0.03: the model's own drift of colour
    assert np.array_equal(restore(SOURCE, drifted, RECONSTRUCTION, KEEP), SOURCE)


def test_a_change_everywhere_gives_the_upsampled_edit() -> None:
    edit = 255 - (RECONSTRUCTION // 128) * 255
    assert np.array_equal(restore(SOURCE, edit, RECONSTRUCTION, KEEP), upsample(edit, 90, 120))


def test_a_local_change_leaves_the_rest_alone_and_blends_smoothly() -> None:
    edit = RECONSTRUCTION.copy()
    edit[4:14, 4:14] = 255 - (edit[4:14, 4:14] // 128) * 255
    share = edit_share(edit, RECONSTRUCTION, KEEP.threshold)
    assert share[6:12, 6:12].min() == 1 and share[18:, :].max() == 0
    restored = restore(SOURCE, edit, RECONSTRUCTION, KEEP)
    assert np.array_equal(restored[60:], SOURCE[60:])
    inside = np.s_[20:30, 28:40]
    assert np.array_equal(restored[inside], upsample(edit, 90, 120)[inside])


def test_the_blend_has_no_step() -> None:
    ramp = RECONSTRUCTION.astype(int) + np.linspace(0, 60, 32, dtype=int)[None, :, None]
    share = edit_share(ramp.clip(0, 255).astype(np.uint8), np.asarray(RECONSTRUCTION), KEEP.threshold)
    assert share.min() == 0 and share.max() == 1
    assert torch.diff(share, dim=1).abs().max() < 0.5


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (90, 121), (7, 300), (16, 16)])
def test_upsampling_keeps_flat_colours_and_the_range(size: tuple[int, int]) -> None:
    flat = np.full((32, 32, 3), 77, np.uint8)
    assert (upsample(flat, *size) == 77).all()
    edges = np.zeros((32, 32, 3), np.uint8)
    edges[:, 16:] = 255
    larger = upsample(edges, *size)
    assert larger.shape == (*size, 3)
    assert larger[:, 0].max() == 0 and larger[:, -1].min() == 255
