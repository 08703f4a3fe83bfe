"""The report of a table's checks for people: one HTML page and a Markdown text, from the audit and the table itself."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from features.check_page import PAGE
from features.checks import Audit, Finding
from stores.clip_writer import encode_picture
from stores.feature_store import FeatureStore
from stores.frames import PackedFramesError, unpack_frames
from stores.schema import CASES, CLIPS, EDIT_PAIRS, QUARANTINE, TableSpec

BINS = 24
MOST_FAILING, MOST_ASIDE, MOST_EXAMPLES = 20, 100, 24
HTML, MARKDOWN = "report.html", "checks.md"


@dataclass(frozen=True)
class View:
    """What of a table is shown: counts of one column by another, spread of numbers, an example of each kind of row."""

    counts: tuple[tuple[str, str], ...]
    numbers: Mapping[str, str]
    example_of: str
    about: tuple[str, ...]
    pictures: tuple[str, ...]


VIEWS: Mapping[str, View] = {
    CLIPS.name: View(
        (("kind", "split"),),
        {"sharpness": "Sharpness", "brightness": "Brightness, of 255", "contrast": "Contrast", "motion": "Motion",
         "frames": "Frames", "cut": "Strongest cut"},
        "kind", ("caption",), ("preview",),
    ),
    EDIT_PAIRS.name: View(
        (("task", "split"), ("group", "split")),
        {"edit_share": "Share of pixels that change", "decoded_psnr": "PSNR of decoded latents, dB",
         "largest": "Largest latent", "deviation": "Deviation of latents", "text_tokens": "Tokens of text"},
        "task", ("instruction",), ("preview",),
    ),
    CASES.name: View(
        (("task", "kind"), ("scene", "kind")), {"decoys": "Decoys"},
        "task", ("instruction",), ("source", "truth"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """A line of the header."""

    name: str
    value: str


@dataclass(frozen=True)
class CountLine:
    """How many rows have a value, by column, and those counts in percent of the longest line."""

    name: str
    counts: tuple[int, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Counts:
    """Rows by two of their columns."""

    row: str
    columns: tuple[str, ...]
    lines: tuple[CountLine, ...]


@dataclass(frozen=True)
class Histogram:
    """How a number is spread over rows; heights in percent of the fullest bin."""

    name: str
    rows: int
    heights: tuple[float, ...]
    least: str
    median: str
    most: str


@dataclass(frozen=True)
class Example:
    """A row with its picture, as a data URI."""

    id: str
    title: str
    about: str
    picture: str


@dataclass(frozen=True)
class FailingRow:
    """A row with one expectation that it misses; `about` says what the row is."""

    id: str
    about: str
    picture: str
    told: str
    column: str
    value: str


@dataclass(frozen=True)
class AsideRow:
    """A row of `quarantine`."""

    origin: str
    row: str
    reason: str
    value: str


@dataclass(frozen=True)
class CheckReport:
    """All that the page shows."""

    title: str
    verdict: str
    published: bool
    facts: tuple[Fact, ...]
    counts: tuple[Counts, ...]
    histograms: tuple[Histogram, ...]
    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]
    failing: tuple[FailingRow, ...]
    more: int
    aside: tuple[AsideRow, ...]


def write_report(audit: Audit, spec: TableSpec, store: FeatureStore, folder: Path) -> None:
    """Write `report.html` and `checks.md` into a folder, each in one atomic step."""
    report = check_report(audit, spec, store)
    page = jinja2.Environment(autoescape=True).from_string(PAGE).render(report=report)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((HTML, page), (MARKDOWN, audit.text())):
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, folder / name)


def check_report(audit: Audit, spec: TableSpec, store: FeatureStore) -> CheckReport:
    """What is shown of a table after its audit."""
    view, summary = VIEWS[spec.name], audit.summary
    passed = sum(finding.success for finding in audit.findings)
    failing = [(row, finding) for finding in audit.failed for row in finding.failed]
    shown = failing[:MOST_FAILING]
    examples = _first_of_each(summary.loc[~summary["id"].isin(audit.bad_rows)], view.example_of)
    pictures = _pictures(store, spec, view, [*examples["id"], *(row.id for row, _ in shown)])
    told = {str(row["id"]): ", ".join(str(row[name]) for name in view.about) for row in summary.to_dict("records")}
    return CheckReport(
        title=f"Data checks of {spec.name}, stage {store.folder}",
        verdict=audit.verdict(),
        published=audit.published,
        facts=(
            Fact("Rows", str(audit.rows)),
            Fact("Rows that fail", str(len(audit.bad_rows))),
            Fact("Expectations that passed", f"{passed} of {len(audit.findings)}"),
            Fact("Set aside, all told", str(store.draft(QUARANTINE, ["id"]).num_rows)),
        ),
        counts=tuple(_counts(summary, row, column) for row, column in view.counts),
        histograms=tuple(_histograms(summary, view.numbers)),
        examples=tuple(
            Example(row["id"], str(row[view.example_of]), told[row["id"]], pictures[row["id"]])
            for row in examples.to_dict("records")
            if pictures.get(row["id"])
        ),
        findings=audit.findings,
        failing=tuple(
            FailingRow(row.id, told.get(row.id, ""), pictures.get(row.id, ""), one.told, one.column, row.value)
            for row, one in shown
        ),
        more=len(failing) - len(shown),
        aside=tuple(AsideRow(**row) for row in _aside(store)),
    )


def _aside(store: FeatureStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.draft(QUARANTINE, ["origin", "row", "reason", "value"]).to_pylist()
    return rows[:MOST_ASIDE]


def _counts(summary: pd.DataFrame, row: str, column: str) -> Counts:
    """Lines and columns in falling order of how many rows they hold."""
    table = pd.crosstab(summary[row].fillna("none"), summary[column].fillna("none"))
    rows, columns = (table.sum(axis=axis).sort_values(ascending=False, kind="stable").index for axis in (1, 0))
    table = table.loc[rows, columns]
    longest = int(table.sum(axis=1).max()) if len(table) else 1
    lines = (
        CountLine(str(name), tuple(map(int, counts)), tuple(round(100 * int(count) / longest, 1) for count in counts))
        for name, counts in zip(table.index, table.to_numpy(), strict=True)
    )
    return Counts(row, tuple(map(str, table.columns)), tuple(lines))


def _histograms(summary: pd.DataFrame, numbers: Mapping[str, str]) -> list[Histogram]:
    found = []
    for column, name in numbers.items():
        values = pd.to_numeric(summary[column], errors="coerce").to_numpy(dtype=np.float64)
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        bins, _ = np.histogram(values, BINS)
        ends = (f"{value:.4g}" for value in (values.min(), float(np.median(values)), values.max()))
        heights = tuple(round(100 * float(count) / float(bins.max()), 1) for count in bins)
        found.append(Histogram(name, len(values), heights, *ends))
    return found


def _first_of_each(summary: pd.DataFrame, column: str) -> pd.DataFrame:
    """As many rows of every value, up to so many: the summary is in the order of ids, which are hashes."""
    first = summary.groupby(column, sort=True).head(max(1, MOST_EXAMPLES // max(1, summary[column].nunique())))
    return first.sort_values([column, "id"], kind="stable").head(MOST_EXAMPLES)


def _pictures(store: FeatureStore, spec: TableSpec, view: View, ids: Sequence[str]) -> dict[str, str]:
    """Data URIs of rows, by id: their preview, or the first frames of their packed clips side by side."""
    listed = ", ".join(f"'{key}'" for key in dict.fromkeys(ids) if "'" not in key)
    if not listed:
        return {}
    rows = store.draft(spec, ["id", *view.pictures], where=f"id IN ({listed})").to_pylist()
    return {row["id"]: _uri([row[name] for name in view.pictures]) for row in rows}


def _uri(cells: Sequence[bytes | None]) -> str:
    if len(cells) == 1:
        data = cells[0] or b""
    else:
        try:
            clips = [unpack_frames(cell or b"") for cell in cells]
            data = encode_picture(np.concatenate([clip[0] for clip in clips], axis=1))
        except (PackedFramesError, ValueError, IndexError):
            data = b""  # damaged: there is a finding that says so
    return f"data:{_kind(data)};base64,{base64.b64encode(data).decode()}" if data else ""


def _kind(data: bytes) -> str:
    return "image/webp" if data[8:12] == b"WEBP" else "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
