"""The feature store on real LanceDB folders: nothing lost, nothing doubled, readers see what a receipt says."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from stores.feature_store import FeatureStore
from stores.receipts import ReceiptError
from stores.schema import CLIPS, EDITS, QUARANTINE, content_id


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": content_id(i), "caption": f"clip {i}", "media": bytes([i])} for i in range(start, start + count)]


def write_rows(root: Path) -> None:
    FeatureStore(root, "clips").upsert(CLIPS, rows(40))


def test_writing_twice_adds_nothing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    assert (store.upsert(CLIPS, rows(5)), store.upsert(CLIPS, rows(5))) == (5, 0)
    assert store.draft(CLIPS).num_rows == 5


def test_a_row_twice_in_a_batch_is_one_row(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    assert store.upsert(CLIPS, [*rows(2), *rows(2)]) == 2


def test_only_a_replacing_write_changes_a_row(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    store.upsert(CLIPS, rows(1))
    changed = [rows(1)[0] | {"caption": "other"}]
    store.upsert(CLIPS, changed)
    assert store.draft(CLIPS)["caption"].to_pylist() == ["clip 0"]
    store.upsert(CLIPS, changed, replace=True)
    assert store.draft(CLIPS)["caption"].to_pylist() == ["other"]


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no columns"):
        FeatureStore(tmp_path, "clips").upsert(CLIPS, [{"id": "a", "colour": "red"}])


def test_a_published_version_outlives_later_writes(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    store.upsert(CLIPS, rows(5))
    first = store.publish(CLIPS)
    store.retain(CLIPS, [content_id(0)])
    second = store.publish(CLIPS)
    assert (first.rows, second.rows) == (5, 1)
    assert (store.open(first).rows().num_rows, store.open(second).rows().num_rows) == (5, 1)


def test_the_digest_knows_content_and_not_order_or_seconds(tmp_path: Path) -> None:
    one, other = FeatureStore(tmp_path / "a", "clips"), FeatureStore(tmp_path / "b", "clips")
    one.upsert(CLIPS, rows(4))
    for row in reversed(rows(4)):
        other.upsert(CLIPS, [row])
    assert one.publish(CLIPS) == other.publish(CLIPS)
    one.upsert(EDITS, [{"id": "x", "seconds": 1.0}])
    other.upsert(EDITS, [{"id": "x", "seconds": 2.0}])
    assert one.publish(EDITS).digest == other.publish(EDITS).digest
    other.upsert(CLIPS, rows(1, start=9))
    assert one.publish(CLIPS).digest != other.publish(CLIPS).digest


def test_take_keeps_order_and_repeats(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    store.upsert(CLIPS, rows(10))
    table = store.open(store.publish(CLIPS))
    asked = [content_id(i) for i in (7, 3, 9, 3)]
    found = table.take(asked, table.offsets(), ["caption", "media"])
    assert found["caption"].to_pylist() == ["clip 7", "clip 3", "clip 9", "clip 3"]
    assert found["media"].to_pylist() == [bytes([i]) for i in (7, 3, 9, 3)]


def test_missing_content_names_the_stage_to_rerun(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    store.upsert(CLIPS, rows(1))
    receipt = store.publish(CLIPS)
    with pytest.raises(ReceiptError, match="rerun stage 'clips'"):
        store.open(receipt.model_copy(update={"digest": "0" * 64}))
    with pytest.raises(ReceiptError, match="is missing; rerun stage"):
        FeatureStore(tmp_path, "other").open(receipt)


def test_rejected_rows_are_kept_with_their_reason(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    store.quarantine(
        [{"id": "q", "origin": "ingest", "table": "clips", "row": "a.mp4", "reason": "0 frames", "value": "0"}]
    )
    assert store.draft(QUARANTINE)["reason"].to_pylist() == ["0 frames"]


def test_two_processes_writing_the_same_rows_lose_and_double_nothing(tmp_path: Path) -> None:
    FeatureStore(tmp_path, "clips").upsert(CLIPS, rows(1, start=200))
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_rows, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    ids = FeatureStore(tmp_path, "clips").draft(CLIPS)["id"].to_pylist()
    assert (len(ids), len(set(ids))) == (41, 41)
