"""Great Expectations over table summaries: write, then audit, then publish."""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from features.check_tables import TableChecks, columns_summary
from features.data_docs import write_offline
from features.params import CheckParams
from stores.feature_store import FeatureStore
from stores.schema import QUARANTINE, TableSpec, content_id

if TYPE_CHECKING:
    from features.check_suites import Suite

ORIGIN = "checks"
DOCS = "pages"
LONGEST = 300  # letters of a value in a finding
RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": ["id"],
    "include_unexpected_rows": False,
}


@dataclass(frozen=True)
class FailedRow:
    """A row that misses an expectation, and what it has instead."""

    id: str
    value: str


@dataclass(frozen=True)
class Finding:
    """One expectation and how it went; `failed` are the rows that miss it, empty where the whole table does.

    `told` says it in words, `asked` what exactly was expected, `detail` what was found.
    """

    expectation: str
    column: str
    told: str
    asked: str
    success: bool
    failed: tuple[FailedRow, ...]
    detail: str

    @property
    def rows(self) -> tuple[str, ...]:
        """Ids of the rows that miss it."""
        return tuple(row.id for row in self.failed)


@dataclass(frozen=True)
class Audit:
    """What Great Expectations found in a table, and the summary that it looked at. `published` once it may be."""

    table: str
    summary: pd.DataFrame
    findings: tuple[Finding, ...]
    published: bool = False

    @property
    def rows(self) -> int:
        return len(self.summary)

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.success)

    @property
    def bad_rows(self) -> frozenset[str]:
        """Ids of the rows that miss any expectation."""
        return frozenset(row for finding in self.failed for row in finding.rows)

    @property
    def whole(self) -> tuple[Finding, ...]:
        """What the table misses as a whole."""
        return tuple(finding for finding in self.failed if not finding.rows)

    def verdict(self) -> str:
        """What became of the table, in a sentence."""
        if not self.published:
            return f"Not published: {len(self.bad_rows)} of {self.rows} rows fail"
        aside = f", {len(self.bad_rows)} set aside in `quarantine`" if self.bad_rows else ""
        return f"Published: {self.rows - len(self.bad_rows)} rows{aside}"

    def text(self) -> str:
        """The findings as Markdown, failing rows by id."""
        lines = [f"# Data checks of `{self.table}`", "", f"{self.rows} rows. {self.verdict()}.", ""]
        lines += ["| passed | expectation | column | exactly | rows that miss it |", "|---|---|---|---|---|"]
        for one in self.findings:
            passed, missed = "yes" if one.success else "**no**", len(one.failed) or ""
            exactly = f"`{one.expectation} {one.asked}`"
            lines.append(f"| {passed} | {one.told} | {one.column} | {exactly} | {missed} |")
        for one in self.failed:
            lines += ["", f"## Failed: {one.told} (`{one.column}`)", ""]
            lines += [f"* `{row.id}`: {row.value}" for row in one.failed] or [f"* the whole table: {one.detail}"]
        return "\n".join(lines) + "\n"


class ChecksFailedError(RuntimeError):
    """A table that was not published; the message names the failed expectations and some rows."""

    def __init__(self, audit: Audit) -> None:
        super().__init__(audit)  # what it is made from anew, when it comes from another process
        self.audit = audit

    def __str__(self) -> str:
        return _refusal(self.audit)


def audit_and_quarantine(
    checks: TableChecks, store: FeatureStore, params: CheckParams, docs: Path | None = None
) -> Audit:
    """Check the draft of a table; move single failing rows to quarantine; refuse the table if too much fails.

    Raises:
        ChecksFailedError: an expectation on the whole table fails, or too few rows pass. Nothing was changed.
    """
    audit = check(checks, store, params, docs)
    bad = audit.bad_rows
    if audit.whole or len(bad) > (1 - params.min_pass_share) * audit.rows:
        raise ChecksFailedError(audit)
    rejected = [_rejected(checks.spec, row, finding) for finding in audit.failed for row in finding.failed]
    store.quarantine(rejected)
    if store.has(QUARANTINE):
        # What passes by now leaves the quarantine again; other origins look after their own rows.
        others = store.draft(QUARANTINE, ["id"], where=f"origin != '{ORIGIN}' OR `table` != '{checks.spec.name}'")
        store.retain(QUARANTINE, [*others["id"].to_pylist(), *(row["id"] for row in rejected)])
    if bad:
        store.retain(checks.spec, sorted(store.ids(checks.spec) - bad))
    return replace(audit, published=True)


def check(checks: TableChecks, store: FeatureStore, params: CheckParams, docs: Path | None = None) -> Audit:
    """Run the suite of a table over the summary of its draft; `docs` is a folder for the Data Docs of this run."""
    from features.check_suites import column_suite, suite_of

    table = store.draft(checks.spec)
    summary = checks.summary(table)
    columns = _validate(columns_summary(table, checks.spec.schema), column_suite(), f"{checks.spec.name} columns", None)
    rows = _validate(summary, suite_of(checks, params), checks.spec.name, docs)
    return Audit(checks.spec.name, summary, (*rows, *(_of_table(finding) for finding in columns)))


def _validate(summary: pd.DataFrame, suite: "Suite", name: str, docs: Path | None) -> list[Finding]:
    """Every expectation with its result, in the suite's order."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    context = _quiet_context()
    asset = context.data_sources.add_pandas("lance").add_dataframe_asset(name)
    expected = context.suites.add(gx.ExpectationSuite(name, expectations=suite))
    batch = asset.add_batch_definition_whole_dataframe("all rows")
    validation = gx.ValidationDefinition(name=name, data=batch, suite=expected)
    with tempfile.TemporaryDirectory() as site:
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[context.validation_definitions.add(validation)],
            actions=[_site_in(context, site)] if docs else [],
            result_format=RESULT_FORMAT,
        )
        told = {"dataframe": summary}
        made = context.checkpoints.add(checkpoint).run(batch_parameters=told, run_id=RunIdentifier(run_name=name))
        if docs:
            write_offline(Path(site), docs)
    (run,) = made.run_results.values()
    order = [expectation.id for expectation in expected.expectations]
    return [_finding(one) for one in sorted(run.results, key=lambda one: order.index(one.expectation_config.id))]


def _quiet_context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _site_in(context: Any, folder: str) -> Any:
    """The action that builds Data Docs in a folder."""
    from great_expectations.checkpoint import UpdateDataDocsAction

    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder}
    context.add_data_docs_site(
        DOCS, {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store}
    )
    return UpdateDataDocsAction(name=DOCS, site_names=[DOCS])


def _finding(result: Any) -> Finding:
    config, found = result.expectation_config, result.result or {}
    kwargs = {key: value for key, value in config.kwargs.items() if key not in ("batch_id", "column", "row_condition")}
    column = str(config.kwargs.get("column", "the table"))
    failed = [
        FailedRow(str(entry["id"]), _worded(entry.get(column))) for entry in found.get("unexpected_index_list") or []
    ]
    # A missing column hides its reason in the exception info.
    errors = [] if result.success else [str(result.exception_info)]
    seen = found.get("observed_value", found.get("partial_unexpected_list", ""))
    return Finding(
        expectation=str(config.type),
        column=column,
        told=str(config.notes or ""),
        asked=", ".join(f"{key} {_worded(value)}" for key, value in sorted(kwargs.items())),
        success=bool(result.success),
        failed=tuple(failed),
        detail=(_worded(seen) if seen != "" else " ".join(errors))[:LONGEST],
    )


def _of_table(finding: Finding) -> Finding:
    """A finding whose "rows" are columns of the table: it is the table that misses it."""
    if finding.success:
        return finding
    return replace(finding, failed=(), detail=f"columns {', '.join(finding.rows) or finding.detail}")


def _worded(value: Any) -> str:
    return json.dumps(value, default=str)[:LONGEST]


def _refusal(audit: Audit) -> str:
    lines = [f"table {audit.table!r} is not published: {len(audit.bad_rows)} of {audit.rows} rows fail"]
    for finding in audit.failed:
        rows = f"; rows {', '.join(finding.rows[:5])}" if finding.rows else ""
        lines.append(f"  {finding.expectation} on {finding.column}: {finding.detail}{rows} ({finding.told})")
    return "\n".join(lines)


def _rejected(spec: TableSpec, row: FailedRow, finding: Finding) -> dict[str, Any]:
    return {
        "id": content_id("quarantine", spec.name, row.id, finding.expectation, finding.column),
        "origin": ORIGIN,
        "table": spec.name,
        "row": row.id,
        "reason": f"{finding.expectation} on {finding.column}",
        "value": row.value,
    }
