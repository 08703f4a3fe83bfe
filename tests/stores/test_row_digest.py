"""Rows of different content have different digests, in every process the same."""

import math
import os
import struct
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from stores.feature_store import FeatureStore
from stores.row_digest import row_digest
from stores.schema import EDIT_PAIRS

ROOT = Path(__file__).resolve().parent.parent.parent
# Values of which no two may be taken for one another.
DIFFERENT: tuple[Any, ...] = (
    None, b"null", "null", "None", b"N", "N", [], b"", "", [None], [[]], [b""], [""], [b"", b""], [[], []], [[[]]],
    0, 1, -1, 10, 2**70, True, False, "0", "1", "true", b"1", "1.0", b"i1:1", "i1:1", [0], [1, 1], [11], ["1", "1"],
    0.0, -0.0, 1.0, 0.1, 5e-324, math.inf, -math.inf, math.nan, "NaN", "nan", "Infinity", b"inf", [math.nan],
    [b"a|b"], [b"a", b"b"], [b"a", b"|b"], [b"a|", b"b"], b"|a|b", ["a|b"], ["a", "b"], [["a"], "b"], [["a", "b"]],
    ["a", ["b"]], [b"ab"], [b"a", b"b", b""], [b"", b"a", b"b"], "a", b"a", "s1:a", b"s1:a", "l1:a", b"1:a",
    "\u00e9", "e\u0301", b"\xc3\xa9", "\\u00e9", "\U0001f34e", "\x00", b"\x00", "a\x00", "\n", "x\ncaption=", '"a"',
    struct.pack(">d", 1.0), b"f" + struct.pack(">d", 1.0), b"l2:",
)  # fmt: skip


def test_no_two_values_are_taken_for_one_another() -> None:
    digests = [row_digest({"cell": value}) for value in DIFFERENT]
    same = [pair for pair in combinations(range(len(DIFFERENT)), 2) if digests[pair[0]] == digests[pair[1]]]
    assert not [(DIFFERENT[i], DIFFERENT[j]) for i, j in same]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": b"x", "b": b""}, {"a": b"", "b": b"x"}),
        ({"a": "x", "b": "y"}, {"a": "x\nb=y", "b": None}),
        ({"a": "x"}, {"a": "x", "b": None}),
        ({"ab": "c"}, {"a": "bc"}),
        ({"a": ["b"], "c": "d"}, {"a": ["b", "c", "d"]}),
        ({"a": "1:b", "c": 1}, {"a": "1", "b": "c1"}),
    ],
)
def test_borders_between_cells_count(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert row_digest(one) != row_digest(other)


def test_neither_order_of_columns_nor_kind_of_sequence_nor_payload_of_nan_counts() -> None:
    other_nan = struct.unpack(">d", b"\xff\xf8\x00\x00\x00\x00\x00\x01")[0]
    one = {"a": 1, "b": [b"x", (1, 2)], "c": math.nan}
    assert row_digest(one) == row_digest({"c": other_nan, "b": (b"x", [1, 2]), "a": 1})


@pytest.mark.parametrize("value", [{"a": 1}, {1}, object(), [1, {"a"}]])
def test_what_no_table_stores_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(TypeError, match=r"a cell of type (dict|set|object) cannot be stored"):
        row_digest({"cell": value})


def test_another_process_finds_the_same_digest() -> None:
    told = f"from math import inf, nan\nfrom stores.row_digest import row_digest\nprint(row_digest({_row()!r}))"
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == row_digest(_row())


def test_rows_that_once_shared_a_digest_are_told_apart_in_a_table(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"source_latents": None}, {"source_latents": b"null"}, {"text_states": [b"a|b"]}, {"text_states": [b"a", b"b"]},
        {"text_states": []}, {"text_states": None},
    ]  # fmt: skip
    digests = set()
    for number, cell in enumerate(cells):
        store = FeatureStore(tmp_path / str(number), "pairs")
        store.upsert(EDIT_PAIRS, [{"id": "x"} | cell])
        digests.add(store.publish(EDIT_PAIRS).digest)
    assert len(digests) == len(cells) - 1, "only an absent source and absent states are one and the same row"


def _row() -> dict[str, Any]:
    return {f"c{number}": value for number, value in enumerate(DIFFERENT)}
