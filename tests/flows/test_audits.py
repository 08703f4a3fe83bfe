"""Audits in the flow: a bad row is set aside and named, too many refuse the table, and reports say which and why."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from mlflow.entities import Run

from features.checks import ChecksFailedError
from flows import lifecycle
from flows.features import build_clips, build_evaluation_cases, build_pairs
from flows.job import Job
from flows.steps import PlainSteps
from stores.feature_store import FeatureStore
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt, receipt_path, save_receipt
from stores.schema import CASES, EDIT_PAIRS, EDIT_REQUESTS, QUARANTINE, TableSpec
from stores.state import State
from tests.world import World, build_world, raw_folder, tiny_params

T = TypeVar("T")
# On its first import great_expectations reads modules that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")
FEW = "features.pairs.one={image_edit: 12, text_to_image: 0, text_to_video: 2, validation_share: 0.2, " + (
    "tasks: {add: 1, remove: 1, replace: 1, global: 1}, shard: 8}"
)


@dataclass
class Spoiling(PlainSteps):
    """Plain steps of which one finds some rows of a table spoilt, as a broken disk or encoder would leave them."""

    before: str
    store: FeatureStore
    spec: TableSpec
    change: Callable[[dict], dict]
    rows: int = 1

    def run(self, name: str, work: Callable[[], T]) -> T:
        if name == self.before:
            found = self.store.draft(self.spec).to_pylist()[: self.rows]
            self.spoilt = [row["id"] for row in found]
            self.store.upsert(self.spec, [row | self.change(row) for row in found], replace=True)
        return super().run(name, work)


def _with_infinity(row: dict) -> dict:
    latents = np.frombuffer(row["target_latents"], "<f2").copy()
    latents[5] = np.inf
    return {"target_latents": latents.tobytes()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = build_world(tmp_path_factory.mktemp("audits"), tiny_params(FEW))
    save_receipt(made.clips, made.state)
    return made


@pytest.fixture(scope="module")
def clean(world: World) -> Receipt:
    return build_pairs(_job(world), PlainSteps(), "one", world.adopted)


def _job(world: World, *overrides: str) -> Job:
    return Job(tiny_params(FEW, *overrides), world.state)


def _mlflow_run(state: State, stage: str) -> Run:
    client = Tracking(state).client
    experiment = client.get_experiment_by_name("features")
    found = client.search_runs([experiment.experiment_id], f"tags.`moviegen.stage` = '{stage}'", max_results=1)
    return found[0]


def _artifacts(state: State, stage: str) -> dict[str, str]:
    """Files of the newest MLflow run of a stage, as text."""
    home = Path(_mlflow_run(state, stage).info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(home)): path.read_text() for path in sorted(home.rglob("*")) if path.is_file()}


def _reports(state: State, stage: str) -> dict[str, str]:
    home = state.outputs / "checks" / stage
    return {str(path.relative_to(home)): path.read_text() for path in sorted(home.rglob("*")) if path.is_file()}


FILES = {"report.html", "checks.md", "data_docs/index.html", "data_docs/expectations.html"}


def test_a_table_that_passes_is_reported_in_files_and_in_mlflow(world: World, clean: Receipt) -> None:
    reports = _reports(world.state, "pairs-one")
    assert set(reports) == FILES and f"Published: {clean.figures['rows']} rows" in reports["report.html"]
    logged = _artifacts(world.state, "pairs-one")
    assert {f"checks/{name}" for name in FILES} | {"edit_pairs.json"} == set(logged)
    assert all(logged[f"checks/{name}"] == text for name, text in reports.items())
    assert _mlflow_run(world.state, "pairs-one").info.status == "FINISHED"


def test_an_infinite_latent_is_set_aside_named_and_made_anew(world: World, clean: Receipt) -> None:
    """LanceDB takes it, Great Expectations does not; the next run makes the row again."""
    store, job = FeatureStore(world.state.store, "pairs-one"), _job(world, "features.checks.min_pass_share=0.9")
    steps = Spoiling("check pairs", store, EDIT_PAIRS, _with_infinity)
    receipt = build_pairs(job, steps, "one", world.adopted)
    (bad,) = steps.spoilt
    assert receipt.figures == {"rows": clean.figures["rows"] - 1, "planned": clean.figures["planned"]}
    assert bad not in store.open(receipt.table(EDIT_PAIRS.name)).rows(["id"])["id"].to_pylist()
    (aside,) = store.draft(QUARANTINE, where="`row` = '" + bad + "' AND reason LIKE '%finite'").to_pylist()
    assert (aside["origin"], aside["table"]) == ("checks", "edit_pairs") and float(aside["value"]) < 1
    for name in ("report.html", "checks.md", "data_docs/index.html"):
        assert bad in _reports(world.state, "pairs-one")[name]
    assert bad in _artifacts(world.state, "pairs-one")["quarantine.json"]
    assert build_pairs(job, PlainSteps(), "one", world.adopted) == clean
    assert store.draft(QUARANTINE).num_rows == 0


def test_a_failing_table_is_not_published_and_the_flow_says_what_and_which(world: World, clean: Receipt) -> None:
    store, job = FeatureStore(world.state.store, "pairs-one"), _job(world, "features.checks.min_pass_share=0.9")
    receipt_path(world.state, "pairs-one").unlink()
    before = store._opened(EDIT_PAIRS.name).tags.list()
    steps = Spoiling("check pairs", store, EDIT_PAIRS, _with_infinity, rows=5)
    with pytest.raises(ChecksFailedError, match="5 of 17 rows fail") as refused:
        build_pairs(job, steps, "one", world.adopted)
    told = str(refused.value)
    assert "expect_column_values_to_be_between on finite" in told and all(row in told for row in steps.spoilt)
    assert not receipt_path(world.state, "pairs-one").exists()
    assert store._opened(EDIT_PAIRS.name).tags.list() == before and not store.draft(QUARANTINE).num_rows
    run = _mlflow_run(world.state, "pairs-one")
    assert run.info.status == "FAILED" and "Not published" in run.data.tags["mlflow.note.content"]
    for text in (
        *_reports(world.state, "pairs-one").values(),
        _artifacts(world.state, "pairs-one")["checks/checks.md"],
    ):
        assert steps.spoilt[0] in text or "Expectation Suite Name" in text
    store.retain(EDIT_PAIRS, sorted(store.ids(EDIT_PAIRS) - set(steps.spoilt)))
    assert build_pairs(job, PlainSteps(), "one", world.adopted) == clean


def test_a_bad_case_gets_no_request(world: World) -> None:
    store = FeatureStore(world.state.store, "cases")
    whole = build_evaluation_cases(_job(world), PlainSteps())
    assert set(_reports(world.state, "cases")) == FILES
    steps = Spoiling("check cases", store, CASES, lambda row: {"truth": row["source"]})
    receipt = build_evaluation_cases(_job(world, "features.checks.min_pass_share=0.8"), steps)
    (bad,) = steps.spoilt
    assert (
        receipt.figures["cases"] == whole.figures["cases"] - 1
        and receipt.figures["requests"] < whole.figures["requests"]
    )
    names = store.open(receipt.table(EDIT_REQUESTS.name)).rows(["name"])["name"].to_pylist()
    assert not [name for name in names if bad in name]
    assert "truth_differs" in _reports(world.state, "cases")["checks.md"]
    assert build_evaluation_cases(_job(world), PlainSteps()) == whole


def test_an_empty_folder_of_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_folder(tmp_path / "raw", photos=0, clips=())
    job = Job(tiny_params(f"data={raw}"), State.at(tmp_path / "state"))
    with pytest.raises(ChecksFailedError, match=r"expect_table_row_count_to_be_between on the table: 0"):
        build_clips(job, PlainSteps())
    assert not receipt_path(job.state, "clips").exists()
    assert "the table is not empty" in _reports(job.state, "clips")["report.html"]
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    command = ["lifecycle", "clips", "--state", str(job.state.root), "--set", f"data={raw}"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match="moviegen-edit: table 'clips' is not published"):
        lifecycle.main()
