"""A real Prefect server and worker on loopback: deployments run, schedules make runs, receipts equal the plain ones.

This is the smoke test of the pins of fastapi and sqlalchemy: with other versions the server dies at start, or lives and
never schedules anything.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import yaml

from flows.stages import BY_DEFAULT
from tests.flows.checkout import Checkout, Made, ended_well

NAMES = BY_DEFAULT["lifecycle"]

T = TypeVar("T")
PATIENCE = 150  # seconds until a thing that never happens is given up
OVERRIDES = ["evaluation.resamples=20", "inference.num_inference_steps=2"]
OFTEN = {
    "name": "often",
    "entrypoint": "flows.deployments.features_flow",
    "work_pool": {"name": "local", "work_queue_name": "default"},
    "concurrency_limit": {"limit": 1, "collision_strategy": "CANCEL_NEW"},
    "parameters": {"stages": ["clips"], "state": "var/often"},
    "schedules": [{"interval": 10, "active": True, "slug": "often"}],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def background(checkout: Checkout, name: str, *command: str, **more: str) -> Iterator[None]:
    """A process of its own group, ended with all that it started; its log is kept in the checkout."""
    log = checkout.root / ".prefect" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=checkout.root, env=checkout.environment(**more), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield
        assert process.poll() is None, log.read_text()[-4000:]
    finally:
        for told in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, told)
                process.wait(timeout=15)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def ask(url: str, method: str = "GET", body: object = None) -> Any:
    """JSON from the server."""
    data = None if body is None else json.dumps(body).encode()
    told = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    for attempt in range(10):
        try:
            with urllib.request.urlopen(told, timeout=20) as reply:
                text = reply.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            # The server's word for "my database is busy just now"; Prefect's own client asks again too.
            if error.code != 503 or attempt == 9:
                raise
            time.sleep(1)
    raise AssertionError("not reached")


def wait_for(look: Callable[[], T | None], what: str) -> T:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"waited in vain for {what}")


def health(api: str) -> bool:
    try:
        return bool(ask(f"{api}/health"))
    except (urllib.error.URLError, OSError):
        return False


def runs(api: str, deployment: str) -> list[dict[str, Any]]:
    """Flow runs of a deployment, the newest last."""
    told = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
    found: list[dict[str, Any]] = ask(f"{api}/flow_runs/filter", "POST", told)
    return found


def completed(api: str, deployment: str) -> dict[str, Any] | None:
    """The first run that ended well; a run that ended badly is told at once."""
    found = runs(api, deployment)
    bad = [run for run in found if run["state_type"] in ("FAILED", "CRASHED")]
    assert not bad, bad[0]["state"]
    return next((run for run in found if run["state_type"] == "COMPLETED"), None)


@pytest.fixture(scope="module")
def api(made: Made) -> Iterator[str]:
    """A server of its own, with its database in the checkout."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    with background(made.checkout, "server", *command):
        wait_for(lambda: health(url), "the server")
        yield url


@pytest.fixture(scope="module")
def deployed(made: Made, api: str) -> Iterator[str]:
    """All deployments of prefect.yaml and one that is scheduled often, a worker, and a run that was asked for."""
    checkout, path = made.checkout, made.checkout.root / "prefect.yaml"
    before = path.read_text()
    told = yaml.safe_load(before)
    path.write_text(yaml.safe_dump({**told, "deployments": [*told["deployments"], OFTEN]}))
    ended_well(checkout.run("prefect", "work-pool", "create", "local", "--type", "process", PREFECT_API_URL=api))
    said = ended_well(checkout.run("prefect", "--no-prompt", "deploy", "--all", PREFECT_API_URL=api))
    path.write_text(before)
    assert "successfully" in said
    told = f"overrides={json.dumps(OVERRIDES)}"
    command = ("prefect", "deployment", "run", "features/daily", "--param", told)
    worker = ("prefect", "worker", "start", "--pool", "local", "--name", "local")
    more = {"PREFECT_API_URL": api, "PREFECT_WORKER_QUERY_SECONDS": "2", "MOVIEGEN_PROCESSES": "2"}
    with background(checkout, "worker", *worker, **more):
        ended_well(checkout.run(*command, PREFECT_API_URL=api))
        yield api


def test_all_deployments_are_there_with_their_schedules_off(deployed: str) -> None:
    found = ask(f"{deployed}/deployments/filter", "POST", {})
    schedules = {deployment["name"]: [s["active"] for s in deployment["schedules"]] for deployment in found}
    assert len(found) == 6
    assert schedules == {name: [name == "often"] for name in ("daily", "weekly", "batch", "nightly", "often")}


def test_a_schedule_is_switched_on_and_off_as_the_documents_say(deployed: str, made: Made) -> None:
    def told(*command: str) -> str:
        schedule = ("prefect", "deployment", "schedule")
        return ended_well(made.checkout.run(*schedule, *command, PREFECT_API_URL=deployed))

    (key,) = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", told("ls", "evaluate/weekly"))
    for command, is_active in (("resume", True), ("pause", False)):
        told(command, "evaluate/weekly", key)
        (found,) = ask(f"{deployed}/deployments/filter", "POST", {"flows": {"name": {"any_": ["evaluate"]}}})
        assert [schedule["active"] for schedule in found["schedules"]] == [is_active]


def test_a_schedule_makes_a_run_and_the_worker_completes_it(deployed: str, made: Made) -> None:
    run = wait_for(lambda: completed(deployed, "often"), "a scheduled run")
    ask(f"{deployed}/deployments/{run['deployment_id']}", "PATCH", {"paused": True})
    assert run["auto_scheduled"] and run["created_by"]["type"] == "SCHEDULE"
    assert made.checkout.receipts("var/often") == {"clips": made.receipts["clips"]}


def test_a_deployment_runs_with_overrides_and_dvc_like_stages_follow(deployed: str, made: Made) -> None:
    """Tables by the worker, the rest as a DVC stage would with a server there: receipts equal those without Prefect."""
    checkout = made.checkout
    run = wait_for(lambda: completed(deployed, "daily"), "the run that was asked for")
    assert not run["auto_scheduled"] and run["parameters"]["overrides"] == OVERRIDES
    assert set(checkout.receipts("var/deploy")) == {"clips", "adopt", "pairs-one", "cases"}
    rest = NAMES[NAMES.index("one") :]
    checkout.chain(*rest, "--state", "var/deploy", PREFECT_API_URL=deployed)
    assert checkout.receipts("var/deploy") == made.receipts


def test_the_server_keeps_flow_runs_tasks_and_notes(deployed: str, made: Made) -> None:
    told = {"flows": {"name": {"any_": ["lifecycle"]}}}
    (run,) = ask(f"{deployed}/flow_runs/filter", "POST", told)
    assert run["state_type"] == "COMPLETED" and run["parameters"]["state"] == "var/deploy"

    def tasks() -> set[str]:
        found = ask(f"{deployed}/task_runs/filter", "POST", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return {task["name"] for task in found if task["state_type"] == "COMPLETED"}

    expected = {"train one", "open editor", "answer requests", "edit samples", "score cases", "summarise"}
    assert wait_for(lambda: expected <= tasks(), "the task runs")
    notes = {artifact["key"] for artifact in ask(f"{deployed}/artifacts/filter", "POST", {})}
    assert {"checks-clips", "checks-pairs-one", "checks-cases", "training-one", "evaluation"} <= notes
