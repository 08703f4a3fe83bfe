"""A plain sheet of pictures with a line of text a row: what model cards show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.pixels import Frames

MARGIN, GAP, LINE = 12, 6, 18  # pixels
PAPER, INK = (255, 255, 255), (40, 42, 46)


@dataclass(frozen=True, eq=False)
class GalleryRow:
    """A line of text and the clips [f h w 3] under it, side by side; of a clip, so many frames evenly spaced."""

    text: str
    clips: tuple[Frames, ...]


def gallery(rows: Sequence[GalleryRow], width: int, shown_frames: int) -> Frames:
    """The sheet uint8 [h w 3]: rows side by side as they fit into so many pixels, a wider one alone.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("a gallery needs at least one row")
    places: list[tuple[Image.Image, int, int]] = []
    left, top, line = MARGIN, MARGIN, 0
    for tile in (_tile(row, shown_frames) for row in rows):
        if left > MARGIN and left + tile.width + MARGIN > width:
            left, top, line = MARGIN, top + line + MARGIN, 0
        places.append((tile, left, top))
        left, line = left + tile.width + MARGIN, max(line, tile.height)
    right = max(left + tile.width for tile, left, _ in places)
    sheet = Image.new("RGB", (right + MARGIN, top + line + MARGIN), PAPER)
    for tile, left, top in places:
        sheet.paste(tile, (left, top))
    return np.asarray(sheet)


def _tile(row: GalleryRow, shown_frames: int) -> Image.Image:
    strip = [frame for clip in row.clips for frame in clip[_evenly(len(clip), shown_frames)]]
    height = max(frame.shape[0] for frame in strip)
    width = sum(frame.shape[1] + GAP for frame in strip) - GAP
    tile = Image.new("RGB", (width, LINE + height), PAPER)
    font = ImageFont.load_default(12)
    draw = ImageDraw.Draw(tile)
    text = row.text
    while text and draw.textlength(text, font=font) > width:
        text = text[:-2].rstrip("…") + "…"
    draw.text((0, 0), text, INK, font)
    left = 0
    for frame in strip:
        tile.paste(Image.fromarray(frame), (left, LINE))
        left += frame.shape[1] + GAP
    return tile


def _evenly(count: int, shown: int) -> list[int]:
    return [round(place) for place in np.linspace(0, count - 1, min(count, shown))]
