"""Reports of checks: what a person sees of a table, offline, whatever stands in it."""

import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from features.cases import build_cases, case_checks
from features.check_report import Counts, Histogram, check_report, write_report
from features.check_tables import CaseChecks, ClipChecks, PairChecks, TableChecks
from features.checks import Audit, audit_and_quarantine, check
from features.data_docs import offline
from features.fidelity import pair_checks
from features.params import CheckParams
from features.plan import plan_pairs
from stores.feature_store import FeatureStore
from stores.schema import CASES, CLIPS, EDIT_PAIRS
from tests.features.conftest import Made

pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
PARAMS = CheckParams(min_pass_share=0.5, max_abs_latent=50.0, max_instruction=400, decoded_rows=2, min_decode_psnr=0.0)
TASKS = ("add", "remove", "replace", "global")
HOSTILE = '<img src="https://example.org/x.png"><script>alert(1)</script> | `</td>`'


@dataclass(frozen=True)
class Table:
    """A table in a store of its own, with its checks."""

    checks: TableChecks
    store: FeatureStore

    def audit(self, docs: Path | None = None) -> Audit:
        return audit_and_quarantine(self.checks, self.store, PARAMS, docs)


@pytest.fixture
def pairs(made: Made, tmp_path: Path) -> Table:
    store = FeatureStore(tmp_path, "pairs-one")
    store.upsert(EDIT_PAIRS, made.pair_rows)
    return Table(pair_checks(plan_pairs(made.params.features.pairs["one"]), made.setting, store), store)


@pytest.fixture
def clips(made: Made, tmp_path: Path) -> Table:
    store = FeatureStore(tmp_path, "clips")
    store.upsert(CLIPS, made.rows(CLIPS.name).to_pylist())
    return Table(ClipChecks(), store)


@pytest.fixture(scope="module")
def composed(made: Made, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = FeatureStore(tmp_path_factory.mktemp("cases"), "cases")
    build_cases(made.setting.compose, TASKS, store)
    return store


@pytest.fixture
def cases(made: Made, composed: FeatureStore, tmp_path: Path) -> Table:
    store = FeatureStore(tmp_path, "cases")
    store.upsert(CASES, composed.draft(CASES).to_pylist())
    return Table(case_checks(made.setting.compose, TASKS), store)


class _Fetched(HTMLParser):
    """What a browser would fetch, run, or follow abroad."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        addresses = [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        self.found += [address for address in addresses if not address.startswith(("data:", "#"))]


def _counted(counts: Counts) -> dict[str, int]:
    return {line.name: sum(line.counts) for line in counts.lines}


@pytest.mark.parametrize("table", ["clips", "pairs", "cases"])
def test_a_report_asks_nothing_of_a_network_and_runs_nothing(
    table: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    made: Table = request.getfixturevalue(table)
    audit = made.audit(tmp_path / "out" / "data_docs")
    assert audit.published and not audit.failed
    write_report(audit, made.checks.spec, made.store, tmp_path / "out")
    pages = {str(path.relative_to(tmp_path / "out")): path.read_text() for path in (tmp_path / "out").rglob("*.html")}
    assert set(pages) == {"report.html", "data_docs/index.html", "data_docs/expectations.html"}
    for name, page in pages.items():
        fetched = _Fetched(page)
        assert not fetched.tags & {"script", "link", "iframe", "object"}, name
        assert set(fetched.found) <= {"index.html", "expectations.html"}, name
        assert not re.search(r"url\(|@import", page), name
    assert "Published: " in pages["report.html"] and "data:image/webp;base64," in pages["report.html"]
    assert not list(tmp_path.rglob("*.partial"))


def test_counts_and_numbers_are_those_of_the_table(pairs: Table, made: Made) -> None:
    report = check_report(pairs.audit(), EDIT_PAIRS, pairs.store)
    rows = made.pair_rows
    tasks, groups = report.counts
    assert _counted(tasks) == {task: sum(row["task"] == task for row in rows) for task in {r["task"] for r in rows}}
    assert _counted(groups) == {"image_edit": 24, "text_to_video": 5} and groups.columns == ("train", "validation")
    for counts in report.counts:
        assert max(sum(line.shares) for line in counts.lines) == pytest.approx(100, abs=0.2)
    shares = next(histogram for histogram in report.histograms if "change" in histogram.name)
    edits = [row["edit_share"] for row in rows if row["edit_share"] is not None]
    assert shares.rows == len(edits) and max(shares.heights) == 100
    assert float(shares.least) == pytest.approx(min(edits), rel=1e-3)
    assert float(shares.most) == pytest.approx(max(edits), rel=1e-3)
    assert {example.title for example in report.examples} == {row["task"] for row in rows}


def test_a_failing_row_is_shown_with_what_it_has_and_a_hostile_value_stays_text(pairs: Table, tmp_path: Path) -> None:
    row = pairs.store.draft(EDIT_PAIRS, where="`group` = 'image_edit'").to_pylist()[0]
    pairs.store.upsert(EDIT_PAIRS, [row | {"instruction": HOSTILE, "task": HOSTILE}], replace=True)
    refused = check(pairs.checks, pairs.store, PARAMS, tmp_path / "out" / "data_docs")
    write_report(refused, EDIT_PAIRS, pairs.store, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert row["id"] in page and "Not published: 1 of 29 rows fail" in page
    assert row["id"] in (tmp_path / "out" / "checks.md").read_text()
    for path in (tmp_path / "out").rglob("*.html"):
        fetched = _Fetched(path.read_text())
        assert not fetched.tags & {"script", "link"} and not [x for x in fetched.found if x.startswith("http")]
    failing = check_report(refused, EDIT_PAIRS, pairs.store).failing
    assert {each.column for each in failing} == {"task", "instruction_agrees"}
    assert all(each.picture.startswith("data:image/webp") and HOSTILE in each.about for each in failing)


def test_an_empty_table_has_a_report(made: Made, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "clips")
    for checks in (ClipChecks(), pair_checks([], made.setting, store), case_checks(made.setting.compose, TASKS)):
        audit = check(checks, store, PARAMS)
        write_report(audit, checks.spec, store, tmp_path / "out")
        page = (tmp_path / "out" / "report.html").read_text()
        assert "Not published" in page and "the table is not empty" in page


def test_equal_numbers_have_a_histogram_and_unknown_ones_none(clips: Table) -> None:
    audit = clips.audit()
    audit = replace(audit, summary=audit.summary.assign(motion=0.0, cut=float("nan"), sharpness=float("inf")))
    histograms = {one.name: one for one in check_report(audit, CLIPS, clips.store).histograms}
    assert isinstance(histograms["Motion"], Histogram) and sum(histograms["Motion"].heights) == 100
    assert not {"Strongest cut", "Sharpness"} & set(histograms)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda row: {"truth": row["source"]}, "truth_differs"),
        (lambda row: {"decoys": [*row["decoys"][1:], row["truth"]]}, "decoys_differ"),
        (lambda row: {"decoys": []}, "decoys"),
        (lambda row: {"decoys": row["decoys"] + row["decoys"] * 3}, "decoys"),
        (lambda row: {"wrong_instruction": row["instruction"]}, "wrong_differs"),
        (lambda row: {"instruction": "juggle the apples"}, "instruction_agrees"),
        (lambda row: {"task": "identity", "instruction": "do nothing to it"}, "task"),
        (lambda row: {"truth": row["truth"][:-20]}, "frames_agree"),
        (lambda row: {"source": None}, "frames_agree"),
        (lambda row: {"width": 31}, "frames_agree"),
        (lambda row: {"scene": "elsewhere"}, "scene_side"),
        (lambda row: {"clip_ids": []}, "clips"),
        (lambda row: {"fps": 0.0}, "fps"),
        (lambda row: {"kind": "poem"}, "kind"),
        (lambda row: {"wrong_instruction": None}, "wrong_instruction"),
    ],
)
def test_a_faulty_case_is_named_and_set_aside(cases: Table, change, column: str) -> None:
    row = cases.store.draft(CASES).to_pylist()[0]
    cases.store.upsert(CASES, [row | change(row)], replace=True)
    audit = cases.audit()
    assert column in {finding.column for finding in audit.failed}
    assert audit.bad_rows == {row["id"]} and row["id"] not in cases.store.ids(CASES)


def test_a_case_of_a_training_scene_is_named(cases: Table, made: Made) -> None:
    (scene, *_) = made.setting.compose.train.scenes
    row = cases.store.draft(CASES).to_pylist()[0]
    cases.store.upsert(CASES, [row | {"scene": scene}], replace=True)
    assert {finding.column: finding.rows for finding in cases.audit().failed} == {"scene_side": (row["id"],)}


def test_the_checks_of_a_table_know_what_was_planned(pairs: Table, cases: Table) -> None:
    assert isinstance(pairs.checks, PairChecks) and isinstance(cases.checks, CaseChecks)
    assert pairs.checks.rows == 29 and cases.checks.rows == 10
    assert set(pairs.checks.decoded) <= pairs.store.ids(EDIT_PAIRS) and len(pairs.checks.decoded) > 2


def test_offline_is_done_once() -> None:
    page = '<html><head><script src="https://a/b.js"></script><link href="https://a/c.css"></head><body>'
    page += '<a href="https://a">a word</a> <img src="https://a/d.png">'
    page += '<a href="../../expectations/t.html">t</a></body></html>'
    once = offline(page)
    assert "https" not in once and "a word" in once and 'href="expectations.html"' in once and "<style>" in once
