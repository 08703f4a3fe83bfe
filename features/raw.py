"""Read raw material: a Parquet of pictures in the Hugging Face image layout, a folder of clips, named cut-outs."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

PICTURES = "photos/photos.parquet"
CLIPS = "clips/metadata.jsonl"
CUTOUTS = "cutouts/cutouts.parquet"


class RawDataError(ValueError):
    """Raw data that cannot be read at all; the message names the file and the cure."""


@dataclass(frozen=True)
class RawItem:
    """One picture or clip as it was found; `media` is None if its file is missing."""

    uri: str
    media: bytes | None
    caption: str
    scene: str
    licence: str
    author: str
    mask: bytes | None = None


def read_raw(folder: Path) -> Iterator[RawItem]:
    """Everything under a data folder: pictures first, then clips.

    Raises:
        RawDataError: the folder holds neither.
    """
    if not (folder / PICTURES).is_file() and not (folder / CLIPS).is_file():
        raise RawDataError(f"{folder}: neither {PICTURES} nor {CLIPS} is there; run `dvc pull`, or add your own")
    yield from _pictures(folder / PICTURES)
    yield from _clips(folder / CLIPS)


def read_cutouts(folder: Path, nouns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named objects [h w 4] uint8, trimmed to their visible box.

    Raises:
        RawDataError: the file or a noun is missing.
    """
    path = folder / CUTOUTS
    if not path.is_file():
        raise RawDataError(f"{path}: no cut-outs; run `dvc pull`")
    rows = pq.read_table(path, columns=["name", "image"], filters=[("name", "in", list(nouns))]).to_pylist()
    found = {row["name"]: _trimmed(row["image"]["bytes"]) for row in rows}
    missing = sorted(set(nouns) - set(found))
    if missing:
        raise RawDataError(f"{path}: no cut-out named {', '.join(missing)}")
    return found


def _pictures(path: Path) -> Iterator[RawItem]:
    if not path.is_file():
        return
    for row in pq.read_table(path).to_pylist():
        image, mask = row["image"], row.get("mask")
        yield RawItem(
            uri=f"{path.parent.name}/{path.name}#{row['id']}",
            media=image["bytes"] if image else None,
            caption=row.get("caption") or "",
            scene=row.get("source") or row["id"],
            licence=row.get("licence") or "",
            author=row.get("author") or "",
            mask=mask["bytes"] if mask else None,
        )


def _clips(path: Path) -> Iterator[RawItem]:
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            yield _clip(path, number, line)


def _clip(path: Path, number: int, line: str) -> RawItem:
    try:
        row: dict[str, Any] = json.loads(line)
        file = (path.parent / row["file_name"]).resolve()
    except (ValueError, KeyError, TypeError) as error:
        raise RawDataError(f"{path}, line {number}: not a JSON object with file_name ({error})") from error
    name = row["file_name"]
    inside = path.parent.resolve() in file.parents
    return RawItem(
        uri=f"{path.parent.name}/{name}",
        media=file.read_bytes() if inside and file.is_file() else None,
        caption=str(row.get("caption") or ""),
        scene=str(row.get("source") or name),
        licence=row.get("licence") or "",
        author=row.get("author") or "",
    )


def _trimmed(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["WEBP", "PNG"]) as image:
        picture = np.asarray(image.convert("RGBA"))
    rows, columns = (np.flatnonzero((picture[..., 3] > 8).any(axis=axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
