"""Sheets of model cards: every picture is there, whole, and long texts do not widen it."""

import numpy as np
import pytest

from inference.gallery import GAP, LINE, MARGIN, GalleryRow, gallery


def _flat(value: int, frames: int = 1, side: int = 20) -> np.ndarray:
    return np.full((frames, side, side, 3), value, dtype=np.uint8)


def test_rows_stand_side_by_side_while_they_fit() -> None:
    rows = [GalleryRow("a", (_flat(value),)) for value in (10, 20, 30)]
    sheet = gallery(rows, width=2 * 20 + 3 * MARGIN, shown_frames=1)
    assert sheet.shape == (2 * (LINE + 20) + 3 * MARGIN, 2 * 20 + 3 * MARGIN, 3)
    top = MARGIN + LINE
    assert (sheet[top : top + 20, MARGIN : MARGIN + 20] == 10).all()
    assert (sheet[top : top + 20, 2 * MARGIN + 20 : 2 * MARGIN + 40] == 20).all()
    assert (sheet[2 * top + 20 : 2 * top + 40, MARGIN : MARGIN + 20] == 30).all()


def test_clips_show_first_and_last_frame_beside_each_other() -> None:
    clip = np.concatenate([_flat(value) for value in (1, 2, 3, 4, 5)])
    sheet = gallery([GalleryRow("a text that is much too long for it", (clip, clip))], width=10, shown_frames=2)
    assert sheet.shape[1] == 4 * 20 + 3 * GAP + 2 * MARGIN
    shown = [int(sheet[-MARGIN - 1, MARGIN + i * (20 + GAP), 0]) for i in range(4)]
    assert shown == [1, 5, 1, 5]


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        gallery([], width=100, shown_frames=1)
