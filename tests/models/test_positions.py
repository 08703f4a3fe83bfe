"""The time table is never read beyond its end, nor from behind it."""

import pytest
import torch

from models.conditioning import Condition
from tests.tiny import BACKBONE, CHANNELS, base, condition, latents, texts, trained_editor

MOST = BACKBONE.max_latent_frames


@torch.no_grad()
@pytest.mark.parametrize(
    ("frames", "offsets"), [(1, [MOST]), (1, [0, MOST + 5]), (2, [MOST - 1, 0]), (MOST, [1]), (1, [-1]), (3, [0, -2])]
)
def test_an_offset_whose_frames_leave_the_table_is_refused_like_a_grid_that_does(
    frames: int, offsets: list[int]
) -> None:
    x = latents(len(offsets), CHANNELS, frames, 8, 8)
    told = texts(*[3] * len(offsets))
    with pytest.raises(
        ValueError, match=rf"{frames} latent frames at temporal offsets .* exceed the position table of 8"
    ):
        base()(x, torch.zeros(len(offsets)), told, torch.tensor(offsets))


@torch.no_grad()
@pytest.mark.parametrize("frames", range(1, MOST + 1))
def test_the_last_offset_that_fits_is_taken(frames: int) -> None:
    told = condition(frames=frames)
    found = trained_editor()(
        latents(2, CHANNELS, frames, 8, 8),
        torch.tensor([0.1, 0.9]),
        Condition(told.source, told.text, told.task, torch.tensor([0, MOST - frames])),
    )
    assert found.isfinite().all()


def test_offsets_elsewhere_are_not_looked_at() -> None:
    """On the meta device any look at a value would raise, as on an accelerator it would wait."""
    network = base().to("meta")
    told = texts(3).to("meta")
    found = network(
        latents(1, CHANNELS, 1, 8, 8).to("meta"), torch.zeros(1, device="meta"), told, torch.tensor([99], device="meta")
    )
    assert found.shape == (1, CHANNELS, 1, 8, 8)
