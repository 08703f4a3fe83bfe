"""The feature store on real LanceDB folders: nothing doubled, and readers see exactly what a receipt says."""

from pathlib import Path
from typing import Any

import pytest

from stores.feature_store import FeatureStore, PublishedTable
from stores.receipts import ReceiptError
from stores.schema import CLIPS, EDIT_PAIRS, EDITS, QUARANTINE, content_id
from tests.tiny import clip_rows


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path, "clips")


def captions(table: PublishedTable) -> list[str]:
    found: list[str] = table.rows(["caption"])["caption"].to_pylist()
    return found


def test_writing_twice_adds_nothing(store: FeatureStore) -> None:
    assert [store.upsert(CLIPS, clip_rows(5)) for _ in range(2)] == [5, 0]
    assert store.upsert(CLIPS, clip_rows(5, start=3)) == 3
    assert len(store.ids(CLIPS)) == store.draft(CLIPS).num_rows == 8


def test_writing_nothing_makes_no_table(store: FeatureStore) -> None:
    assert store.upsert(CLIPS, []) == 0
    assert not store.has(CLIPS)
    assert store.ids(CLIPS) == set()
    assert store.draft(CLIPS, ["id", "fps"]).column_names == ["id", "fps"]


def test_of_a_row_twice_in_a_batch_the_last_is_kept(store: FeatureStore) -> None:
    assert store.upsert(CLIPS, [*clip_rows(2), clip_rows(1)[0] | {"caption": "last"}]) == 2
    assert sorted(store.draft(CLIPS)["caption"].to_pylist()) == ["clip 1", "last"]


def test_only_a_replacing_write_changes_a_row(store: FeatureStore) -> None:
    store.upsert(CLIPS, clip_rows(2))
    changed = [clip_rows(1)[0] | {"caption": "other"}]
    assert store.upsert(CLIPS, changed) == 0
    assert "other" not in store.draft(CLIPS)["caption"].to_pylist()
    assert store.upsert(CLIPS, changed, replace=True) == 0
    assert sorted(store.draft(CLIPS)["caption"].to_pylist()) == ["clip 1", "other"]


def test_every_type_of_cell_comes_back(store: FeatureStore) -> None:
    row = {
        "id": "a", "latent_shape": [4, 2, 8, 8], "source_latents": None, "target_latents": bytes(range(256)) * 2000,
        "text_states": [b"", b"\x00|\n"], "edit_share": 0.1, "clip_ids": [], "task": "add",
    }  # fmt: skip
    store.upsert(EDIT_PAIRS, [row])
    found = store.draft(EDIT_PAIRS).to_pylist()[0]
    assert {name: found[name] for name in row} == row


def test_an_unknown_column_is_refused_by_name(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match=r"'clips' has no columns \['colour'\]"):
        store.upsert(CLIPS, [{"id": "a", "colour": "red"}])


def test_rows_come_ordered_by_id_whatever_was_asked_for(store: FeatureStore) -> None:
    store.upsert(CLIPS, [{"id": key, "caption": f"of {key}", "fps": 1.0} for key in "zbxa"])
    expected = ["of a", "of b", "of x", "of z"]
    assert store.draft(CLIPS)["caption"].to_pylist() == expected
    assert store.draft(CLIPS, ["fps", "caption"]).column_names == ["fps", "caption"]
    assert store.draft(CLIPS, ["caption"])["caption"].to_pylist() == expected
    assert captions(store.open(store.publish(CLIPS))) == expected
    assert store.draft(CLIPS, ["id"], where="caption > 'of b'")["id"].to_pylist() == ["x", "z"]


def test_a_published_version_outlives_later_writes(store: FeatureStore) -> None:
    store.upsert(CLIPS, clip_rows(5))
    first = store.publish(CLIPS)
    opened = store.open(first)
    store.retain(CLIPS, [content_id(0), content_id(99)])
    store.upsert(CLIPS, [clip_rows(1)[0] | {"caption": "other"}], replace=True)
    second = store.publish(CLIPS)
    assert (first.rows, second.rows) == (5, 1)
    for table in (opened, store.open(first), FeatureStore(Path(store.uri).parent, "clips").open(first)):
        assert (len(table), sorted(captions(table))) == (5, [f"clip {i}" for i in range(5)])
    assert captions(store.open(second)) == ["other"]


def test_publishing_twice_gives_the_same_receipt_and_tag(store: FeatureStore) -> None:
    store.upsert(CLIPS, clip_rows(3))
    first, second = store.publish(CLIPS), store.publish(CLIPS)
    assert first == second
    assert store.has_version(CLIPS, first.digest) and not store.has_version(CLIPS, "0" * 64)
    store.upsert(CLIPS, clip_rows(1, start=7))
    assert store.publish(CLIPS).digest != first.digest
    store.retain(CLIPS, [content_id(i) for i in range(3)])
    assert store.publish(CLIPS) == first, "the same content again"


def test_an_empty_table_is_published_and_opened(store: FeatureStore) -> None:
    receipt = store.publish(CLIPS)
    assert receipt.rows == store.open(receipt).rows().num_rows == 0
    assert receipt.columns.keys() == {field.name for field in CLIPS.schema}


def test_retaining_keeps_the_plan_and_retaining_nothing_empties(store: FeatureStore) -> None:
    store.retain(CLIPS, ["of no table"])
    store.upsert(CLIPS, clip_rows(1200))
    kept = [content_id(i) for i in range(0, 1200, 100)]
    store.retain(CLIPS, kept)
    assert store.ids(CLIPS) == set(kept)
    store.retain(CLIPS, [])
    assert store.ids(CLIPS) == set()


def test_the_digest_does_not_know_order_or_number_of_writes(tmp_path: Path) -> None:
    one, other = FeatureStore(tmp_path / "a", "clips"), FeatureStore(tmp_path / "b", "clips")
    one.upsert(CLIPS, clip_rows(4))
    for row in reversed(clip_rows(4)):
        other.upsert(CLIPS, [row])
    assert one.publish(CLIPS) == other.publish(CLIPS)


def test_the_digest_does_not_know_seconds_and_columns_left_out(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": "x", "seconds": 1.0}, {"id": "x", "seconds": 2.0, "error": None}]
    digests = set()
    for number, row in enumerate(rows):
        store = FeatureStore(tmp_path / str(number), "edits")
        store.upsert(EDITS, [row])
        digests.add(store.publish(EDITS).digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    "change", [{"caption": "other"}, {"media": b"other"}, {"fps": 8.0}, {"id": "other"}, {"caption": None}]
)
def test_the_digest_knows_every_cell(tmp_path: Path, change: dict[str, Any]) -> None:
    one, other = FeatureStore(tmp_path / "a", "clips"), FeatureStore(tmp_path / "b", "clips")
    one.upsert(CLIPS, clip_rows(1))
    other.upsert(CLIPS, [clip_rows(1)[0] | change])
    assert one.publish(CLIPS).digest != other.publish(CLIPS).digest


def test_take_keeps_order_and_repeats(store: FeatureStore) -> None:
    for i in range(0, 30, 10):
        store.upsert(CLIPS, clip_rows(10, start=i))
    table = store.open(store.publish(CLIPS))
    numbers = [27, 3, 9, 3, 14, 0, 27]
    found = table.take([content_id(i) for i in numbers], table.offsets(), ["caption", "media"])
    assert found["caption"].to_pylist() == [f"clip {i}" for i in numbers]
    assert found["media"].to_pylist() == [i.to_bytes(4, "big") for i in numbers]
    assert table.take([], table.offsets(), ["caption"]).num_rows == 0


def test_take_reads_its_own_version_after_the_rows_have_moved(store: FeatureStore) -> None:
    store.upsert(CLIPS, clip_rows(6))
    table = store.open(store.publish(CLIPS))
    store.retain(CLIPS, [content_id(5)])
    store.upsert(CLIPS, clip_rows(4, start=20))
    found = table.take([content_id(4), content_id(0)], table.offsets(), ["caption"])
    assert found["caption"].to_pylist() == ["clip 4", "clip 0"]


def test_missing_content_names_the_stage_to_rerun(store: FeatureStore, tmp_path: Path) -> None:
    store.upsert(CLIPS, clip_rows(1))
    receipt = store.publish(CLIPS)
    with pytest.raises(ReceiptError, match="has no version 000000000000; rerun stage 'clips'"):
        store.open(receipt.model_copy(update={"digest": "0" * 64}))
    with pytest.raises(ReceiptError, match="table 'clips' is missing; rerun stage 'clips'"):
        FeatureStore(tmp_path, "other").open(receipt)


def test_rejected_rows_are_kept_once_with_their_reason(store: FeatureStore) -> None:
    rejected = {"id": "q", "origin": "ingest", "table": "clips", "row": "a.mp4", "reason": "0 frames", "value": "0"}
    for _ in range(2):
        store.quarantine([rejected])
    found = store.draft(QUARANTINE).to_pylist()
    assert [{name: row[name] for name in rejected} for row in found] == [rejected]


def test_parts_of_an_id_are_told_apart_by_their_borders() -> None:
    assert content_id("ab", "c") != content_id("a", "bc") != content_id("abc")
    assert content_id(b"a", 1) == content_id("a", "1")
    assert len(content_id()) == 32
