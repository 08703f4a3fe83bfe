"""The Prefect flows: thin, over the functions that DVC and tests call plainly. `prefect.yaml` schedules them."""

from pathlib import Path

from prefect import flow

from flows.inference import edit_many
from flows.job import Job
from flows.settings import ROOT
from flows.stages import BY_DEFAULT, run_stages
from flows.steps import PrefectSteps

PARAMS = "params.yaml"
DEPLOYED = "var/deploy"


def _job(params: str, state: str, overrides: list[str]) -> Job:
    """Paths are relative to the checkout, wherever a worker was started."""
    return Job.open(ROOT / params, ROOT / state, tuple(overrides))


def _run(name: str, stages: list[str] | None, params: str, state: str, overrides: list[str] | None) -> dict[str, str]:
    receipts = run_stages(tuple(stages or BY_DEFAULT[name]), _job(params, state, overrides or []), PrefectSteps())
    return {receipt.stage: receipt.text() for receipt in receipts}


@flow(name="features", log_prints=True, validate_parameters=True)
def features_flow(
    stages: list[str] | None = None, params: str = PARAMS, state: str = DEPLOYED, overrides: list[str] | None = None
) -> dict[str, str]:
    """Ingest, compose, encode, check, publish."""
    return _run("features", stages, params, state, overrides)


@flow(name="training", log_prints=True)
def training_flow(
    stages: list[str] | None = None, params: str = PARAMS, state: str = DEPLOYED, overrides: list[str] | None = None
) -> dict[str, str]:
    """Adopt shipped weights and train the stages, the later ones on edits of those before."""
    return _run("training", stages, params, state, overrides)


@flow(name="inference", log_prints=True)
def inference_flow(
    stages: list[str] | None = None,
    manifest: str | None = None,
    outputs: str = "outputs/batch",
    model: str | None = None,
    params: str = PARAMS,
    state: str = DEPLOYED,
    overrides: list[str] | None = None,
) -> dict[str, str]:
    """Edit all rows of a manifest; without one, answer the evaluation requests. `model` is an alias or a version."""
    if manifest is None:
        return _run("inference", stages, params, state, overrides)
    job = _job(params, state, overrides or [])
    with job.state.writing():
        done = edit_many(job, PrefectSteps(), ROOT / manifest, job.state.root / outputs, model)
    return {"report": str(done.report), "made": str(done.answered.made), "failed": str(done.answered.failed)}


@flow(name="evaluate", log_prints=True)
def evaluate_flow(
    stages: list[str] | None = None, params: str = PARAMS, state: str = DEPLOYED, overrides: list[str] | None = None
) -> dict[str, str]:
    """Score the newest edits against their truths and ask the gate."""
    return _run("evaluate", stages, params, state, overrides)


@flow(name="lifecycle", log_prints=True)
def lifecycle_flow(
    stages: list[str] | None = None, params: str = PARAMS, state: str = DEPLOYED, overrides: list[str] | None = None
) -> dict[str, str]:
    """The whole chain in order."""
    return _run("lifecycle", stages, params, state, overrides)


FLOWS = {
    "features": features_flow,
    "training": training_flow,
    "inference": inference_flow,
    "evaluate": evaluate_flow,
    "lifecycle": lifecycle_flow,
}


def relative_to_root(path: Path) -> str:
    """A path as flow parameters carry it."""
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else str(resolved)
