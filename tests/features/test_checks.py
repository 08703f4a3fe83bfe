"""The real checks on real tables: each fault is found by name, single rows are set aside, too many refuse the table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.checks import ChecksFailedError, audit_and_quarantine, check
from features.params import CheckParams
from stores.feature_store import FeatureStore
from stores.schema import CLIPS, EDIT_PAIRS, QUARANTINE, TableSpec
from tests.features.conftest import Made

# On its first import great_expectations reads modules that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")

PARAMS = CheckParams(min_pass_share=0.8, max_abs_latent=50.0, max_instruction=400)
Row = dict[str, Any]


def _with_value(value: float) -> Callable[[Row], Row]:
    def spoil(row: Row) -> Row:
        latents = np.frombuffer(row["target_latents"], "<f2").copy()
        latents[7] = value
        return {"target_latents": latents.tobytes()}

    return spoil


FAULTS: dict[str, tuple[Callable[[Row], Row], str, str]] = {
    "NaN": (_with_value(float("nan")), "expect_column_values_to_be_between", "finite"),
    "Inf": (_with_value(float("inf")), "expect_column_values_to_be_between", "finite"),
    "too large": (_with_value(999.0), "expect_column_values_to_be_between", "largest"),
    "cut off": (
        lambda row: {"target_latents": row["target_latents"][:-2]},
        "expect_column_values_to_be_between",
        "finite",
    ),
    "half a number": (
        lambda row: {"target_latents": row["target_latents"][:-1]},
        "expect_column_values_to_be_between",
        "finite",
    ),
    "empty latents": (lambda row: {"target_latents": b""}, "expect_column_values_to_be_between", "finite"),
    "no target": (lambda row: {"target_latents": None}, "expect_column_values_to_be_between", "finite"),
    "all zero": (
        lambda row: {k: bytes(len(row[k])) for k in ("source_latents", "target_latents")},
        "expect_column_values_to_be_between",
        "deviation",
    ),
    "no source": (lambda row: {"source_latents": None}, "expect_column_values_to_be_in_set", "source_agrees"),
    "nothing edited": (lambda row: {"edit_share": 0.0}, "expect_column_values_to_be_in_set", "edit_agrees"),
    "an identity that edits": (lambda row: {"task": "identity"}, "expect_column_values_to_be_in_set", "edit_agrees"),
    "unknown task": (lambda row: {"task": "juggle"}, "expect_column_values_to_be_in_set", "task"),
    "no task": (lambda row: {"task": None}, "expect_column_values_to_not_be_null", "task"),
    "unknown split": (lambda row: {"split": "holiday"}, "expect_column_values_to_be_in_set", "split"),
    "empty instruction": (
        lambda row: {"instruction": ""},
        "expect_column_value_lengths_to_be_between",
        "instruction",
    ),
    "no instruction": (lambda row: {"instruction": None}, "expect_column_values_to_not_be_null", "instruction"),
    "no text": (lambda row: {"text_states": [b""]}, "expect_column_values_to_be_between", "text_tokens"),
    "no scene": (lambda row: {"scene": None}, "expect_column_values_to_not_be_null", "scene"),
}


def _copy(made: Made, folder: Path, spec: TableSpec = EDIT_PAIRS) -> FeatureStore:
    store = FeatureStore(folder, "pairs-one" if spec is EDIT_PAIRS else "clips")
    store.upsert(spec, made.rows(spec.name).to_pylist())
    return store


def _train_edits(store: FeatureStore) -> list[Row]:
    return store.draft(EDIT_PAIRS, where="`group` = 'image_edit' AND split = 'train'").to_pylist()


def test_what_the_builders_made_passes(made: Made, tmp_path: Path) -> None:
    for spec in (EDIT_PAIRS, CLIPS):
        store = _copy(made, tmp_path, spec)
        audit = audit_and_quarantine(spec, store, PARAMS)
        assert not audit.failed and audit.rows == store.draft(spec).num_rows
        assert len(audit.findings) > 8 and "**no**" not in audit.text() and f"{audit.rows} rows" in audit.text()
        assert store.publish(spec).digest == made.pairs.table(spec.name).digest if spec is EDIT_PAIRS else True
        assert not store.has(QUARANTINE)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_row_is_named_and_set_aside(made: Made, tmp_path: Path, fault: str) -> None:
    spoil, expectation, column = FAULTS[fault]
    store = _copy(made, tmp_path)
    row = _train_edits(store)[1]
    store.upsert(EDIT_PAIRS, [row | spoil(row)], replace=True)
    before = store.draft(EDIT_PAIRS).num_rows
    audit = audit_and_quarantine(EDIT_PAIRS, store, PARAMS)
    found = {(finding.expectation, finding.column): finding.rows for finding in audit.failed}
    assert found[expectation, column] == (row["id"],)
    assert "**no**" in audit.text()
    bad = {each for finding in audit.failed for each in finding.rows}
    # A wrong split is a leak for the other rows of its scene too.
    assert len(bad) == 1 or fault == "unknown split"
    assert store.publish(EDIT_PAIRS).rows == before - len(bad) and row["id"] not in store.ids(EDIT_PAIRS)
    (quarantined,) = store.draft(QUARANTINE, where=f"`row` = '{row['id']}'").to_pylist()
    assert (quarantined["row"], quarantined["table"]) == (row["id"], "edit_pairs")
    assert any(f"{each} on {name}" == quarantined["reason"] for each, name in found)


def test_an_identity_that_edits_nothing_passes(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    row = _train_edits(store)[1]
    store.upsert(EDIT_PAIRS, [row | {"task": "identity", "edit_share": 0.0}], replace=True)
    assert not audit_and_quarantine(EDIT_PAIRS, store, PARAMS).failed


def test_a_scene_on_both_sides_is_a_leak(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    held_out = store.draft(EDIT_PAIRS, where="split = 'validation'").to_pylist()[0]
    row = _train_edits(store)[0]
    store.upsert(EDIT_PAIRS, [row | {"scene": held_out["scene"]}], replace=True)
    leaks = [finding for finding in check(EDIT_PAIRS, store, PARAMS).failed if finding.column == "scene_splits"]
    assert len(leaks) == 1 and {row["id"], held_out["id"]} <= set(leaks[0].rows)
    with pytest.raises(ChecksFailedError, match="on scene_splits") as refused:
        audit_and_quarantine(EDIT_PAIRS, store, PARAMS.model_copy(update={"min_pass_share": 1.0}))
    assert leaks[0].rows[0] in str(refused.value)


def test_a_clip_scene_on_both_sides_is_a_leak(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path, CLIPS)
    rows = store.draft(CLIPS).to_pylist()
    train, test = (next(row for row in rows if row["split"] == split) for split in ("train", "test"))
    store.upsert(CLIPS, [train | {"scene": test["scene"]}], replace=True)
    found = {finding.column: finding.rows for finding in check(CLIPS, store, PARAMS).failed}
    assert {train["id"], test["id"]} <= set(found["scene_splits"])


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"caption": ""}, "caption"),
        ({"scene": None}, "scene"),
        ({"fps": 0.0}, "fps"),
        ({"kind": "poem"}, "kind"),
        ({"frames": 0}, "frames"),
    ],
)
def test_a_faulty_clip_is_named(made: Made, tmp_path: Path, change: Row, column: str) -> None:
    store = _copy(made, tmp_path, CLIPS)
    row = store.draft(CLIPS).to_pylist()[0]
    store.upsert(CLIPS, [row | change], replace=True)
    assert {finding.column: finding.rows for finding in check(CLIPS, store, PARAMS).failed} == {column: (row["id"],)}


@pytest.mark.parametrize("spec", [CLIPS, EDIT_PAIRS])
def test_an_empty_table_is_refused_by_its_row_count(spec: TableSpec, tmp_path: Path) -> None:
    with pytest.raises(ChecksFailedError, match=r"expect_table_row_count_to_be_between on the table: 0"):
        audit_and_quarantine(spec, FeatureStore(tmp_path, "x"), PARAMS)


def test_rows_of_two_autoencoders_refuse_the_whole_table(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    store.upsert(EDIT_PAIRS, [_train_edits(store)[0] | {"autoencoder": "another"}], replace=True)
    before = store.ids(EDIT_PAIRS)
    with pytest.raises(ChecksFailedError, match=r"unique_value_count_to_be_between on autoencoder: 2"):
        audit_and_quarantine(EDIT_PAIRS, store, PARAMS)
    assert store.ids(EDIT_PAIRS) == before and not store.has(QUARANTINE)


def test_too_many_bad_rows_refuse_the_table_and_name_some(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    bad = _train_edits(store)[:8]
    store.upsert(EDIT_PAIRS, [row | {"task": "juggle"} for row in bad], replace=True)
    with pytest.raises(ChecksFailedError, match=r"8 of 29 rows fail") as refused:
        audit_and_quarantine(EDIT_PAIRS, store, PARAMS)
    assert "expect_column_values_to_be_in_set on task" in str(refused.value) and "juggle" in str(refused.value)
    assert any(row["id"] in str(refused.value) for row in bad)
    assert len(store.ids(EDIT_PAIRS)) == 29
