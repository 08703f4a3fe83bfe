"""Layouts of published benchmarks, built here as their cards describe them."""

import json
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.manifest import ManifestError, read_manifest
from inference.published import read_emu_edit, read_tgve, write_manifest
from stores.clip_writer import encode_clip, encode_picture
from tests.media import moving_frames

ROW = {
    "instruction": "make it snow",
    "input_caption": "a swan on a river",
    "output_caption": "a swan on a river in the snow",
    "task": "background",
}


def write_moving(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_clip(moving_frames(4), Fraction(8)))


def picture_bytes(seed: int) -> bytes:
    return encode_picture(moving_frames(1, width=32 + seed)[0], "png")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """The archive of TGVE: every clip as a video and as frames."""
    root = tmp_path / "loveu-tgve-2023"
    for collection, name in (("DAVIS", "blackswan"), ("videvo", "bay"), ("youtube", "bay")):
        write_moving(root / f"{collection}_480p" / "480p_videos" / f"{name}.mp4")
        (root / f"{collection}_480p" / "480p_frames" / name).mkdir(parents=True)
        (root / f"{collection}_480p" / "480p_frames" / name / "00000.jpg").write_bytes(b"\xff\xd8\xff")
    return root


def _table(path: Path, *rows: dict[str, object]) -> Path:
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.mark.parametrize(
    "named",
    ["DAVIS_480p/480p_videos/blackswan.mp4", "DAVIS_480p/480p_videos/blackswan", "blackswan", "blackswan.mp4",
     "DAVIS_480p/480p_frames/blackswan"],
)  # fmt: skip
def test_a_video_is_found_however_it_is_named(videos: Path, tmp_path: Path, named: str) -> None:
    found = read_tgve(_table(tmp_path / "train.parquet", {**ROW, "video": named}), videos)
    (row,) = found.rows
    assert not found.problems and row.clip.samefile(videos / "DAVIS_480p" / "480p_videos" / "blackswan.mp4")
    assert (row.instruction, row.caption, row.edited_caption) == (
        ROW["instruction"], ROW["input_caption"], ROW["output_caption"],
    )  # fmt: skip
    assert row.task == "background" and row.name == "00001-background"


def test_other_spellings_of_columns_are_known(videos: Path, tmp_path: Path) -> None:
    table = tmp_path / "tgve.csv"
    table.write_text(
        "Video name,Our GT caption,Edit prompt,Target caption,Edit type\n"
        'blackswan,a swan,"make it red, please",a red swan,Local Object\n'
    )
    (row,) = read_tgve(table, videos).rows
    assert row.instruction == "make it red, please" and row.task == "local_object" and row.caption == "a swan"


def test_bad_rows_are_told_and_the_others_stay(videos: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.mp4"
    write_moving(outside)
    rows = [
        {**ROW, "video": "blackswan"},
        {**ROW, "video": "nowhere"},
        {**ROW, "video": "bay"},
        {**ROW, "video": "../secret.mp4"},
        {**ROW, "video": ""},
        {**ROW, "video": "x" * 300},
        {**ROW, "video": "blackswan", "instruction": ""},
        {**ROW, "video": "blackswan", "output_caption": None},
    ]
    found = read_tgve(_table(tmp_path / "train.parquet", *rows), videos)
    assert [row.name for row in found.rows] == ["00001-background"]
    reasons = [problem.reason for problem in found.problems]
    expected = (
        "no such video",
        "2 videos of that name",
        "outside",
        "no video",
        "no such video",
        "instruction is empty",
        "output_caption",
    )
    assert len(reasons) == len(expected) and all(part in reason for part, reason in zip(expected, reasons, strict=True))
    assert [problem.number for problem in found.problems] == [2, 3, 4, 5, 6, 7, 8]


def test_broken_lines_of_text_tables_are_told(videos: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text(json.dumps({**ROW, "video": "blackswan"}) + "\n{\n")
    found = read_tgve(table, videos)
    assert len(found.rows) == 1 and "not JSON" in found.problems[0].reason
    table = tmp_path / "t.csv"
    table.write_text("video,instruction,caption,edited_caption,task\nblackswan,a,b,c,d,e\n")
    assert "more fields" in read_tgve(table, videos).problems[0].reason


def test_a_table_that_cannot_be_used_names_what_it_has(videos: Path, tmp_path: Path) -> None:
    # The table of TGVE itself, which has captions and no instructions.
    base = {"Video name": "blackswan", "Our GT caption": "a swan", "Style Change Caption": "a painted swan"}
    with pytest.raises(ManifestError, match=r"instruction \(.*Columns found: video_name, our_gt_caption, style"):
        read_tgve(_table(tmp_path / "base.parquet", base), videos)
    with pytest.raises(ManifestError, match="no such folder"):
        read_tgve(tmp_path / "base.parquet", tmp_path / "nowhere")
    with pytest.raises(ManifestError, match="no table"):
        read_tgve(tmp_path / "nothing.parquet", videos)
    with pytest.raises(ManifestError, match="no table"):
        read_emu_edit(videos, tmp_path / "out")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    for read in (lambda path: read_tgve(path, videos), lambda path: read_emu_edit(path, tmp_path / "out")):
        with pytest.raises(ManifestError, match=r"bad\.parquet"):
            read(tmp_path / "bad.parquet")


def _emu_edit(path: Path, pictures: list[object], **change: object) -> Path:
    """Columns of the card: instruction, image, task, split, idx, hash, input_caption, output_caption."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {name: [value] * len(pictures) for name, value in {**ROW, "split": "test", "hash": "x", **change}.items()}
    table = pa.table({**columns, "idx": list(range(len(pictures))), "image": pa.array(pictures, image)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def test_pictures_of_a_table_become_files(tmp_path: Path) -> None:
    data = [picture_bytes(seed) for seed in range(40)]
    shards = tmp_path / "data"
    _emu_edit(shards / "test-00000-of-00002.parquet", [{"bytes": one, "path": None} for one in data[:35]])
    _emu_edit(shards / "test-00001-of-00002.parquet", [{"bytes": one, "path": "x.png"} for one in data[35:]])
    found = read_emu_edit(shards, tmp_path / "sources")
    assert not found.problems and [row.clip.read_bytes() for row in found.rows] == data
    assert len({row.name for row in found.rows}) == 40
    before = {row.clip: row.clip.stat().st_mtime_ns for row in found.rows}
    again = read_emu_edit(shards, tmp_path / "sources")
    assert again == found and all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_of_a_set_with_splits_one_is_read(tmp_path: Path) -> None:
    told = {split: [picture_bytes(seed) for seed in seeds] for split, seeds in (("test", (1, 2)), ("validation", (3,)))}
    for split, data in told.items():
        _emu_edit(tmp_path / "data" / f"{split}.parquet", [{"bytes": one, "path": None} for one in data], split=split)
    for split, data in told.items():
        found = read_emu_edit(tmp_path / "data", tmp_path / "sources", split)
        assert [row.clip.read_bytes() for row in found.rows] == data
    assert (
        read_emu_edit(tmp_path / "data", tmp_path / "sources").rows
        == read_emu_edit(tmp_path / "data", tmp_path / "sources", "test").rows
    )
    with pytest.raises(ManifestError, match="no rows"):
        read_emu_edit(tmp_path / "data", tmp_path / "sources", "train")


def test_notes_beside_a_table_are_no_table(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    _table(tmp_path / "data" / "train.parquet", {**ROW, "video": "blackswan"})
    (tmp_path / "data" / "dataset_infos.json").write_text('{"default": {}}')
    assert len(read_tgve(tmp_path / "data", videos).rows) == 1


def test_rows_without_a_picture_are_told(tmp_path: Path) -> None:
    rows: list[object] = [{"bytes": b"no picture", "path": None}, None, {"bytes": None, "path": "a.png"}]
    found = read_emu_edit(_emu_edit(tmp_path / "t.parquet", rows), tmp_path / "sources")
    assert not found.rows and [problem.clip for problem in found.problems] == ["picture"] * 3
    assert ["format" in p.reason or "no picture" in p.reason for p in found.problems] == [True] * 3


def test_the_manifest_reads_back(videos: Path, tmp_path: Path) -> None:
    table = _table(
        tmp_path / "train.parquet", *[{**ROW, "video": "blackswan", "task": task} for task in ("add", "add")]
    )
    found = read_tgve(table, videos)
    back = read_manifest(write_manifest(found, tmp_path / "out" / "manifest.jsonl"))
    assert not back.problems and not back.ignored
    assert [(row.name, row.clip, row.instruction) for row in back.rows] == [
        (row.name, row.clip.resolve(), row.instruction) for row in found.rows
    ]
