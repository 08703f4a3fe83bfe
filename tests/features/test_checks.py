"""The real checks on real tables: each fault is found by name, single rows are set aside, too many refuse the table."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.check_tables import ClipChecks, PairChecks, TableChecks
from features.checks import Audit, ChecksFailedError, FailedRow, Finding, audit_and_quarantine, check
from features.fidelity import pair_checks
from features.params import CheckParams
from features.plan import plan_pairs
from stores.feature_store import FeatureStore
from stores.schema import CLIPS, EDIT_PAIRS, QUARANTINE, TableSpec
from tests.features.conftest import Made

# On its first import great_expectations reads modules that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")

PARAMS = CheckParams(min_pass_share=0.8, max_abs_latent=50.0, max_instruction=400, decoded_rows=2, min_decode_psnr=0.0)
Row = dict[str, Any]


def _with_value(value: float) -> Callable[[Row], Row]:
    def spoil(row: Row) -> Row:
        latents = np.frombuffer(row["target_latents"], "<f2").copy()
        latents[7] = value
        return {"target_latents": latents.tobytes()}

    return spoil


def _as_float32(row: Row) -> Row:
    return {"target_latents": np.frombuffer(row["target_latents"], "<f2").astype("<f4").tobytes()}


def _spoilt_text(row: Row) -> Row:
    (part,) = row["text_states"]
    return {"text_states": [np.full(len(part) // 2, np.nan, dtype="<f2").tobytes()]}


BETWEEN, IN_SET = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
LENGTHS, NOT_NULL = "expect_column_value_lengths_to_be_between", "expect_column_values_to_not_be_null"
FAULTS: dict[str, tuple[Callable[[Row], Row], str, str]] = {
    "NaN": (_with_value(float("nan")), BETWEEN, "finite"),
    "Inf": (_with_value(float("inf")), BETWEEN, "finite"),
    "too large": (_with_value(999.0), BETWEEN, "largest"),
    "cut off": (lambda row: {"target_latents": row["target_latents"][:-2]}, BETWEEN, "value_bytes"),
    "half a number": (lambda row: {"target_latents": row["target_latents"][:-1]}, BETWEEN, "value_bytes"),
    "empty latents": (lambda row: {"target_latents": b""}, BETWEEN, "value_bytes"),
    "no target": (lambda row: {"target_latents": None}, BETWEEN, "value_bytes"),
    "another dtype": (_as_float32, BETWEEN, "value_bytes"),
    "a source cut off": (lambda row: {"source_latents": row["source_latents"][:-2]}, BETWEEN, "value_bytes"),
    "another shape": (lambda row: {"latent_shape": [4, 1, 4, 16]}, IN_SET, "shape"),
    "no shape": (lambda row: {"latent_shape": None}, BETWEEN, "value_bytes"),
    "a picture of two latent frames": (lambda row: {"latent_shape": [4, 2, 8, 4]}, IN_SET, "shape"),
    "all zero": (
        lambda row: {k: bytes(len(row[k])) for k in ("source_latents", "target_latents")},
        BETWEEN,
        "deviation",
    ),
    "no source": (lambda row: {"source_latents": None}, IN_SET, "source_agrees"),
    "nothing edited": (lambda row: {"edit_share": 0.0}, IN_SET, "edit_agrees"),
    "an identity that edits": (lambda row: {"task": "identity"}, IN_SET, "edit_agrees"),
    "unknown task": (lambda row: {"task": "juggle"}, IN_SET, "task"),
    "no task": (lambda row: {"task": None}, NOT_NULL, "task"),
    "another task's instruction": (lambda row: {"instruction": "make it sepia"}, IN_SET, "instruction_agrees"),
    "not of the grammar": (lambda row: {"instruction": "juggle the apples"}, IN_SET, "instruction_agrees"),
    "unknown split": (lambda row: {"split": "holiday"}, IN_SET, "split"),
    "unknown kind": (lambda row: {"kind": "poem"}, IN_SET, "kind"),
    "no words": (lambda row: {"instruction": ""}, LENGTHS, "instruction"),
    "too many words": (lambda row: {"instruction": "a" * 401}, LENGTHS, "instruction"),
    "no instruction": (lambda row: {"instruction": None}, NOT_NULL, "instruction"),
    "no text": (lambda row: {"text_states": [b""]}, BETWEEN, "text_tokens"),
    "text of no encoder": (lambda row: {"text_states": []}, IN_SET, "text_whole"),
    "half a token": (lambda row: {"text_states": [row["text_states"][0][:-2]]}, IN_SET, "text_whole"),
    "NaN in the text": (_spoilt_text, IN_SET, "text_finite"),
    "no scene": (lambda row: {"scene": None}, NOT_NULL, "scene"),
    "a scene that no clip shows": (lambda row: {"scene": "elsewhere"}, IN_SET, "scene_side"),
}


def _copy(made: Made, folder: Path, spec: TableSpec = EDIT_PAIRS) -> FeatureStore:
    store = FeatureStore(folder, "pairs-one" if spec is EDIT_PAIRS else "clips")
    store.upsert(spec, made.rows(spec.name).to_pylist())
    return store


def _checks(spec: TableSpec, made: Made, store: FeatureStore) -> TableChecks:
    if spec is CLIPS:
        return ClipChecks()
    return pair_checks(plan_pairs(made.params.features.pairs["one"]), made.setting, store)


def _audited(spec: TableSpec, made: Made, store: FeatureStore, params: CheckParams = PARAMS) -> Audit:
    return audit_and_quarantine(_checks(spec, made, store), store, params)


def _checked(spec: TableSpec, made: Made, store: FeatureStore) -> Audit:
    return check(_checks(spec, made, store), store, PARAMS)


def _train_edits(store: FeatureStore) -> list[Row]:
    return store.draft(EDIT_PAIRS, where="`group` = 'image_edit' AND split = 'train'").to_pylist()


def test_what_the_builders_made_passes(made: Made, tmp_path: Path) -> None:
    for spec in (EDIT_PAIRS, CLIPS):
        store = _copy(made, tmp_path, spec)
        audit = _audited(spec, made, store)
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
    audit = _audited(EDIT_PAIRS, made, store)
    found = {(finding.expectation, finding.column): finding.rows for finding in audit.failed}
    assert found[expectation, column] == (row["id"],)
    assert "**no**" in audit.text()
    bad = {each for finding in audit.failed for each in finding.rows}
    # A wrong split is a leak for the other rows of its scene too.
    assert len(bad) == 1 or fault == "unknown split"
    assert store.publish(EDIT_PAIRS).rows == before - len(bad) and row["id"] not in store.ids(EDIT_PAIRS)
    aside = store.draft(QUARANTINE, where=f"`row` = '{row['id']}'").to_pylist()
    assert {each["table"] for each in aside} == {"edit_pairs"} and {each["origin"] for each in aside} == {"checks"}
    reasons = {f"{each} on {name}" for (each, name), rows in found.items() if row["id"] in rows}
    assert {each["reason"] for each in aside} == reasons and len(aside) >= len(reasons)


def test_an_identity_that_edits_nothing_passes(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    row = _train_edits(store)[1]
    store.upsert(
        EDIT_PAIRS, [row | {"task": "identity", "instruction": "change nothing", "edit_share": 0.0}], replace=True
    )
    assert not _audited(EDIT_PAIRS, made, store).failed


def test_a_scene_on_both_sides_is_a_leak(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    held_out = store.draft(EDIT_PAIRS, where="split = 'validation'").to_pylist()[0]
    row = _train_edits(store)[0]
    store.upsert(EDIT_PAIRS, [row | {"scene": held_out["scene"]}], replace=True)
    leaks = [finding for finding in _checked(EDIT_PAIRS, made, store).failed if finding.column == "scene_splits"]
    assert len(leaks) == 1 and {row["id"], held_out["id"]} <= set(leaks[0].rows)
    with pytest.raises(ChecksFailedError, match="on scene_splits") as refused:
        _audited(EDIT_PAIRS, made, store, PARAMS.model_copy(update={"min_pass_share": 1.0}))
    assert leaks[0].rows[0] in str(refused.value)


def test_a_clip_scene_on_both_sides_is_a_leak(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path, CLIPS)
    rows = store.draft(CLIPS).to_pylist()
    train, test = (next(row for row in rows if row["split"] == split) for split in ("train", "test"))
    store.upsert(CLIPS, [train | {"scene": test["scene"]}], replace=True)
    found = {finding.column: finding.rows for finding in _checked(CLIPS, made, store).failed}
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
    assert {finding.column: finding.rows for finding in _checked(CLIPS, made, store).failed} == {column: (row["id"],)}


@pytest.mark.parametrize("spec", [CLIPS, EDIT_PAIRS])
def test_an_empty_table_is_refused_by_its_row_count(spec: TableSpec, made: Made, tmp_path: Path) -> None:
    with pytest.raises(ChecksFailedError, match=r"expect_table_row_count_to_be_between on the table: 0"):
        _audited(spec, made, FeatureStore(tmp_path, "x"))


def test_fewer_rows_than_planned_refuse_the_table(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    store.retain(EDIT_PAIRS, sorted(store.ids(EDIT_PAIRS))[1:])
    with pytest.raises(ChecksFailedError, match=r"expect_table_row_count_to_equal on the table: 28 \(as many rows as"):
        _audited(EDIT_PAIRS, made, store)


def test_columns_of_other_types_refuse_the_table(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    checks = _checks(EDIT_PAIRS, made, store)
    columns = [pa.field("edit_share", pa.float32()) if c.name == "edit_share" else c for c in EDIT_PAIRS.columns]
    assert isinstance(checks, PairChecks)
    with pytest.raises(ChecksFailedError, match=r"pair_values_to_be_equal on the table: columns edit_share"):
        audit_and_quarantine(replace(checks, spec=TableSpec(EDIT_PAIRS.name, tuple(columns))), store, PARAMS)


def test_rows_of_another_maker_need_not_speak_the_grammar(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    foreign = {"maker": "imported", "instruction": "juggle the apples", "scene": "elsewhere"}
    store.upsert(EDIT_PAIRS, [_train_edits(store)[1] | foreign], replace=True)
    assert not _audited(EDIT_PAIRS, made, store).failed


def test_a_row_that_is_repaired_leaves_the_quarantine(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    row = _train_edits(store)[1]
    kept = {"id": "kept", "origin": "ingest", "table": "clips", "row": "x", "reason": "r", "value": "v"}
    store.quarantine([kept])
    store.upsert(EDIT_PAIRS, [row | {"instruction": "juggle"}], replace=True)
    for _ in range(2):
        store.upsert(EDIT_PAIRS, [row | {"instruction": "juggle"}])
        _audited(EDIT_PAIRS, made, store)
        assert sorted(store.draft(QUARANTINE)["row"].to_pylist()) == sorted(["x", row["id"]])
    store.upsert(EDIT_PAIRS, [row])
    assert not _audited(EDIT_PAIRS, made, store).failed
    assert store.draft(QUARANTINE)["row"].to_pylist() == ["x"] and store.ids(EDIT_PAIRS) >= {row["id"]}


def test_a_refusal_survives_another_process() -> None:
    finding = Finding("e", "c", "told", "asked", False, (FailedRow("row-7", "3"),), "3")
    refused = ChecksFailedError(Audit("t", pd.DataFrame({"id": ["row-7"]}), (finding,)))
    assert str(pickle.loads(pickle.dumps(refused))) == str(refused) and "row-7" in str(refused)


def test_rows_of_two_autoencoders_refuse_the_whole_table(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    store.upsert(EDIT_PAIRS, [_train_edits(store)[0] | {"autoencoder": "another"}], replace=True)
    before = store.ids(EDIT_PAIRS)
    with pytest.raises(ChecksFailedError, match=r"unique_value_count_to_be_between on autoencoder: 2"):
        _audited(EDIT_PAIRS, made, store)
    assert store.ids(EDIT_PAIRS) == before and not store.has(QUARANTINE)


def test_too_many_bad_rows_refuse_the_table_and_name_some(made: Made, tmp_path: Path) -> None:
    store = _copy(made, tmp_path)
    bad = _train_edits(store)[:8]
    store.upsert(EDIT_PAIRS, [row | {"task": "juggle"} for row in bad], replace=True)
    with pytest.raises(ChecksFailedError, match=r"8 of 29 rows fail") as refused:
        _audited(EDIT_PAIRS, made, store)
    assert "expect_column_values_to_be_in_set on task" in str(refused.value) and "juggle" in str(refused.value)
    assert any(row["id"] in str(refused.value) for row in bad)
    assert len(store.ids(EDIT_PAIRS)) == 29
