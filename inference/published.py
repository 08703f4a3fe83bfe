"""Reads published benchmarks of instruction editing in their own layouts, as rows to edit and to score.

TGVE+ (Movie Gen Edit, section 5.2.1; EVE) is a table of text beside the videos of TGVE; the test set of Emu Edit has
its pictures in the table. The column names of TGVE+ are documented in words only, so several spellings are known.
A bad row is a problem of its own; a bad table is an error.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from inference.manifest import BROKEN, EXTRA, ManifestError, RowProblem, normalised, raw_rows
from inference.params import EditError, checked_instruction
from stores.clip_files import picture_format

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")
TABLES = (".parquet", ".csv", ".jsonl", ".json")
PICTURE_ROWS = 32  # read at a time: a table of pictures may not fit memory
CAPTIONS: Mapping[str, tuple[str, ...]] = {
    "instruction": ("instruction", "edit_instruction", "edit_prompt", "prompt"),
    "caption": ("input_caption", "original_caption", "source_caption", "caption", "our_gt_caption"),
    "edited_caption": ("output_caption", "target_caption", "edited_caption", "edit_caption"),
    "task": ("task", "edit_type", "task_type", "category", "type"),
}
CLIP = ("video", "video_path", "video_name", "path", "file_name", "filename", "relative_path", "video_relative_path")


@dataclass(frozen=True)
class PublishedRow:
    """An edit that a benchmark asks for; `task` is its own word for it."""

    name: str
    clip: Path
    instruction: str
    caption: str
    edited_caption: str
    task: str


@dataclass(frozen=True)
class Published:
    """The rows of a benchmark in its order, and those that cannot be used."""

    rows: tuple[PublishedRow, ...]
    problems: tuple[RowProblem, ...]


def read_tgve(table: Path, media: Path) -> Published:
    """TGVE+: `table` is its file or a folder of them, `media` the unpacked archive of TGVE.

    A video is found by its path, by its path with a suffix, or by its name anywhere below `media`: the archive has
    every clip as frames and as a video.

    Raises:
        ManifestError: nothing to read, or a column is missing; the message names those that were found.
    """
    if not media.is_dir():
        raise ManifestError(f"{media}: no such folder; unpack the videos of TGVE there")
    videos: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(media.rglob("*")):
        if path.suffix.lower() in VIDEOS:
            videos[path.stem].append(path)
    rows = [_spelled(row) for file in _tables(table, TABLES) for row in raw_rows(file)]
    columns = _columns({**CAPTIONS, "clip": CLIP}, rows, table)

    def video(number: int, row: Mapping[str, Any]) -> Path:
        return _video(row.get(columns["clip"], ""), media, videos)

    return _read(enumerate(rows, 1), columns, video)


def read_emu_edit(table: Path, pictures: Path, split: str = "test") -> Published:
    """The test set of Emu Edit: `table` is its parquet file or a folder of them; pictures are written to `pictures`.

    Rows of other splits are left out, where there is a column `split`.

    Raises:
        ManifestError: as `read_tgve`.
    """
    files = _tables(table, (".parquet",))
    names = [name for file in files for name in _schema(file)]
    columns = _columns({**CAPTIONS, "clip": ("image",)}, [dict.fromkeys(map(_plain, names), "")], table)
    pictures.mkdir(parents=True, exist_ok=True)
    told = (row for file in files for row in _with_pictures(file))
    rows = enumerate((row for row in told if row.get("split", split) == split), 1)
    return _read(rows, columns, lambda number, row: _picture(number, row["image"], pictures))


def _schema(file: Path) -> list[str]:
    try:
        return list(pq.read_schema(file).names)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{file}: not readable as parquet: {error}") from error


def _with_pictures(file: Path) -> Iterator[Mapping[str, Any]]:
    for batch in pq.ParquetFile(file).iter_batches(PICTURE_ROWS):
        for row in batch.to_pylist():
            picture = row.pop("image", None)  # as text it would be many times as large
            yield _spelled(row) | {"image": picture}


def write_manifest(published: Published, path: Path) -> Path:
    """The rows as a manifest that `moviegen-edit batch` reads."""
    lines = [
        json.dumps({"id": row.name, "clip": str(row.clip.resolve()), "instruction": row.instruction})
        for row in published.rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _read(
    rows: Iterator[tuple[int, Mapping[str, Any]]],
    columns: Mapping[str, str],
    clip_of: Callable[[int, Mapping[str, Any]], Path],
) -> Published:
    good, problems = [], []
    for number, row in rows:
        told = {role: str(row.get(column, "")) for role, column in columns.items() if role != "clip"}
        told["task"] = _plain(told["task"])
        name = f"{number:05d}-{told['task']}"
        try:
            if BROKEN in row:
                raise EditError(row[BROKEN])
            if EXTRA in row:
                raise EditError("more fields than the header has: put texts that contain commas in quotes")
            lacking = [columns[role] for role in ("caption", "edited_caption", "task") if not told[role]]
            if lacking:
                raise EditError(f"no {', no '.join(lacking)}")
            told["instruction"] = checked_instruction(told["instruction"])
            good.append(PublishedRow(name, clip_of(number, row), **told))
        except EditError as error:
            shown = row.get(columns["clip"], "")
            shown = shown if isinstance(shown, str) else "picture"
            problems.append(RowProblem(number, name, shown, told["instruction"], str(error)))
    if not good and not problems:
        raise ManifestError("no rows")
    return Published(tuple(good), tuple(problems))


def _tables(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The file itself, or of a folder all files of the first kind that it has any of: not its notes beside them."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    kinds = ([file for file in files if file.suffix.lower() == suffix] for suffix in suffixes)
    found: list[Path] = next((kind for kind in kinds if kind), [])
    if not found:
        raise ManifestError(f"{path}: no table ({', '.join(suffixes)}) there")
    return found


def _spelled(row: Mapping[str, Any]) -> dict[str, Any]:
    """Names in one spelling, values as text."""
    return {_plain(name): value for name, value in normalised(row).items()}


def _plain(name: str) -> str:
    return name if name in (BROKEN, EXTRA) else re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _columns(known: Mapping[str, tuple[str, ...]], rows: Sequence[Mapping[str, Any]], table: Path) -> dict[str, str]:
    """Which column plays which part: the first known spelling that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row if name not in (BROKEN, EXTRA)))
    chosen = {role: next((name for name in spelled if name in names), "") for role, spelled in known.items()}
    lacking = [f"{role} ({' or '.join(known[role])})" for role, name in chosen.items() if not name]
    if lacking:
        raise ManifestError(f"{table}: no column for {'; '.join(lacking)}. Columns found: {', '.join(names) or 'none'}")
    return chosen


def _video(named: str, media: Path, videos: Mapping[str, Sequence[Path]]) -> Path:
    if not named:
        raise EditError("no video named")
    root = media.resolve()
    for path in (root / named, *(root / f"{named}{suffix}" for suffix in VIDEOS)):
        if _is_file(path):
            if not path.resolve().is_relative_to(root):
                raise EditError(f"{named}: outside of {media}")
            return path
    last = Path(named).name
    found = videos.get(last) or videos.get(Path(last).stem) or ()
    if len(found) != 1:
        told = "no such video" if not found else f"{len(found)} videos of that name"
        raise EditError(f"{named}: {told} below {media}")
    return found[0]


def _is_file(path: Path) -> bool:
    """False too for what can be no name of a file."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _picture(number: int, value: Any, pictures: Path) -> Path:
    """A picture of a table as a file: bytes, or bytes beside a path as Hugging Face datasets keeps them."""
    data = value.get("bytes") if isinstance(value, Mapping) else value
    if not isinstance(data, bytes):
        raise EditError("no picture in the row")
    kind = picture_format(data)
    if kind is None:
        raise EditError("the picture of the row is of no known format")
    path = pictures / f"{number:05d}.{kind.lower()}"
    if not path.is_file() or path.read_bytes() != data:
        path.write_bytes(data)
    return path
