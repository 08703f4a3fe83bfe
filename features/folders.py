"""A user's own folder of clips and pictures: listed in a metadata file, or each with a text file beside it."""

from collections.abc import Iterator
from pathlib import Path

from features.listings import Line, RawDataError, first_of, media_of, printable, read_below, read_listing, text_of
from features.raw import RawItem

LISTINGS = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
FILES = ("file_name", "video", "image")
CAPTIONS = ("caption", "text", "prompt")
SCENES = ("scene", "source")


def read_folder(folder: Path, name: str) -> Iterator[RawItem]:
    """Everything a folder offers; `name` is what the folder is called in addresses and scenes.

    Raises:
        RawDataError: no such folder, nothing in it, several listings, or one that cannot be read.
    """
    if not folder.is_dir():
        raise RawDataError(f"{folder}: no such folder; correct features.sources")
    listings = [folder / listing for listing in LISTINGS if (folder / listing).is_file()]
    if len(listings) > 1:
        raise RawDataError(f"{folder}: several listings: {', '.join(path.name for path in listings)}; keep one")
    yield from _listed(listings[0], name) if listings else _side_by_side(folder, name)


def _listed(path: Path, name: str) -> Iterator[RawItem]:
    number = 0
    for line in read_listing(path):
        number += 1
        if not line.problem and not any(column in line.cells for column in FILES):
            found = ", ".join(map(str, line.cells)) or "none"
            line = Line(line.number, {}, f"no column {' or '.join(FILES)}; there are: {found}")
        yield _item(line, path, name)
    if not number:
        raise RawDataError(f"{path}: lists nothing")


def _item(line: Line, path: Path, name: str) -> RawItem:
    cell = first_of(line.cells, FILES)
    media = media_of(cell, path.parent)
    file = cell if isinstance(cell, str) and cell else f"{path.name}:{line.number}"
    return RawItem(
        uri=printable(f"{name}/{file}"),
        media=None if line.problem else media.data,
        caption=text_of(line.cells, CAPTIONS),
        scene=printable(text_of(line.cells, SCENES) or f"{name}/{file}"),
        licence=printable(text_of(line.cells, ("licence", "license"))),
        author=printable(text_of(line.cells, ("author",))),
        problem=line.problem or media.problem,
    )


def _side_by_side(folder: Path, name: str) -> Iterator[RawItem]:
    """Each file with the text beside it as its caption; a text without a file is an item that misses one."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    if not files:
        raise RawDataError(f"{folder}: empty; it needs {', '.join(LISTINGS)}, or clips with texts beside them")
    captioned = {file.with_suffix("") for file in files if file.suffix != ".txt"}
    for file in files:
        if file.suffix != ".txt":
            yield _captioned(folder, file, name)
        elif file.with_suffix("") not in captioned:
            yield _lonely(file, name)


def _captioned(folder: Path, file: Path, name: str) -> RawItem:
    media = read_below(folder, str(file))
    text = read_below(folder, str(file.with_suffix(".txt")))
    problem = media.problem
    try:
        caption = (text.data or b"").decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        caption, problem = "", problem or "caption is not UTF-8"
    uri = printable(f"{name}/{file.as_posix()}")
    return RawItem(uri, None if problem else media.data, caption, uri, "", "", problem=problem)


def _lonely(file: Path, name: str) -> RawItem:
    uri = printable(f"{name}/{file.as_posix()}")
    return RawItem(uri, None, "", uri, "", "", problem="caption without a clip or picture")
