"""Manifests of every kind give the same rows; bad rows are problems of their own, bad tables errors."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from inference.manifest import (
    CLIP_COLUMNS,
    INSTRUCTION_COLUMNS,
    Manifest,
    ManifestError,
    ManifestRow,
    read_manifest,
)
from inference.requests import requests_of
from tests.inference.tiny import write_lines

ROWS: list[dict[str, Any]] = [
    {"id": "a", "video": "clips/one.mp4", "prompt": "make it red, please", "seed": 3, "guidance_scale": 2.5},
    {"id": "b", "video": "two.png", "prompt": "réplace the 猫", "task": "replace", "output": "out/b.png"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    for name in ("clips/one.mp4", "two.png"):
        (tmp_path / name).write_bytes(b"media")
    return tmp_path


def _written(folder: Path, kind: str) -> Path:
    path, table = folder / f"list.{kind}", pd.DataFrame(ROWS)
    if kind in ("csv", "tsv"):
        table.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    elif kind == "parquet":
        table.to_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps(ROWS))
    else:
        write_lines(path, *(json.dumps(row, ensure_ascii=False) for row in ROWS))
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"])
def test_every_kind_gives_the_same_rows(folder: Path, kind: str) -> None:
    manifest = read_manifest(_written(folder, kind))
    assert manifest.problems == () and manifest.ignored == ()
    first, second = manifest.rows
    assert (first.number, first.name, first.clip) == (1, "a", folder / "clips" / "one.mp4")
    assert (first.instruction, first.overrides.seed, first.overrides.guidance_scale) == ("make it red, please", 3, 2.5)
    assert first.overrides.task is None and first.output is None
    assert (second.instruction, second.overrides.seed, second.overrides.task) == ("réplace the 猫", None, "replace")
    assert second.output == folder / "out" / "b.png"


@pytest.mark.parametrize("clip", CLIP_COLUMNS)
@pytest.mark.parametrize("instruction", INSTRUCTION_COLUMNS)
def test_aliases(folder: Path, clip: str, instruction: str) -> None:
    path = write_lines(folder / "list.csv", f"\ufeff{clip.upper()}, {instruction} ,note", "two.png,red,x")
    manifest = read_manifest(path)
    assert [(row.clip.name, row.instruction, row.name) for row in manifest.rows] == [("two.png", "red", "1")]
    assert manifest.ignored == ("note",)


def test_absolute_paths_are_the_users_right(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.png"
    elsewhere.write_bytes(b"media")
    path = write_lines(folder / "list.csv", "image,edit", f"{elsewhere},red", "clips/../two.png,red")
    assert [row.clip for row in read_manifest(path).rows] == [elsewhere, folder / "two.png"]


BAD_ROWS = [
    ({"video": "none.mp4"}, "no such file"),
    ({"video": ""}, "no clip"),
    ({"video": "clips"}, "not a regular file"),
    ({"video": "https://example.org/a.mp4"}, "download it first"),
    ({"video": "x" * 5000}, "not a usable path|no such file"),
    ({"video": "a\0b"}, "not a usable path|no such file"),
    ({"prompt": " "}, "instruction is empty"),
    ({"prompt": "x" * 2001}, "2001 characters"),
    ({"seed": "seven"}, "seed: 'seven' is not a whole number"),
    ({"seed": 1.5}, "seed: '1.5'"),
    ({"seed": -1}, "seed"),
    ({"guidance_scale": "nan"}, "guidance_scale"),
    ({"guidance_scale": 1e9}, "guidance_scale"),
    ({"num_inference_steps": 0}, "num_inference_steps"),
    ({"task": "paint"}, "unknown task 'paint'"),
    ({"output": "two.png"}, "is the clip or the output of row 1"),
]


@pytest.mark.parametrize(("change", "reason"), BAD_ROWS)
def test_a_bad_row_never_stops_the_others(folder: Path, change: dict[str, Any], reason: str) -> None:
    good = {"video": "two.png", "prompt": "red"}
    rows = [good, good | {"video": "clips/one.mp4"} | change, good]
    write_lines(folder / "list.jsonl", *(json.dumps(row) for row in rows))
    manifest = read_manifest(folder / "list.jsonl")
    assert [row.number for row in manifest.rows] == [1, 3]
    (problem,) = manifest.problems
    assert problem.number == 2
    assert any(part in problem.reason for part in reason.split("|"))


def test_broken_lines_and_unquoted_commas_are_rows_of_their_own(folder: Path) -> None:
    path = write_lines(folder / "list.jsonl", '{"video": "two.png", "prompt": "red"}', '{"video": ', "[1]", "")
    manifest = read_manifest(path)
    assert len(manifest.rows) == 1
    assert [problem.reason.split(":")[0] for problem in manifest.problems] == ["not JSON", "not a JSON object"]
    path = write_lines(folder / "list.csv", "video,prompt", "two.png,make it red, please", "two.png,red,,", "two.png")
    manifest = read_manifest(path)
    assert [row.number for row in manifest.rows] == [2]
    assert "in quotes" in manifest.problems[0].reason and "empty" in manifest.problems[1].reason


def test_two_rows_do_not_share_an_output(folder: Path) -> None:
    path = write_lines(folder / "list.csv", "video,prompt,output", "two.png,red,o.png", "two.png,blue,./o.png")
    manifest = read_manifest(path)
    assert [row.number for row in manifest.rows] == [1] and "row 1" in manifest.problems[0].reason


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "video,words\ntwo.png,red\n", "no instruction column.*found: video, words"),
        ("list.csv", "file,prompt\ntwo.png,red\n", "no clip column"),
        ("list.csv", "video,source,prompt\na,b,c\n", "video and source both"),
        ("list.csv", "video,prompt\n", "no rows"),
        ("list.csv", "", "no rows"),
        ("list.csv", "id,video,prompt\na,two.png,red\nb,two.png,red\na,two.png,red\n", "rows 1 and 3 .* 'a'"),
        ("list.json", '{"video": "two.png"}', "JSON list"),
        ("list.json", "[", "not readable as json"),
        ("list.parquet", "noise", "not readable as parquet"),
        ("list.xlsx", "noise", "one of .csv"),
    ],
)
def test_bad_tables_are_errors(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_manifest(folder / name)


def test_missing_and_undecodable_manifests(folder: Path) -> None:
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(folder / "none.csv")
    (folder / "list.csv").write_bytes("video,prompt\ntwo.png,rött\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(folder / "list.csv")


def test_requests_are_identified_by_content(folder: Path) -> None:
    def ids() -> list[str]:
        rows = read_manifest(path).rows
        return [request.id for request in requests_of(Manifest(rows, (), ()))]

    path = write_lines(folder / "list.csv", "id,video,prompt", "a,two.png,red", "b,two.png,red", "c,two.png,blue")
    before = ids()
    assert len(set(before)) == 3 and ids() == before
    (folder / "two.png").write_bytes(b"other media")
    assert not set(ids()) & set(before)


def test_a_row_is_what_it_says(folder: Path) -> None:
    row = read_manifest(_written(folder, "csv")).rows[0]
    assert isinstance(row, ManifestRow)
    (request,) = requests_of(Manifest((row,), (), ()))
    assert request.overrides() == row.overrides
    assert (request.name, request.purpose, request.clip_uri) == ("a", "user", str(row.clip))
