"""Contact sheets: source, edit, truth and ceiling of unpicked cases side by side, at full size, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.metrics import Frames

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

COLUMNS = ("source", "edit", "truth", "ceiling")
MARGIN = 16  # pixels, as all lengths here
COLUMN_GAP = 12
MIN_COLUMN = 48  # room for a header
FRAME_GAP = 2
ROW_GAP = 18
LINE_GAP = 4
MIN_WIDTH = 480  # of the text, however small the frames are
MOST_WIDTH = 1780  # of the sheet, unless a row alone is wider

PAPER = (255, 255, 255)
INK = (28, 30, 33)
SOFT_INK = (110, 114, 120)
RULE = (225, 227, 230)
PASS = (26, 127, 55)
FAIL = (188, 42, 42)


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One case on the sheet.

    Raises:
        ValueError: the four are not frames [f h w 3] of one shape.
    """

    instruction: str
    task: str
    source: Frames
    edit: Frames
    truth: Frames
    ceiling: Frames
    success: bool

    def __post_init__(self) -> None:
        shapes = [frames.shape for frames in self.cells]
        if len(set(shapes)) > 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3 or 0 in shapes[0]:
            raise ValueError(f"source, edit, truth and ceiling must be frames [f h w 3] of one shape, not {shapes}")

    @property
    def cells(self) -> tuple[Frames, Frames, Frames, Frames]:
        """The four columns, in the order of their headers."""
        return self.source, self.edit, self.truth, self.ceiling


@dataclass(frozen=True)
class _Fonts:
    instruction: Font
    note: Font

    @classmethod
    def load(cls) -> Self:
        return cls(instruction=ImageFont.load_default(17), note=ImageFont.load_default(13))


@dataclass(frozen=True)
class _Layout:
    """Where a row's parts go, from its top; `headed` rows repeat the column names above their cells."""

    lines: tuple[str, ...]
    headed: bool
    cells_top: int
    column_width: int
    height: int


def _line_height(font: Font) -> int:
    # Of a fixed text with ascenders and descenders, so that every line of a font is equally high.
    return int(font.getbbox("Ágjy")[3]) + LINE_GAP


def _strip_indices(frames: int) -> tuple[int, ...]:
    """First, middle and last frame, without repeats."""
    return tuple(sorted({0, frames // 2, frames - 1}))


def _strip(frames: Frames) -> NDArray[np.uint8]:
    """Frames of one cell side by side, with a white gap: [h w 3]."""
    chosen = [frames[i] for i in _strip_indices(len(frames))]
    gap = np.full((chosen[0].shape[0], FRAME_GAP, 3), 255, dtype=np.uint8)
    parts = [part for frame in chosen for part in (gap, frame)][1:]
    return np.concatenate(parts, axis=1)


def _column_width(row: SheetRow) -> int:
    shown = len(_strip_indices(len(row.source)))
    width = int(row.source.shape[2])
    return max(MIN_COLUMN, shown * width + (shown - 1) * FRAME_GAP)


def _split_word(word: str, font: Font, width: int) -> list[str]:
    """A word cut where it no longer fits; nearly always the word itself."""
    parts = [""]
    for letter in word:
        if parts[-1] and font.getlength(parts[-1] + letter) > width:
            parts.append("")
        parts[-1] += letter
    return parts


def _wrap(text: str, font: Font, width: int) -> tuple[str, ...]:
    """The text in lines of at most `width` pixels, broken between words where possible."""
    lines = [""]
    for word in chain.from_iterable(_split_word(whole, font, width) for whole in text.split()):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(lines)


def _row_width(row: SheetRow) -> int:
    return len(COLUMNS) * _column_width(row) + (len(COLUMNS) - 1) * COLUMN_GAP


def _layout(row: SheetRow, before: SheetRow | None, fonts: _Fonts, text_width: int) -> _Layout:
    """A row stands alone on its text lines; headers come back only where the columns change their width."""
    column_width = _column_width(row)
    headed = before is None or _column_width(before) != column_width
    lines = _wrap(row.instruction, fonts.instruction, text_width)
    text = len(lines) * _line_height(fonts.instruction) + _line_height(fonts.note)
    header = _line_height(fonts.note) if headed else 0
    cells_top = text + header + LINE_GAP
    return _Layout(lines, headed, cells_top, column_width, cells_top + row.source.shape[1])


def _note(row: SheetRow) -> str:
    """What stands behind the verdict in the second line."""
    frames = len(row.source)
    if frames == 1:
        return row.task
    names = {2: "first and last", 3: "first, middle and last"}[len(_strip_indices(frames))]
    return f"{row.task}, clip of {frames} frames ({names} shown)"


def _draw_label(draw: ImageDraw.ImageDraw, row: SheetRow, layout: _Layout, top: int, fonts: _Fonts) -> None:
    y = top
    for line in layout.lines:
        draw.text((MARGIN, y), line, fill=INK, font=fonts.instruction)
        y += _line_height(fonts.instruction)
    verdict, colour = ("success", PASS) if row.success else ("no success", FAIL)
    draw.text((MARGIN, y), verdict, fill=colour, font=fonts.note)
    x = MARGIN + fonts.note.getlength(f"{verdict}   ")
    draw.text((x, y), _note(row), fill=SOFT_INK, font=fonts.note)


def _draw_row(sheet: Image.Image, row: SheetRow, layout: _Layout, top: int, fonts: _Fonts) -> None:
    draw = ImageDraw.Draw(sheet)
    _draw_label(draw, row, layout, top, fonts)
    for i, (name, frames) in enumerate(zip(COLUMNS, row.cells, strict=True)):
        x, y = MARGIN + i * (layout.column_width + COLUMN_GAP), top + layout.cells_top
        sheet.paste(Image.fromarray(_strip(frames)), (x, y))
        if layout.headed:
            draw.text((x, y - _line_height(fonts.note)), name, fill=SOFT_INK, font=fonts.note)


def contact_sheet(rows: Sequence[SheetRow]) -> NDArray[np.uint8]:
    """The rows from top to bottom on white, RGB [h w 3], in as many columns as fit `MOST_WIDTH`.

    Frames are never rescaled, clips show three of theirs.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one row")
    fonts = _Fonts.load()
    text_width = max(MIN_WIDTH, *(_row_width(row) for row in rows))
    columns = min(len(rows), max(1, MOST_WIDTH // (text_width + 2 * MARGIN)))
    length = -(-len(rows) // columns)
    parts = [_column(rows[start : start + length], text_width, fonts) for start in range(0, len(rows), length)]
    sheet = Image.new("RGB", (sum(part.width for part in parts), max(part.height for part in parts)), PAPER)
    for number, part in enumerate(parts):
        sheet.paste(part, (number * part.width, 0))
    return np.asarray(sheet)


def _column(rows: Sequence[SheetRow], text_width: int, fonts: _Fonts) -> Image.Image:
    befores: list[SheetRow | None] = [None, *rows[:-1]]
    layouts = [_layout(row, before, fonts, text_width) for row, before in zip(rows, befores, strict=True)]
    height = 2 * MARGIN + sum(layout.height for layout in layouts) + ROW_GAP * (len(rows) - 1)
    column = Image.new("RGB", (text_width + 2 * MARGIN, height), PAPER)
    top = MARGIN
    for row, layout in zip(rows, layouts, strict=True):
        if top > MARGIN:
            rule = top - ROW_GAP // 2
            ImageDraw.Draw(column).line((MARGIN, rule, MARGIN + text_width - 1, rule), fill=RULE)
        _draw_row(column, row, layout, top, fonts)
        top += layout.height + ROW_GAP
    return column
