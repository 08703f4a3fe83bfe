"""Ingest: raw files to rows of the `clips` table, each accepted, or quarantined with its reasons."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.params import FeaturesParams, SplitParams
from features.quality import Rejection, judge, score
from features.raw import RawItem
from stores.clip_files import probe, read_clip
from stores.clip_types import MediaError, MediaInfo, MediaLimits
from stores.clip_writer import encode_picture, filmstrip
from stores.feature_store import FeatureStore
from stores.media_rows import shorter_side
from stores.schema import CLIPS, QUARANTINE, content_id

TRAIN, TEST = "train", "test"
SCORED_SIDE = 128  # quality is scored at one size, so that thresholds mean the same for every source


@dataclass(frozen=True)
class IngestResult:
    """How many items were accepted and turned away."""

    ids: tuple[str, ...]
    rejected: int


def ingest(items: Iterable[RawItem], store: FeatureStore, params: FeaturesParams, limits: MediaLimits) -> IngestResult:
    """Write every item to `clips` or to `quarantine`; nothing is dropped in silence. Duplicates count once."""
    ids: list[str] = []
    rejected = 0
    quarantined: list[str] = []
    for item in items:
        row, rejections = examine(item, params, limits)
        if row is not None and row["id"] in ids:
            rejections, row = [Rejection("duplicate of another item", row["id"])], None
        if row is None:
            rejected += 1
            reasons = [_rejected(item, rejection) for rejection in rejections]
            store.quarantine(reasons)
            quarantined += [reason["id"] for reason in reasons]
        else:
            store.upsert(CLIPS, [row])
            ids.append(row["id"])
    store.retain(CLIPS, ids)
    # What was repaired since leaves the quarantine: its size is part of the receipt.
    store.retain(QUARANTINE, quarantined)
    return IngestResult(tuple(ids), rejected)


def examine(
    item: RawItem, params: FeaturesParams, limits: MediaLimits
) -> tuple[dict[str, Any] | None, list[Rejection]]:
    """The row of an item, or None and why not."""
    if item.media is None:
        return None, [Rejection("file is missing or outside its folder", item.uri)]
    try:
        info = probe(item.media, limits, name=item.uri)
        size = shorter_side(info.height, info.width, SCORED_SIDE)
        stride = max(1, info.frames // 32)
        frames = read_clip(item.media, limits, stride=stride, size=size, name=item.uri).frames
    except MediaError as error:
        return None, [Rejection("unreadable media", str(error))]
    quality = score(frames)
    seconds = float("inf") if info.kind == "picture" else info.seconds
    rejections = judge(quality, min(info.height, info.width), seconds, item.caption, params.quality)
    if rejections:
        return None, rejections
    return _row(item, info, frames, params.split) | vars(quality), []


def split_of(scene: str, params: SplitParams) -> str:
    """Train or test, by scene: clips of one scene never fall on both sides."""
    if scene in params.test_scenes:
        return TEST
    if scene in params.train_scenes:
        return TRAIN
    place = int.from_bytes(hashlib.sha256(scene.encode()).digest()[:4], "big") / 2**32
    return TEST if place < params.test_share else TRAIN


def _row(item: RawItem, info: MediaInfo, frames: np.ndarray, split: SplitParams) -> dict[str, Any]:
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
        "media": item.media,
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
