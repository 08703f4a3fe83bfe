"""The contact sheet shows every frame unscaled and every word of the instruction."""

import numpy as np
import pytest
from PIL import ImageFont

from training import previews
from training.previews import SheetRow, contact_sheet

COLOURS = ((10, 20, 200), (200, 10, 20), (20, 200, 10), (120, 120, 10))


def _row(frames: int = 1, height: int = 40, width: int = 60, instruction: str = "add a red car") -> SheetRow:
    source, edit, truth, ceiling = (np.full((frames, height, width, 3), colour, dtype=np.uint8) for colour in COLOURS)
    return SheetRow(instruction, "add", source, edit, truth, ceiling, success=True)


def _area(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(axis=-1).sum())


@pytest.mark.parametrize(("frames", "shown"), [(1, 1), (2, 2), (3, 3), (16, 3)])
def test_all_four_columns_are_shown_at_full_size(frames: int, shown: int) -> None:
    sheet = contact_sheet([_row(frames)])
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert [_area(sheet, colour) for colour in COLOURS] == [shown * 40 * 60] * 4


def test_columns_run_from_source_to_ceiling() -> None:
    sheet = contact_sheet([_row()])
    lefts = [int((sheet == colour).all(axis=-1).any(axis=0).argmax()) for colour in COLOURS]
    assert lefts == sorted(lefts)
    assert len(set(np.diff(lefts))) == 1


def test_pixels_are_not_resampled() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 50, 70, 3), dtype=np.uint8)
    sheet = contact_sheet([SheetRow("make it night", "global", picture, picture, picture, picture, success=False)])
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (50, 70))[:, previews.MARGIN]
    assert (windows == picture[0, ..., 0]).all(axis=(1, 2)).any()


def test_the_paper_is_white() -> None:
    sheet = contact_sheet([_row(), _row(16)])
    margin = previews.MARGIN
    for border in (sheet[:margin], sheet[-margin:], sheet[:, :margin], sheet[:, -margin:]):
        assert (border == 255).all()


def test_a_clip_shows_its_first_middle_and_last_frame() -> None:
    greys = range(100, 109)
    clip = np.stack([np.full((20, 30, 3), grey, dtype=np.uint8) for grey in greys])
    sheet = contact_sheet([SheetRow("keep it", "identity", clip, clip, clip, clip, success=True)])
    assert [_area(sheet, (grey, grey, grey)) >= 4 * 20 * 30 for grey in greys] == [i in (0, 4, 8) for i in range(9)]


def test_a_long_instruction_takes_more_lines_not_more_width() -> None:
    short, long = (contact_sheet([_row(instruction="add a red car " * times)]) for times in (1, 30))
    assert long.shape[1] == short.shape[1]
    assert long.shape[0] > short.shape[0]


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    font = ImageFont.load_default(17)
    text = "replace the bee with an extraordinarily" + "long" * 60 + "word and stop"
    lines = previews._wrap(text, font, 200)
    assert all(font.getlength(line) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_rows_of_different_sizes_share_a_sheet() -> None:
    sheet = contact_sheet([_row(), _row(16, 32, 48), _row(1, 8, 8, instruction="")])
    expected = 40 * 60 + 3 * 32 * 48 + 8 * 8
    assert [_area(sheet, colour) for colour in COLOURS] == [expected] * 4


def test_text_outside_latin_does_not_break_the_sheet() -> None:
    assert contact_sheet([_row(instruction="把猫换成狗 🐕 «été»")]).ndim == 3


def test_an_empty_sheet_and_unequal_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        contact_sheet([])
    picture = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="of one shape"):
        SheetRow("add", "add", picture, picture, picture[:, :4], picture, success=True)
