"""Decoded pixels for autoencoder training, from the published `clips` table."""

from stores.clip_types import MediaLimits
from stores.feature_store import PublishedTable
from stores.media_rows import COLUMNS, WorkingSize, decode_row
from training.autoencoder_module import Media


def load_media(clips: PublishedTable, split: str, working: WorkingSize, limits: MediaLimits) -> Media:
    """All pictures of a split, and its clips that have enough frames, at working size.

    Kept in memory as uint8: a thousand 16-frame clips at 160 pixels are about 1.5 GB.
    """
    rows = clips.rows(COLUMNS, where=f"split = '{split}'").to_pylist()
    decoded = [(row["kind"], decode_row(row, working, limits)) for row in rows]
    return Media(
        pictures=[frames for kind, frames in decoded if kind == "picture"],
        clips=[frames for kind, frames in decoded if kind == "video" and len(frames) >= working.frames],
    )
