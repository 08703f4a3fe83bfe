"""A packed copy holds what its table holds, is made once, and is made anew when it is not what it should be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stores.feature_store import FeatureStore, PublishedTable
from stores.packed_rows import READ_AT_ONCE, PackedRows
from stores.schema import EDIT_PAIRS

COLUMNS = ("task", "latent_shape", "source_latents", "target_latents", "text_states")


def pair(number: int) -> dict[str, Any]:
    """A row whose cells differ in length from those of others: no source, no text, no bytes at all are among them."""
    return {
        "id": f"row-{number}",
        "task": "add",
        "latent_shape": [number, 1],
        "source_latents": None if number % 3 == 0 else bytes([number % 251]) * (number % 7),
        "target_latents": f"target {number}".encode(),
        "text_states": [f"{number}".encode() * 2, b""][: number % 3],
    }


def published(folder: Path, numbers: range, at_once: int = 100) -> PublishedTable:
    store = FeatureStore(folder / "store", "pairs")
    for start in range(0, len(numbers), at_once):
        store.upsert(EDIT_PAIRS, [pair(number) for number in numbers[start : start + at_once]])
    return store.open(store.publish(EDIT_PAIRS))


def cells(rows: PackedRows, ids: list[str]) -> list[dict[str, Any]]:
    def plain(found: Any) -> Any:
        return None if found is None else found.tobytes()

    sources, targets = rows.binaries("source_latents"), rows.binaries("target_latents")
    texts, shapes = rows.binary_lists("text_states"), rows.values("latent_shape")
    return [
        {
            "source_latents": plain(sources[place]),
            "target_latents": plain(targets[place]),
            "text_states": [plain(item) for item in texts[place]],
            "latent_shape": shapes[place],
        }
        for place in rows.places(ids)
    ]


@pytest.mark.parametrize("count", [1, 5, READ_AT_ONCE, 2 * READ_AT_ONCE + 3])
def test_cells_are_those_of_the_table_in_the_order_asked(tmp_path: Path, count: int) -> None:
    table = published(tmp_path, range(count))
    rows = table.packed(tmp_path / "packed", COLUMNS)
    numbers = [*reversed(range(count)), 0, count - 1]
    found = cells(rows, [f"row-{number}" for number in numbers])
    assert len(rows) == count
    assert found == [{name: pair(number)[name] for name in found[0]} for number in numbers]


def test_it_gives_what_take_gives(tmp_path: Path) -> None:
    table = published(tmp_path, range(40), at_once=7)
    ids = [f"row-{number}" for number in (30, 2, 2, 39, 0)]
    names = list(cells(table.packed(tmp_path / "packed", COLUMNS), ids)[0])
    taken = table.take(ids, table.offsets(), names).select(names).to_pylist()
    assert cells(table.packed(tmp_path / "packed", COLUMNS), ids) == taken


def test_an_empty_table_is_packed_too(tmp_path: Path) -> None:
    rows = published(tmp_path, range(0)).packed(tmp_path / "packed", COLUMNS)
    assert len(rows) == 0 and rows.values("task") == []


def test_a_row_that_is_not_there_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="row-9"):
        published(tmp_path, range(3)).packed(tmp_path / "packed", COLUMNS).places(["row-9"])


def test_it_is_written_once(tmp_path: Path) -> None:
    table = published(tmp_path, range(5))
    table.packed(tmp_path / "packed", COLUMNS)
    (path,) = (tmp_path / "packed").glob("*.arrow")
    written = path.stat()
    table.packed(tmp_path / "packed", COLUMNS)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (written.st_mtime_ns, written.st_ino)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no arrow at all"),
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        lambda path: path.unlink(),
    ],
    ids=["empty", "other", "cut off", "zeros", "gone"],
)
def test_a_damaged_copy_is_made_anew(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    table = published(tmp_path, range(5))
    table.packed(tmp_path / "packed", COLUMNS)
    (path,) = (tmp_path / "packed").glob("*.arrow")
    spoil(path)
    (path.with_suffix(".partial")).write_bytes(b"of a writer that was killed")
    assert len(cells(table.packed(tmp_path / "packed", COLUMNS), ["row-4"])) == 1
    assert not list((tmp_path / "packed").glob("*.partial"))


def test_other_columns_are_another_copy(tmp_path: Path) -> None:
    table = published(tmp_path, range(5))
    assert table.packed(tmp_path / "packed", ["task"]).columns() == ["id", "task"]
    assert table.packed(tmp_path / "packed", COLUMNS).columns() == ["id", *COLUMNS]


def test_the_copy_of_another_content_goes_and_who_reads_it_keeps_it(tmp_path: Path) -> None:
    first = published(tmp_path, range(5)).packed(tmp_path / "packed", COLUMNS)
    second = published(tmp_path, range(9)).packed(tmp_path / "packed", COLUMNS)
    assert len(list((tmp_path / "packed").glob("*.arrow"))) == 1
    assert (len(first), len(second)) == (5, 9)
    assert cells(first, ["row-4"]) == cells(second, ["row-4"])
