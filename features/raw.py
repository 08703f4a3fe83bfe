"""Read raw material: a Parquet of pictures in the Hugging Face image layout, a folder of clips, named cut-outs."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from features.listings import Line, RawDataError, media_of, printable, read_below, read_listing, text_of

PICTURES = "photos/photos.parquet"
CLIPS = "clips/metadata.jsonl"
CUTOUTS = "cutouts/cutouts.parquet"


@dataclass(frozen=True)
class RawItem:
    """One picture or clip as it was found; `media` is None if its file cannot be had, and `problem` says why."""

    uri: str
    media: bytes | None
    caption: str
    scene: str
    licence: str
    author: str
    mask: bytes | None = None
    problem: str = ""


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
    for line in read_listing(path):
        if not {"id", "image"} <= line.cells.keys():
            raise RawDataError(f"{path}: needs the columns id and image; there are: {', '.join(line.cells)}")
        yield _picture(path, line.cells)


def _picture(path: Path, row: Mapping[str, Any]) -> RawItem:
    image, mask = media_of(row["image"], path.parent), row.get("mask")
    return RawItem(
        uri=printable(f"{path.parent.name}/{path.name}#{row['id']}"),
        media=image.data,
        caption=text_of(row, ("caption",)),
        scene=printable(text_of(row, ("source",)) or str(row["id"])),
        licence=printable(text_of(row, ("licence",))),
        author=printable(text_of(row, ("author",))),
        mask=mask["bytes"] if mask else None,
        problem=image.problem,
    )


def _clips(path: Path) -> Iterator[RawItem]:
    if path.is_file():
        yield from (_clip(path, line) for line in read_listing(path))


def _clip(path: Path, line: Line) -> RawItem:
    name, problem = line.cells.get("file_name"), line.problem
    if not isinstance(name, str) or not name:
        problem = problem or "line has no file_name"
        name = f"{path.name}:{line.number}"
    media = read_below(path.parent, name)
    return RawItem(
        uri=printable(f"{path.parent.name}/{name}"),
        media=None if problem else media.data,
        caption=text_of(line.cells, ("caption",)),
        scene=printable(text_of(line.cells, ("source",)) or name),
        licence=printable(text_of(line.cells, ("licence",))),
        author=printable(text_of(line.cells, ("author",))),
        problem=problem or media.problem,
    )


def _trimmed(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["WEBP", "PNG"]) as image:
        picture = np.asarray(image.convert("RGBA"))
    rows, columns = (np.flatnonzero((picture[..., 3] > 8).any(axis=axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
