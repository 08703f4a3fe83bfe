"""Columns of a published table packed into one mapped file: rows at random as fast as memory gives them.

LanceDB plans every read anew, which for a batch of pictures takes longer than the bytes do. The copy is a file of
Arrow's own format, uncompressed, one for each machine; it is named by the digest of the table and may be deleted at any
time.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock

READ_AT_ONCE = 256  # rows


@dataclass(frozen=True)
class Cells:
    """The binary cells of a column, as stretches of the mapped file; a null ends before it begins."""

    whole: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    def __getitem__(self, place: int) -> np.ndarray | None:
        """The bytes of a cell, read-only and not copied."""
        begin, end = self.begins[place], self.ends[place]
        return None if end < begin else self.whole[begin:end]


@dataclass(frozen=True)
class ListCells:
    """The cells of a column of lists of binaries."""

    cells: Cells
    firsts: np.ndarray

    def __getitem__(self, place: int) -> tuple[np.ndarray | None, ...]:
        """The bytes of every item of a row."""
        return tuple(self.cells[item] for item in range(self.firsts[place], self.firsts[place + 1]))


class PackedRows:
    """A packed file, opened. Rows are named by their place in it."""

    def __init__(self, path: Path) -> None:
        mapped = pa.memory_map(str(path)).read_buffer()
        self._whole = np.frombuffer(mapped, np.uint8)
        self._table = pa.ipc.open_file(pa.BufferReader(mapped)).read_all()
        self._places = {key: place for place, key in enumerate(self._table["id"].to_pylist())}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def columns(self) -> list[str]:
        return list(self._table.column_names)

    def places(self, ids: Sequence[str]) -> list[int]:
        """Where these rows are, in this order, repeats included; KeyError if one is not there."""
        return [self._places[key] for key in ids]

    def values(self, column: str) -> list[Any]:
        """A column of small cells, by place."""
        found: list[Any] = self._table[column].to_pylist()
        return found

    def binaries(self, column: str) -> Cells:
        """A column of large binaries, by place."""
        return self._cells(self._table[column].chunks)

    def binary_lists(self, column: str) -> ListCells:
        """A column of lists of large binaries, by place."""
        chunks = self._table[column].chunks
        sizes = [np.diff(np.asarray(chunk.offsets)) for chunk in chunks]
        firsts = np.concatenate([np.zeros(1, np.int64), *sizes]).cumsum()
        return ListCells(self._cells([chunk.flatten() for chunk in chunks]), firsts)

    def _cells(self, chunks: Sequence[pa.Array]) -> Cells:
        begins, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        base = self._whole.ctypes.data
        for chunk in chunks:
            _, offsets, data = chunk.buffers()
            bounds = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            begin, end = (bounds + (data.address - base if data else 0) for bounds in (bounds[:-1], bounds[1:]))
            null = np.asarray(chunk.is_null())
            begins.append(begin)
            ends.append(np.where(null, begin - 1, end))
        return Cells(self._whole, np.concatenate(begins), np.concatenate(ends))


def open_packed(path: Path, columns: Sequence[str], rows: int, read: Callable[[], pa.RecordBatchReader]) -> PackedRows:
    """The packed file of these columns, written first from what `read` gives if it is missing, damaged or another.

    Processes of one machine share it: one writes, the others wait. Files of earlier contents of the table are removed,
    which takes nothing from a process that has one open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".packing.lock"):
        found = _opened(path)
        if found is None or len(found) != rows or found.columns() != list(columns):
            _write(path, read())
            found = PackedRows(path)
            for old in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*.arrow"):
                if old != path:
                    old.unlink()
    return found


def _opened(path: Path) -> PackedRows | None:
    try:
        return PackedRows(path)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None


def _write(path: Path, batches: pa.RecordBatchReader) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        with pa.ipc.new_file(file, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
