"""The square of a picture that is kept: as large as it can be, and where most is changed."""

import numpy as np
import pytest

from features.framing import framing_of_change


@pytest.mark.parametrize("shape", [(6, 11), (11, 6), (7, 7), (1, 9), (10, 4)])
def test_no_square_shows_more_of_the_change(shape: tuple[int, int]) -> None:
    side = min(shape)
    for seed in range(20):
        mask = np.random.default_rng(seed).random(shape) < 0.2
        kept = framing_of_change(mask)
        squares = [
            mask[i : i + side, j : j + side] for i in range(shape[0] - side + 1) for j in range(shape[1] - side + 1)
        ]
        shown = mask[kept.top : kept.top + side, kept.left : kept.left + side]
        assert kept.span == side and shown.shape == (side, side)
        assert shown.sum() == max(square.sum() for square in squares)


@pytest.mark.parametrize("marked", [False, True])
def test_of_equal_squares_the_middle_one_is_kept(marked: bool) -> None:
    kept = framing_of_change(np.full((4, 10), marked))
    assert (kept.top, kept.left, kept.span) == (0, 3, 4)
