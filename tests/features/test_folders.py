"""A user's own folder: each item becomes a row, or a quarantined row with its reason; none is lost."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.folders import read_folder
from features.ingest import IngestResult, ingest
from features.listings import RawDataError
from stores.feature_store import FeatureStore
from stores.schema import CLIPS, QUARANTINE
from tests.features.corpus import GOOD, image, line, saved, video, write_corpus, write_side_by_side
from tests.world import limits, tiny_params

PARAMS = tiny_params()


def _ingest(folder: Path, store: FeatureStore) -> IngestResult:
    return ingest(read_folder(folder, "own"), store, PARAMS.features, limits(PARAMS))


def _reasons(store: FeatureStore) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in store.draft(QUARANTINE).to_pylist():
        found.setdefault(row["row"], []).append(row["reason"])
    return found


def test_nothing_of_the_corpus_is_lost_and_each_fault_has_its_reason(tmp_path: Path) -> None:
    offered = write_corpus(tmp_path / "own")
    store = FeatureStore(tmp_path / "store", "clips")
    result = _ingest(tmp_path / "own", store)
    reasons = _reasons(store)
    accepted = store.draft(CLIPS).to_pylist()
    assert {row["source_uri"] for row in accepted} == {f"own/{name}" for name in GOOD}
    assert len(accepted) + len(reasons) == len(offered) == len(result.ids) + result.rejected
    times: Counter[str] = Counter()
    for one, item in zip(offered, read_folder(tmp_path / "own", "own"), strict=True):
        times[item.uri] += 1
        address = item.uri if times[item.uri] == 1 else f"{item.uri} ({times[item.uri]})"
        found = reasons.get(address, [])
        assert bool(found) == (one.reason is not None), (address, found)
        assert one.reason is None or any(reason.startswith(one.reason) for reason in found), (address, found)
    assert _ingest(tmp_path / "own", store) == result and _reasons(store) == reasons


def test_odd_kinds_of_pictures_come_in_as_pictures(tmp_path: Path) -> None:
    write_corpus(tmp_path / "own")
    store = FeatureStore(tmp_path / "store", "clips")
    _ingest(tmp_path / "own", store)
    rows = {row["source_uri"].removeprefix("own/"): row for row in store.draft(CLIPS).to_pylist()}
    assert {name: row["kind"] for name, row in rows.items()} == {
        name: "video" if name.endswith("mp4") else "picture" for name in GOOD
    }
    assert (rows["odd.png"]["height"], rows["odd.png"]["width"], rows["animated.webp"]["frames"]) == (89, 121, 1)
    assert all(len(row["dhash"]) == 16 and row["black_share"] == 0 for row in rows.values())


def test_texts_beside_the_files_are_captions(tmp_path: Path) -> None:
    expected = write_side_by_side(tmp_path / "own")
    store = FeatureStore(tmp_path / "store", "clips")
    result = _ingest(tmp_path / "own", store)
    reasons = _reasons(store)
    captions = {row["source_uri"]: row["caption"] for row in store.draft(CLIPS).to_pylist()}
    assert captions == {"own/below/one.mp4": "a moving wall", "own/two.png": "a still wall"}
    assert len(result.ids) + result.rejected == len(expected)
    for name, reason in expected.items():
        assert reason is None or reasons[f"own/{name}"][0].startswith(reason)


@pytest.mark.parametrize("column", ["caption", "text", "prompt"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_listings_of_every_kind_say_the_same(tmp_path: Path, kind: str, column: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [{"file_name": "a.mp4", column: 'one, "two"\nthree', "scene": "hall"}, {"file_name": "b.png", column: "b"}]
    (own / "a.mp4").write_bytes(video(1))
    (own / "b.png").write_bytes(saved(image(2), "PNG"))
    table = pa.Table.from_pylist(rows)
    if kind == "parquet":
        pq.write_table(table, own / "metadata.parquet")
    elif kind == "csv":
        table.to_pandas().to_csv(own / "metadata.csv", index=False)
    else:
        (own / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    items = list(read_folder(own, "own"))
    assert [item.caption for item in items] == ['one, "two"\nthree', "b"]
    assert [item.scene for item in items] == ["hall", "own/b.png"] and all(item.media for item in items)
    assert len(_ingest(own, FeatureStore(tmp_path / "store", "clips")).ids) == 2


def test_pictures_may_lie_in_the_parquet_itself(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": saved(image(seed), "PNG"), "path": None}, "text": f"picture {seed}"} for seed in (1, 2)]
    pq.write_table(pa.Table.from_pylist([*rows, {"image": None, "text": "none"}]), tmp_path / "metadata.parquet")
    store = FeatureStore(tmp_path / "store", "clips")
    assert len(_ingest(tmp_path, store).ids) == 2
    assert _reasons(store) == {"own/metadata.parquet:3": ["names no file"]}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("metadata.csv", b"name,caption\na.mp4,x\n", None),
        ("metadata.csv", b"", "no header"),
        ("metadata.csv", b"file_name,caption\n\xff\xfe,x\n", "cannot be read as CSV"),
        ("metadata.parquet", b"PAR1 rubbish", "cannot be read as PARQUET"),
        ("metadata.jsonl", b"\n\n", "lists nothing"),
    ],
)
def test_a_listing_that_cannot_be_read_is_named_with_its_fault(
    tmp_path: Path, name: str, content: bytes, told: str | None
) -> None:
    (tmp_path / name).write_bytes(content)
    if told is None:
        (item,) = read_folder(tmp_path, "own")
        assert item.problem == "no column file_name or video or image; there are: name, caption"
        return
    with pytest.raises(RawDataError, match=rf"{name}.*{told}|{told}.*{name}"):
        list(read_folder(tmp_path, "own"))


def test_rows_of_another_length_than_the_header_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,caption\na.png\nb.png,x,y\nc.png,z\n")
    problems = [item.problem for item in read_folder(tmp_path, "own")]
    assert problems == ["row has too few cells", "row has more cells than the header", "file is missing"]


def test_a_folder_that_is_not_there_or_says_two_things_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=r"no such folder; correct features\.sources"):
        list(read_folder(tmp_path / "none", "none"))
    with pytest.raises(RawDataError, match="empty"):
        list(read_folder(tmp_path, "own"))
    for name in ("metadata.csv", "metadata.jsonl"):
        (tmp_path / name).write_bytes(line("x"))
    with pytest.raises(RawDataError, match=r"several listings: metadata\.jsonl, metadata\.csv"):
        list(read_folder(tmp_path, "own"))


def test_two_folders_with_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    items = []
    for seed, name in enumerate(("one", "two"), start=1):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0001.png").write_bytes(saved(image(seed), "PNG"))
        (tmp_path / name / "0001.txt").write_text("a wall")
        items += read_folder(tmp_path / name, name)
    store = FeatureStore(tmp_path / "store", "clips")
    assert len(ingest(items, store, PARAMS.features, limits(PARAMS)).ids) == 2
    assert Counter(row["scene"] for row in store.draft(CLIPS).to_pylist()) == {"one/0001.png": 1, "two/0001.png": 1}
