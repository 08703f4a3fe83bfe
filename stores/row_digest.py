"""The digest of a row: rows of different content are never the same bytes to the hash, whatever their cells hold."""

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any


def row_digest(cells: Mapping[str, Any]) -> str:
    """sha256 over the cells in the order of their names, each with its type and length.

    Lists and tuples are alike, as a table stores them alike; so are all NaNs. An int is not a float, also where the
    column makes it one.

    Raises:
        TypeError: a cell is of a type that no table stores.
    """
    total = hashlib.sha256()
    for name in sorted(cells):
        _feed(total, name)
        _feed(total, cells[name])
    return total.hexdigest()


def _feed(total: Any, value: Any) -> None:
    """Type, length and content. No value's bytes are the beginning of another's, so what follows cannot be confused."""
    if value is None:
        total.update(b"N")
    elif isinstance(value, bool):  # before int, of which it is one
        total.update(b"T" if value else b"F")
    elif isinstance(value, int):
        _feed_framed(total, b"i", str(int(value)).encode())
    elif isinstance(value, float):
        total.update(b"f" + struct.pack(">d", math.nan if math.isnan(value) else value))
    elif isinstance(value, str):
        _feed_framed(total, b"s", value.encode())
    elif isinstance(value, bytes):
        _feed_framed(total, b"b", value)
    elif isinstance(value, Sequence):
        total.update(b"l%d:" % len(value))
        for item in value:
            _feed(total, item)
    else:
        raise TypeError(f"a cell of type {type(value).__name__} cannot be stored in a table")


def _feed_framed(total: Any, tag: bytes, data: bytes) -> None:
    total.update(tag + b"%d:" % len(data))
    total.update(data)
