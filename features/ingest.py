"""Ingest: raw files to rows of the `clips` table, each accepted, or quarantined with its reasons."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from features.duplicates import Seen
from features.listings import printable
from features.params import FeaturesParams, SplitParams
from features.quality import Rejection, judge, watch
from features.raw import RawItem
from stores.clip_files import probe, stream_frames
from stores.clip_intake import stored_media
from stores.clip_types import MediaError, MediaInfo, MediaLimits
from stores.clip_writer import encode_picture, filmstrip
from stores.feature_store import FeatureStore
from stores.media_rows import shorter_side
from stores.schema import CLIPS, QUARANTINE, TableSpec, content_id

TRAIN, TEST = "train", "test"
SCORED_SIDE = 128  # quality is scored at one size, so that thresholds mean the same for every source
BATCH_ROWS, BATCH_BYTES = 64, 1 << 26
Examined: TypeAlias = tuple[dict[str, Any] | None, list[Rejection]]


@dataclass(frozen=True)
class IngestResult:
    """How many items were accepted and turned away."""

    ids: tuple[str, ...]
    rejected: int


def ingest(items: Iterable[RawItem], store: FeatureStore, params: FeaturesParams, limits: MediaLimits) -> IngestResult:
    """Write every item to `clips` or to `quarantine`; nothing is dropped in silence.

    Of two items with one address, and of near-duplicates, the first is accepted.
    """
    accepted, rejected = _Batch(store, CLIPS), _Batch(store, QUARANTINE)
    addresses: Counter[str] = Counter()
    seen = Seen(params.quality)
    turned_away = 0
    for item in items:
        addresses[item.uri] += 1
        taken = addresses[item.uri] > 1
        if taken:
            found: Examined = (None, [Rejection("another item has this address", item.uri)])
            item = replace(item, uri=f"{item.uri} ({addresses[item.uri]})")
        else:
            found = _unlike(examine(item, params, limits), seen)
        row, rejections = found
        if row is None:
            turned_away += 1
            rejected.add([_rejected(item, rejection) for rejection in rejections])
        else:
            seen.add(item.uri, row["dhash"], row["split"])
            accepted.add([row])
    # What was repaired since leaves the quarantine: its size is part of the receipt.
    for batch in (accepted, rejected):
        batch.close()
    return IngestResult(tuple(accepted.ids), turned_away)


class _Batch:
    """Rows of one table on their way into it: each write is a new version, so they are written many at a time."""

    def __init__(self, store: FeatureStore, spec: TableSpec) -> None:
        self._store, self._spec = store, spec
        self._rows: list[dict[str, Any]] = []
        self.ids: list[str] = []

    def add(self, rows: list[dict[str, Any]]) -> None:
        self._rows += rows
        self.ids += [row["id"] for row in rows]
        if len(self._rows) >= BATCH_ROWS or sum(len(row.get("media") or b"") for row in self._rows) >= BATCH_BYTES:
            self._write()

    def close(self) -> None:
        """Write what is left, and delete what is not among the rows of this run."""
        self._write()
        self._store.retain(self._spec, self.ids)

    def _write(self) -> None:
        # An id is the file and its caption: scores and the split may have changed since.
        self._store.upsert(self._spec, self._rows, replace=True)
        self._rows = []


def examine(item: RawItem, params: FeaturesParams, limits: MediaLimits) -> Examined:
    """The row of an item, or None and why not."""
    if item.media is None:
        return None, [Rejection(item.problem or "file is missing", item.uri)]
    if printable(item.caption) != item.caption:
        return None, [Rejection("caption is not Unicode", printable(item.caption))]
    try:
        info = probe(item.media, limits, name=item.uri)
        side, aspect = min(info.height, info.width), max(info.height, info.width) / min(info.height, info.width)
        if aspect > params.quality.max_aspect:  # before a strip of one pixel is scaled to the size of the scores
            return None, [Rejection(f"aspect ratio above {params.quality.max_aspect}", f"{aspect:.2f}")]
        _check_mask(item, info, limits)
        media = stored_media(item.media, limits, item.uri)
        info = probe(media, limits, name=item.uri)
        frames = stream_frames(media, limits, size=shorter_side(info.height, info.width, SCORED_SIDE), name=item.uri)
        kept, quality = watch(frames, max(1, info.frames // 32))
    except MediaError as error:
        return None, [Rejection("unreadable media", printable(str(error)))]
    seconds = float("inf") if info.kind == "picture" else info.seconds
    rejections = judge(quality, side, seconds, item.caption, params.quality)
    if rejections:
        return None, rejections
    return _row(item, media, info, kept, params.split) | vars(quality), []


def _unlike(found: Examined, seen: Seen) -> Examined:
    """What was found of an item, unless it looks like another that was accepted."""
    row = found[0]
    twin = None if row is None else seen.twin(row["dhash"], row["split"])
    return (None, [twin]) if twin else found


def _check_mask(item: RawItem, info: MediaInfo, limits: MediaLimits) -> None:
    if item.mask is None:
        return
    found = probe(item.mask, limits, name=f"{item.uri} (mask)")
    if (found.height, found.width) != (info.height, info.width):
        raise MediaError(
            f"{item.uri}: its mask is {found.width} x {found.height}, the picture {info.width} x {info.height}"
        )


def split_of(scene: str, params: SplitParams) -> str:
    """Train or test, by scene: clips of one scene never fall on both sides."""
    if scene in params.test_scenes:
        return TEST
    if scene in params.train_scenes:
        return TRAIN
    place = int.from_bytes(hashlib.sha256(scene.encode()).digest()[:4], "big") / 2**32
    return TEST if place < params.test_share else TRAIN


def _row(item: RawItem, media: bytes, info: MediaInfo, frames: np.ndarray, split: SplitParams) -> dict[str, Any]:
    assert item.media is not None
    return {
        "id": content_id("clip", item.media, item.caption),
        "kind": info.kind,
        "caption": item.caption,
        "scene": item.scene,
        "split": split_of(item.scene, split),
        "source_uri": item.uri,
        "source_sha256": hashlib.sha256(item.media).hexdigest(),
        "licence": item.licence,
        "author": item.author,
        "frames": info.frames,
        "height": info.height,
        "width": info.width,
        "fps": float(info.fps),
        "media": media,
        "mask": item.mask,
        "preview": encode_picture(filmstrip(frames, 4 if len(frames) > 1 else 1, 64)),
    }


def _rejected(item: RawItem, rejection: Rejection) -> dict[str, Any]:
    return {
        "id": content_id("quarantine", item.uri, rejection.reason, rejection.value),
        "origin": "ingest",
        "table": CLIPS.name,
        "row": item.uri,
        "reason": rejection.reason,
        "value": rejection.value[:500],
    }
