"""dvc.yaml and prefect.yaml say the same as the code: stages, keys, files, receipts, flows and schedules."""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.params import Params
from flows.settings import ROOT
from flows.stages import BY_DEFAULT, CHAIN
from stores.receipts import ModelReceipt, Receipt, TableReceipt, receipt_path, witness_path
from stores.state import State

DVC: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PREFECT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
NAMES = [stage.name for stage in CHAIN]
# What each stage waits for. A change of wiring is meant to be seen here.
GRAPH = {
    "clips": [],
    "adopt": [],
    "pairs-one": ["clips", "adopt"],
    "cases": ["clips"],
    "one": ["pairs-one", "adopt"],
    "edits-one": ["cases", "one"],
    "requests-two": ["clips"],
    "answers-two": ["requests-two", "one"],
    "pairs-two": ["clips", "adopt", "requests-two", "answers-two"],
    "two": ["pairs-two", "adopt", "one"],
    "edits-two": ["cases", "two"],
    "requests-three": ["clips"],
    "answers-three": ["requests-three", "two"],
    "pairs-three": ["clips", "adopt", "requests-three", "answers-three", "pairs-two"],
    "three": ["pairs-three", "adopt", "two"],
    "edits-three": ["cases", "three"],
    "samples": ["three"],
    "evaluation": ["cases", "one", "edits-one", "two", "edits-two", "three", "edits-three"],
}
FLOWS = {"features", "training", "inference", "evaluate", "lifecycle"}
DEPLOYMENTS = PREFECT["deployments"]


def outs(stage: str) -> list[str]:
    """Paths of a stage's outs; all are plain files in git or in the store, none in DVC's cache."""
    found = [*DVC[stage]["outs"], *DVC[stage].get("metrics", [])]
    assert all(isinstance(out, Mapping) and [told["cache"] for told in out.values()] == [False] for out in found), stage
    return [path for out in found for path in out]


def test_the_stages_are_those_of_the_chain_in_its_order() -> None:
    assert list(DVC) == ["pretrain", *NAMES]


@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_runs_itself(stage: str) -> None:
    assert DVC[stage]["cmd"] == f"python -m flows.lifecycle {stage}"
    assert DVC[stage]["desc"]


def test_the_graph() -> None:
    receipts = {stage: [Path(dep).stem for dep in DVC[stage]["deps"] if dep.startswith("receipts/")] for stage in NAMES}
    assert receipts == GRAPH


def test_a_stage_waits_only_for_earlier_ones() -> None:
    for number, stage in enumerate(NAMES):
        assert set(GRAPH[stage]) <= set(NAMES[:number]), stage


@pytest.mark.parametrize("stage", DVC)
def test_every_dependency_is_there_or_made(stage: str) -> None:
    made = {path for name in DVC for path in outs(name)}
    for dep in DVC[stage]["deps"]:
        assert dep in made or (ROOT / dep).exists(), dep
    assert len(set(DVC[stage]["deps"])) == len(DVC[stage]["deps"])


@pytest.mark.parametrize("stage", DVC)
def test_every_key_is_in_the_parameters(stage: str) -> None:
    for key in DVC[stage].get("params", []):
        place: Any = yaml.safe_load((ROOT / "params.yaml").read_text())
        for part in key.split("."):
            assert part in place, key
            place = place[part]


@pytest.mark.parametrize("stage", NAMES)
def test_outs_are_the_receipt_and_its_witness(stage: str) -> None:
    state = State(Path())
    makes_models = any(path.startswith("mlflow/") for path in outs(stage))
    table = TableReceipt(folder=stage, table="any", rows=0, digest="", columns={})
    model = ModelReceipt(name="any", digest="")
    made = {"models": {"any": model}} if makes_models else {"tables": {"any": table}}
    witness = witness_path(state, Receipt.model_validate({"stage": stage, **made}))
    assert outs(stage)[:2] == [str(receipt_path(state, stage)), str(witness)]
    assert outs(stage)[2:] == (["metrics/evaluation.json"] if stage == "evaluation" else [])


def test_the_run_cache_stays_out() -> None:
    """After `dvc commit` it would bring back the witness of a store that is gone, and the stage would not rerun."""
    for stage in NAMES:
        receipt, witness = DVC[stage]["outs"][:2]
        assert [told.get("persist") for told in receipt.values()] == [True], stage
        assert [told.get("persist") for told in witness.values()] == [None], "a run removes it first"


def test_git_tracks_receipts_and_ignores_witnesses() -> None:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    folders = {stage: [path.partition("/")[0] for path in outs(stage)] for stage in NAMES}
    assert all(first not in ignored and second in ignored for first, second, *_ in folders.values())
    assert "metrics" not in ignored


def test_pretraining_is_frozen() -> None:
    assert [stage for stage in DVC if DVC[stage].get("frozen")] == ["pretrain"]
    assert outs("pretrain") == ["receipts/pretrain.json"]


def test_every_stage_belongs_to_a_flow() -> None:
    assert {stage.flow for stage in CHAIN} == FLOWS - {"lifecycle"}
    assert set(BY_DEFAULT) == FLOWS and list(BY_DEFAULT["lifecycle"]) == NAMES
    for names in BY_DEFAULT.values():
        assert list(names) == [name for name in NAMES if name in names], "in the order of the chain"
    pipelines = [BY_DEFAULT[flow] for flow in FLOWS - {"lifecycle"}]
    assert {name for names in pipelines for name in names} == set(NAMES)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["entrypoint"])
def test_a_deployment_imports_and_works_unedited(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    assert ":" not in module, "by file, Prefect would put flows/ on the path, where features.py hides features/"
    flow = getattr(importlib.import_module(module), name)
    assert deployment["description"] and deployment["work_pool"] == {"name": "local", "work_queue_name": "default"}
    parameters = inspect.signature(flow.fn).parameters
    assert not [key for key, told in parameters.items() if told.default is inspect.Parameter.empty]
    assert flow.validate_parameters({key: told.default for key, told in parameters.items()})
    assert Params.read(ROOT / parameters["params"].default)
    assert (ROOT / parameters["state"].default).resolve() != ROOT, "deployments never share a state root with DVC"


def test_every_flow_is_deployed_with_a_schedule_and_one_writer() -> None:
    flows = importlib.import_module("flows.deployments").FLOWS
    assert set(flows) == FLOWS and all(flow.name == name for name, flow in flows.items())
    deployed = {deployment["entrypoint"].rpartition(".")[2]: deployment for deployment in DEPLOYMENTS}
    assert set(deployed) == {flow.fn.__name__ for flow in flows.values()}
    assert len({(d["entrypoint"], d["name"]) for d in DEPLOYMENTS}) == len(DEPLOYMENTS)
    for deployment in DEPLOYMENTS:
        assert deployment["schedules"] and all(schedule["active"] is False for schedule in deployment["schedules"])
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
