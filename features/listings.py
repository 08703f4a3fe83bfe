"""Listings of a user's own material: rows of a JSONL, CSV or Parquet file, and the files or bytes that a cell names.

A row that cannot be read is given with its problem, for the quarantine; only a listing that cannot be read at all is
an error.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 64  # of a Parquet file, whose pictures may be large


class RawDataError(ValueError):
    """Raw data that cannot be read at all; the message names the file and the cure."""


@dataclass(frozen=True)
class Line:
    """A row of a listing: its number, from 1, and its cells; or why it cannot be read."""

    number: int
    cells: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Media:
    """Bytes of a file as it was found, or why there are none."""

    data: bytes | None
    problem: str = ""


def read_listing(path: Path) -> Iterator[Line]:
    """Every row of a listing, in its order; blank lines of JSONL are no rows.

    Raises:
        RawDataError: another suffix, or the file as a whole cannot be read.
    """
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise RawDataError(f"{path}: a listing is one of {', '.join(readers)}")
    try:
        yield from reader(path)
    except (OSError, csv.Error, UnicodeDecodeError, pa.ArrowException) as error:
        raise RawDataError(f"{path}: cannot be read as {path.suffix[1:].upper()}: {error}") from error


def first_of(cells: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these columns that is there and not null."""
    return next((cells[name] for name in names if cells.get(name) is not None), None)


def text_of(cells: Mapping[str, Any], names: Sequence[str]) -> str:
    """The text of the first of these columns, empty if none is there; other values as they are printed."""
    found = first_of(cells, names)
    return "" if found is None else str(found)


def printable(text: str) -> str:
    """Text that can be stored: what is no Unicode, in a file's name say, is written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def media_of(cell: Any, folder: Path) -> Media:
    """What a cell stands for: a path below the folder, or bytes, also as the struct {bytes, path} of Hugging Face."""
    if isinstance(cell, Mapping):
        if isinstance(cell.get("bytes"), bytes):
            return Media(cell["bytes"])
        cell = cell.get("path")
    if isinstance(cell, bytes):
        return Media(cell)
    if not isinstance(cell, str) or not cell:
        return Media(None, "names no file")
    return read_below(folder, cell)


def read_below(folder: Path, name: str) -> Media:
    """The bytes of a file, unless its name or a link leads outside the folder."""
    if printable(name) != name:
        return Media(None, "file name is not UTF-8")
    try:
        file = (folder / name).resolve()
        if folder.resolve() not in file.parents:
            return Media(None, "path leads outside its folder")
        return Media(file.read_bytes()) if file.is_file() else Media(None, "file is missing")
    except (OSError, ValueError, RuntimeError) as error:
        return Media(None, f"file cannot be read: {getattr(error, 'strerror', None) or error}")


def _jsonl(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json_line(number, line.removeprefix(b"\xef\xbb\xbf"))


def _json_line(number: int, line: bytes) -> Line:
    try:
        cells = json.loads(line.decode())
    except UnicodeDecodeError:
        return Line(number, {}, "line is not UTF-8")
    except (ValueError, RecursionError) as error:
        return Line(number, {}, f"line is not JSON: {error}")
    return Line(number, cells) if isinstance(cells, dict) else Line(number, {}, "line is not a JSON object")


def _csv(path: Path) -> Iterator[Line]:
    # By lines as the file has them: a quoted cell may hold a line break.
    with io.TextIOWrapper(path.open("rb"), encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not rows.fieldnames:
            raise RawDataError(f"{path}: no header")
        for number, row in enumerate(rows, start=1):
            surplus, short = None in row, None in row.values()
            problem = "row has more cells than the header" if surplus else "row has too few cells" if short else ""
            yield Line(number, {} if problem else dict(row), problem)


def _parquet(path: Path) -> Iterator[Line]:
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for cells in batch.to_pylist():
                number += 1
                yield Line(number, cells)
