"""A user's own tables of edit triples: rows of source, target and instruction as they were found, for stage one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from features.listings import Line, RawDataError, first_of, media_of, printable, read_listing, text_of

# The plain names come last: beside a column of another name they tell something else, where the row is from, say.
SOURCES = (
    "src_video", "original_image", "input_image", "source_image", "source_img", "src_img", "source_video_path",
    "source_path", "source",
)  # fmt: skip
TARGETS = (
    "tgt_video", "edited_image", "target_image", "target_img", "edited_img", "target_video_path", "edited_path",
    "output_image", "target",
)  # fmt: skip
INSTRUCTIONS = ("instruction", "edit_prompt", "edit", "prompt")
SOURCE_CAPTIONS = ("source_caption", "src_caption", "original_prompt", "input")
TARGET_CAPTIONS = ("target_caption", "tgt_caption", "edited_prompt", "output")
SCENES = ("scene", "img_id")
NEEDED = {"source": SOURCES, "target": TARGETS, "instruction": INSTRUCTIONS}


@dataclass(frozen=True)
class RawTriple:
    """One row as it was found: bytes of two files, and what is said of them; `problem` is why it cannot be used.

    What the table leaves out is empty. `source_uri` and `target_uri` say where the bytes came from, and do not change
    with the order of the rows; `address` is the row.
    """

    address: str
    source: bytes
    target: bytes
    source_uri: str
    target_uri: str
    instruction: str
    task: str
    scene: str
    split: str
    source_caption: str
    target_caption: str
    licence: str
    author: str
    problem: str = ""


def read_triples(path: Path, name: str) -> Iterator[RawTriple]:
    """Every row of a table in JSONL, CSV or Parquet; `name` is what the table is called in addresses.

    Raises:
        RawDataError: no such table, nothing in it, a needed column is missing, or it cannot be read as a whole.
    """
    if not path.is_file():
        raise RawDataError(f"{path}: no such table of triples; correct features.sources.triples")
    number = 0
    for line in read_listing(path):
        number += 1
        lacking = "" if line.problem else _lacking(line.cells)
        # Lines of JSONL have columns of their own; the others have those of the whole table.
        if lacking and path.suffix.lower() != ".jsonl":
            raise RawDataError(f"{path}: {lacking}")
        yield _triple(Line(line.number, {}, lacking) if lacking else line, path.parent, name)
    if not number:
        raise RawDataError(f"{path}: lists nothing")


def _lacking(cells: Mapping[str, Any]) -> str:
    """Which needed column a row lacks, if any."""
    for what, names in NEEDED.items():
        if not any(name in cells for name in names):
            found = printable(", ".join(map(str, cells))) or "none"
            return f"no column for the {what} ({', '.join(names)}); there are: {found}"
    return ""


def _triple(line: Line, folder: Path, name: str) -> RawTriple:
    cells = line.cells
    source, target = first_of(cells, SOURCES), first_of(cells, TARGETS)
    before, after = media_of(source, folder), media_of(target, folder)
    told = first_of(cells, INSTRUCTIONS)
    problems = [
        line.problem,
        f"source: {before.problem}" if before.problem else "",
        f"target: {after.problem}" if after.problem else "",
        "" if told is None or isinstance(told, str) else "instruction is not text",
    ]
    return RawTriple(
        address=printable(f"{name}:{line.number}"),
        source=before.data or b"",
        target=after.data or b"",
        source_uri=_uri(source, name),
        target_uri=_uri(target, name),
        instruction=told.strip() if isinstance(told, str) else "",
        task=printable(text_of(cells, ("task",)).strip().lower()),
        scene=printable(text_of(cells, SCENES)),
        split=printable(text_of(cells, ("split",)).strip().lower()),
        source_caption=_caption(cells, SOURCE_CAPTIONS),
        target_caption=_caption(cells, TARGET_CAPTIONS),
        licence=printable(text_of(cells, ("licence", "license"))),
        author=printable(text_of(cells, ("author",))),
        problem=next(filter(None, problems), ""),
    )


def _caption(cells: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """A column of this name may hold something else than text, a picture say."""
    return next((printable(cells[name]) for name in names if isinstance(cells.get(name), str)), "")


def _uri(cell: Any, name: str) -> str:
    """The file a cell names, beside the table; or the table itself, with the name that embedded bytes go by."""
    if isinstance(cell, str):
        return printable(str(PurePosixPath(name).parent / cell))
    within = cell.get("path") if isinstance(cell, Mapping) else None
    return printable(f"{name}#{within}" if isinstance(within, str) else name)
