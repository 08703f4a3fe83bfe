"""Great Expectations over table summaries: write, then audit, then publish. Only home of great_expectations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.params import CheckParams
from models.tasks import Task
from stores.feature_store import FeatureStore
from stores.schema import CLIPS, EDIT_PAIRS, TableSpec, content_id


class ChecksFailedError(RuntimeError):
    """A table that was not published; the message names the failed expectations and some rows."""


@dataclass(frozen=True)
class Finding:
    """One expectation and how it went; `rows` are ids that miss it, empty where the whole table does."""

    expectation: str
    column: str
    success: bool
    unexpected: int
    rows: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Audit:
    """What Great Expectations found in a table."""

    table: str
    rows: int
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.success)

    def text(self) -> str:
        """The findings as Markdown."""
        lines = [f"# Data checks of `{self.table}`", "", f"{self.rows} rows.", ""]
        lines += ["| expectation | column | passed | rows that miss it |", "|---|---|---|---|"]
        for finding in self.findings:
            passed = "yes" if finding.success else "**no**"
            lines.append(f"| {finding.expectation} | {finding.column} | {passed} | {finding.unexpected} |")
        return "\n".join(lines) + "\n"


def audit_and_quarantine(spec: TableSpec, store: FeatureStore, params: CheckParams) -> Audit:
    """Check the draft of a table; move single failing rows to quarantine; refuse the table if too much fails.

    Raises:
        ChecksFailedError: an expectation on the whole table fails, or too few rows pass.
    """
    audit = check(spec, store, params)
    bad = {row: finding for finding in audit.failed for row in finding.rows}
    whole = [finding for finding in audit.failed if not finding.rows]
    if whole or len(bad) > (1 - params.min_pass_share) * audit.rows:
        raise ChecksFailedError(_refusal(audit, len(bad)))
    if bad:
        store.quarantine([_rejected(spec, row, finding) for row, finding in bad.items()])
        store.retain(spec, sorted(store.ids(spec) - set(bad)))
    return audit


def check(spec: TableSpec, store: FeatureStore, params: CheckParams) -> Audit:
    """Run the suite of a table over a summary of its rows; tensors are summarised first, never handed over."""
    suites = {CLIPS.name: (_clip_summary, _clip_suite), EDIT_PAIRS.name: (_pair_summary, _pair_suite)}
    summarise, suite = suites[spec.name]
    summary = summarise(store.draft(spec))
    return Audit(spec.name, len(summary), tuple(_run(summary, suite(params))))


def _run(summary: pd.DataFrame, suite: Sequence[Any]) -> list[Finding]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("summary").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": summary})
    expectations = context.suites.add(gx.ExpectationSuite("table", expectations=list(suite)))
    result_format = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": ["id"],
        "include_unexpected_rows": False,
    }
    return [_finding(result) for result in batch.validate(expectations, result_format=result_format).results]


def _finding(result: Any) -> Finding:
    config, found = result.expectation_config, result.result or {}
    rows = [str(entry["id"]) for entry in found.get("unexpected_index_list") or []]
    # A missing column hides its reason in the exception info.
    errors = [] if result.success else [str(result.exception_info)]
    seen = found.get("observed_value", found.get("partial_unexpected_list", ""))
    return Finding(
        expectation=str(config.type),
        column=str(config.kwargs.get("column", "the table")),
        success=bool(result.success),
        unexpected=int(found.get("unexpected_count") or 0),
        rows=tuple(rows),
        detail=(json.dumps(seen, default=str) if seen != "" else " ".join(errors))[:300],
    )


def _clip_suite(params: CheckParams) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        # The other expectations pass over nulls.
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in ("kind", "split", "caption", "scene")),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=["picture", "video"]),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "test"]),
        gxe.ExpectColumnValueLengthsToBeBetween(column="caption", min_value=1),
        gxe.ExpectColumnValuesToBeBetween(column="frames", min_value=1),
        gxe.ExpectColumnValuesToBeBetween(column="fps", min_value=0, strict_min=True),
        gxe.ExpectColumnValuesToBeBetween(column="scene_splits", min_value=1, max_value=1),
        gxe.ExpectColumnValueLengthsToEqual(column="source_sha256", value=64),
    ]


def _pair_suite(params: CheckParams) -> list[Any]:
    import great_expectations.expectations as gxe

    tasks = [task.label for task in Task if task is not Task.NULL]
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        # The other expectations pass over nulls.
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in ("task", "split", "instruction", "scene")),
        gxe.ExpectColumnValuesToBeInSet(column="task", value_set=tasks),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "validation"]),
        gxe.ExpectColumnValueLengthsToBeBetween(column="instruction", min_value=3, max_value=params.max_instruction),
        gxe.ExpectColumnValuesToBeBetween(column="finite", min_value=1.0),
        gxe.ExpectColumnValuesToBeBetween(column="largest", max_value=params.max_abs_latent),
        gxe.ExpectColumnValuesToBeBetween(column="deviation", min_value=0.0, strict_min=True),
        gxe.ExpectColumnValuesToBeBetween(column="text_tokens", min_value=1),
        gxe.ExpectColumnValuesToBeInSet(column="source_agrees", value_set=[True]),
        gxe.ExpectColumnValuesToBeInSet(column="edit_agrees", value_set=[True]),
        gxe.ExpectColumnValuesToBeBetween(column="scene_splits", min_value=1, max_value=1),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="autoencoder", min_value=1, max_value=1),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="text_encoder", min_value=1, max_value=1),
    ]


def _clip_summary(table: pa.Table) -> pd.DataFrame:
    columns = ["id", "kind", "split", "caption", "frames", "fps", "scene", "source_sha256"]
    frame: pd.DataFrame = table.select(columns).to_pandas()
    return frame.assign(scene_splits=_splits_of_scenes(frame))


def _pair_summary(table: pa.Table) -> pd.DataFrame:
    columns = ["id", "group", "task", "split", "instruction", "scene", "edit_share", "autoencoder", "text_encoder"]
    frame: pd.DataFrame = table.select(columns).to_pandas()
    numbers = pd.DataFrame([_latent_numbers(row) for row in table.to_pylist()])
    edits = frame["group"] != "text_to_video"
    edits &= frame["task"] != "text_to_video"
    return frame.assign(
        **{str(name): numbers[name] for name in numbers},
        source_agrees=numbers["has_source"] == edits if len(numbers) else [],
        edit_agrees=~edits | ((frame["edit_share"].fillna(0) > 0) == (frame["task"] != Task.IDENTITY.label)),
        scene_splits=_splits_of_scenes(frame),
    )


def _latent_numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    parts = [row["target_latents"] or b""]
    if row["source_latents"] is not None:
        parts.append(row["source_latents"])
    # Damaged bytes are a finding, not a crash: half a number at the end is left out here, and told by the length.
    values = np.concatenate([np.frombuffer(part[: len(part) // 2 * 2], dtype="<f2") for part in parts])
    values = values.astype(np.float32)
    finite = np.isfinite(values)
    whole = all(len(part) == 2 * int(np.prod(row["latent_shape"])) for part in parts)
    return {
        "finite": float(finite.mean()) if whole and values.size else 0.0,
        "largest": float(np.abs(values[finite]).max(initial=0.0)),
        "deviation": float(values[finite].std()) if finite.any() else 0.0,
        "text_tokens": len(row["text_states"][0]) if row["text_states"] else 0,
        "has_source": row["source_latents"] is not None,
    }


def _splits_of_scenes(frame: pd.DataFrame) -> pd.Series:
    """In how many splits each row's scene occurs: more than one is a leak."""
    return frame.groupby("scene", dropna=False)["split"].transform("nunique").astype("int64")


def _refusal(audit: Audit, bad: int) -> str:
    lines = [f"table {audit.table!r} is not published: {bad} of {audit.rows} rows fail"]
    for finding in audit.failed:
        rows = f"; rows {', '.join(finding.rows[:5])}" if finding.rows else ""
        lines.append(f"  {finding.expectation} on {finding.column}: {finding.detail}{rows}")
    return "\n".join(lines)


def _rejected(spec: TableSpec, row: str, finding: Finding) -> dict[str, Any]:
    return {
        "id": content_id("quarantine", spec.name, row, finding.expectation, finding.column),
        "origin": "checks",
        "table": spec.name,
        "row": row,
        "reason": f"{finding.expectation} on {finding.column}",
        "value": finding.detail,
    }
