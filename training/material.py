"""Decoded pixels for autoencoder training, from the published media tables."""

from collections.abc import Sequence

from stores.clip_types import MediaLimits
from stores.feature_store import PublishedTable
from stores.media_rows import COLUMNS, WorkingSize, decode_row
from training.autoencoder_module import Media


def load_media(
    tables: Sequence[PublishedTable],
    split: str,
    picture_side: int,
    clips: WorkingSize,
    least_side: int,
    limits: MediaLimits,
) -> Media:
    """All pictures of a split, and its clips that have enough frames; none is enlarged beyond `least_side`.

    Kept in memory as uint8: a thousand 16-frame clips at 160 pixels are about 1.5 GB.
    """
    rows = [row for table in tables for row in table.rows([*COLUMNS, "height", "width"], _of(split)).to_pylist()]
    pictures, moving = [], []
    for row in rows:
        most = picture_side if row["kind"] == "picture" else clips.side
        side = min(most, max(least_side, min(row["height"], row["width"])))
        size = WorkingSize(side, clips.frame_rate, clips.frames)
        frames = decode_row(row, size, limits)
        if row["kind"] == "picture":
            pictures.append(frames)
        elif len(frames) >= clips.frames:
            moving.append(frames)
    return Media(pictures, moving)


def _of(split: str) -> str:
    return f"split = '{split}'"
