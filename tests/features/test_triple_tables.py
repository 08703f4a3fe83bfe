"""Tables of triples as they are read: columns of many names, media by path or as bytes, errors that name the table."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.listings import RawDataError
from features.triples import INSTRUCTIONS, SOURCES, TARGETS, read_triples
from tests.features.corpus import image, saved
from tests.features.triples_corpus import after, row, write_lines


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_tables_of_every_kind_say_the_same(tmp_path: Path, kind: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [row(seed, own, task="add", scene=f"room {seed}") for seed in (1, 2)]
    table = pa.Table.from_pylist(rows)
    write_lines(own / "edits.jsonl", rows)
    table.to_pandas().to_csv(own / "edits.csv", index=False)
    pq.write_table(table, own / "edits.parquet")
    found = list(read_triples(own / f"edits.{kind}", "edits"))
    assert found == list(read_triples(own / "edits.jsonl", "edits"))
    assert [one.instruction for one in found] == ["add block number 1", "add block number 2"]


@pytest.mark.parametrize("names", [names for names in zip(SOURCES, TARGETS, strict=True)], ids="+".join)
def test_columns_go_by_many_names(tmp_path: Path, names: tuple[str, str]) -> None:
    own = tmp_path / "own"
    own.mkdir()
    good = row(1, own)
    for instruction in INSTRUCTIONS:
        cells = {names[0]: good["source"], names[1]: good["target"], instruction: good["instruction"]}
        (found,) = read_triples(write_lines(own / "edits.jsonl", [cells]), "edits")
        assert not found.problem and found.source and found.target and found.instruction == "add block number 1"


def test_media_may_be_bytes_alone_or_with_a_path(tmp_path: Path) -> None:
    before, edit = saved(image(1), "PNG"), saved(after(1), "PNG")
    table = [
        {"source_img": {"bytes": before, "path": "a.png"}, "target_img": {"bytes": edit, "path": None}, "edit": "add"}
    ]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "structs.parquet")
    pq.write_table(
        pa.Table.from_pylist([{"source": before, "target": edit, "prompt": "add"}]), tmp_path / "raw.parquet"
    )
    (one,), (other,) = (
        list(read_triples(tmp_path / name, f"in/{name}")) for name in ("structs.parquet", "raw.parquet")
    )
    assert (one.source, one.target) == (other.source, other.target) == (before, edit)
    assert (one.source_uri, one.target_uri) == ("in/structs.parquet#a.png", "in/structs.parquet")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.jsonl", None, "no such table of triples; correct features.sources.triples"),
        ("edits.txt", b"x", "a listing is one of .jsonl, .csv, .parquet"),
        ("empty.jsonl", b"\n\n", "lists nothing"),
        ("empty.csv", b"", "no header"),
        (
            "columns.csv",
            b"source,after,prompt\na,b,c\n",
            r"no column for the target .*; there are: source, after, prompt",
        ),
        ("broken.parquet", b"PAR1 and no more", "cannot be read as PARQUET"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RawDataError, match=f"{name}: {reason}"):
        list(read_triples(tmp_path / name, name))
