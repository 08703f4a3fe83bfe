"""Read a manifest: many clips and their instructions, as CSV, JSONL, a JSON list or Parquet.

A bad row is a problem of its own and never stops the others; a bad table is an error.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from inference.params import EditError, Overrides, checked_instruction

CLIP_COLUMNS = ("video", "clip", "src_video", "source", "input", "image")
INSTRUCTION_COLUMNS = ("instruction", "prompt", "edit", "edit_prompt")
WHOLE_NUMBERS = ("seed", "num_inference_steps")
NUMBERS = (*WHOLE_NUMBERS, "guidance_scale", "video_guidance_scale")
OTHER_COLUMNS = ("id", "task", "output", *NUMBERS)
EXTRA = "\0extra"  # fields beyond the header of a CSV row
BROKEN = "\0broken"  # the reason why a line is no row


class ManifestError(ValueError):
    """A manifest that cannot be read as a whole; the message names the file and the cure."""


@dataclass(frozen=True)
class ManifestRow:
    """One edit asked for. `number` counts from 1, the header left out; `output` is None for the default name."""

    number: int
    name: str
    clip: Path
    instruction: str
    overrides: Overrides
    output: Path | None


@dataclass(frozen=True)
class RowProblem:
    """A row that cannot be answered, with what it says and why not."""

    number: int
    name: str
    clip: str
    instruction: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest in its order, its problems, and the columns that nothing reads."""

    rows: tuple[ManifestRow, ...]
    problems: tuple[RowProblem, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    clip: str
    instruction: str


def read_manifest(path: Path) -> Manifest:
    """The rows and problems of a manifest; relative paths are taken from its folder.

    Raises:
        ManifestError: no such file, not readable as its suffix says, no clip or instruction column, two columns for
            one of them, no rows, or an id given twice.
    """
    if not path.is_file():
        raise ManifestError(f"{path}: no such file")
    found = [normalised(row) for row in raw_rows(path)]
    if not found:
        raise ManifestError(f"{path}: no rows")
    names = list(dict.fromkeys(name for row in found for name in row if name not in (EXTRA, BROKEN)))
    columns = _Columns(
        _one_of(CLIP_COLUMNS, names, path, "clip"), _one_of(INSTRUCTION_COLUMNS, names, path, "instruction")
    )
    _check_ids(found, path)
    answers = [_row_or_problem(number, row, columns, path.resolve().parent) for number, row in enumerate(found, 1)]
    answers = _without_clashes(answers)
    read = {columns.clip, columns.instruction, *OTHER_COLUMNS}
    return Manifest(
        rows=tuple(answer for answer in answers if isinstance(answer, ManifestRow)),
        problems=tuple(answer for answer in answers if isinstance(answer, RowProblem)),
        ignored=tuple(name for name in names if name not in read),
    )


def raw_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a table as its format gives them; lines that are none have the key `BROKEN`.

    Raises:
        ManifestError: an unknown suffix, or the file is not what its suffix says.
    """
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ManifestError(f"{path}: a manifest is one of {', '.join(readers)}")
    try:
        yield from reader(path)
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text") from error
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, ManifestError):
            raise
        raise ManifestError(f"{path}: not readable as {path.suffix[1:]}: {error}") from error


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    # Spreadsheets write a byte-order mark, which would become part of the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, restkey=EXTRA, delimiter=delimiter):
            yield row | {EXTRA: "".join(row.get(EXTRA) or ())}  # spreadsheets also write empty fields at the end


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            yield _json_row(line)


def _json_row(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        return {BROKEN: f"not JSON: {error}"}
    return row if isinstance(row, dict) else {BROKEN: "not a JSON object"}


def _json(path: Path) -> Iterator[Mapping[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list):
        raise ManifestError(f"{path}: expected a JSON list of rows")
    for row in rows:
        yield row if isinstance(row, dict) else {BROKEN: "not a JSON object"}


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    for row in pd.read_parquet(path).to_dict(orient="records"):
        yield {str(name): value for name, value in row.items()}


def normalised(row: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case, values as text; empty and missing ones left out."""
    return {name.strip().lower(): text for name, value in row.items() if name and (text := _text(value))}


def _text(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # Parquet and JSON turn whole numbers beside gaps into floats
    return str(value).strip()


def _one_of(known: tuple[str, ...], names: list[str], path: Path, what: str) -> str:
    found = [name for name in names if name in known]
    if not found:
        have = ", ".join(names) or "none"
        raise ManifestError(f"{path}: no {what} column; name one {' or '.join(known)} (columns found: {have})")
    if len(found) > 1:
        raise ManifestError(f"{path}: columns {' and '.join(found)} both name the {what}; keep one")
    return found[0]


def _check_ids(rows: list[dict[str, str]], path: Path) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        name = row.get("id")
        if name is not None and name in seen:
            raise ManifestError(f"{path}: rows {seen[name]} and {number} have the same id {name!r}")
        if name is not None:
            seen[name] = number


def _row_or_problem(number: int, row: dict[str, str], columns: _Columns, folder: Path) -> ManifestRow | RowProblem:
    clip, instruction = row.get(columns.clip, ""), row.get(columns.instruction, "")
    name = row.get("id", str(number))
    try:
        if BROKEN in row:
            raise EditError(row[BROKEN])
        if EXTRA in row:
            raise EditError("more fields than the header has: put instructions that contain commas in quotes")
        return ManifestRow(
            number=number,
            name=name,
            clip=_existing(clip, folder),
            instruction=checked_instruction(instruction),
            overrides=_overrides(row),
            output=folder / row["output"] if "output" in row else None,
        )
    except EditError as error:
        return RowProblem(number, name, clip, instruction, str(error))


def _without_clashes(answers: list[ManifestRow | RowProblem]) -> list[ManifestRow | RowProblem]:
    """Refuse outputs that would overwrite another row's output, or any row's clip."""
    clips = {answer.clip: answer.number for answer in reversed(answers) if isinstance(answer, ManifestRow)}
    taken: dict[Path, int] = {}
    kept: list[ManifestRow | RowProblem] = []
    for answer in answers:
        output = answer.output.resolve() if isinstance(answer, ManifestRow) and answer.output else None
        owner = None if output is None else taken.get(output, clips.get(output))
        if owner is not None and isinstance(answer, ManifestRow):
            reason = f"output: {output} is the clip or the output of row {owner}"
            kept.append(RowProblem(answer.number, answer.name, str(answer.clip), answer.instruction, reason))
            continue
        if output is not None:
            taken[output] = answer.number
        kept.append(answer)
    return kept


def _existing(clip: str, folder: Path) -> Path:
    if not clip:
        raise EditError("no clip named")
    if "://" in clip:
        raise EditError(f"{clip}: an address, not a file; download it first")
    try:
        path = (folder / clip).resolve()  # an absolute path stays what it is
        exists, is_file = path.exists(), path.is_file()
    except (OSError, ValueError) as error:
        raise EditError(f"{clip[:80]!r}: not a usable path") from error
    if not is_file:
        raise EditError(f"{path}: {'not a regular file' if exists else 'no such file'}")
    return path


def _overrides(row: dict[str, str]) -> Overrides:
    values = {name: _number(name, row[name]) for name in NUMBERS if name in row}
    return Overrides.checked(**values, task=row.get("task"))


def _number(name: str, text: str) -> int | float:
    whole = name in WHOLE_NUMBERS
    try:
        # Tables with gaps write whole numbers as 3.0; a seed may be too large to go through a float.
        return int(text.removesuffix(".0")) if whole else float(text)
    except ValueError as error:
        raise EditError(f"{name}: {text!r} is not a {'whole ' if whole else ''}number") from error
