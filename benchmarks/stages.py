"""The editors of a finished chain on more held-out cases than it was judged by: `python -m benchmarks.stages`.

Every stage answers the same cases as they are asked, and is held against the stage before it, case by case. The cases
take the place of those of the state, which must not be the checkout. Writes `benchmarks/results/stages.json`.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.held_out import flat_difference, held_out, scored
from benchmarks.shipped import refuse_checkout
from flows.features import build_evaluation_cases
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from flows.stages import STAGES
from flows.steps import PlainSteps
from models.build import EDITOR
from training.compare import paired_difference
from training.evaluate import Figures, ScoredCase, evaluate

SCORES = ("success", "edit_psnr", "keep_psnr", "flicker")
KINDS = ("overall", "pictures", "clips")
FIGURES = (
    "cases",
    "scenes",
    "success",
    "success_low",
    "success_high",
    "edit_psnr",
    "keep_psnr",
    "colour_drift",
    "flicker",
)


def measure(job: Job, stages: Sequence[str]) -> dict[str, float]:
    """Flat: `<stage>/<kind>/<figure>`, `<stage>/<task>/success`; `<stage>/<kind>/<score>/more` than the one before."""
    build_evaluation_cases(job, PlainSteps())
    cases = held_out(job, stages[-1])
    by_stage = {stage: scored(job, cases, stage, stage) for stage in stages}
    params = job.params.evaluation
    report = evaluate([one for own in by_stage.values() for one in own], seed=params.seed, resamples=params.resamples)
    found: dict[str, float] = {}
    for stage in stages:
        system = report.systems[stage]
        shown = {kind: getattr(system, kind) for kind in KINDS}
        found |= _flat(stage, {kind: figures for kind, figures in shown.items() if figures})
        found |= {f"{stage}/{task}/success": round(own.success or 0.0, 4) for task, own in system.tasks.items()}
    for before, stage in pairwise(stages):
        for kind in KINDS:
            found |= _more(job, kind, f"{stage}/{kind}", by_stage[stage], by_stage[before])
    return found


def _flat(stage: str, shown: dict[str, Figures]) -> dict[str, float]:
    values = {f"{stage}/{kind}/{name}": getattr(own, name) for kind, own in shown.items() for name in FIGURES}
    return {name: round(float(value), 4) for name, value in values.items() if value is not None}


def _more(job: Job, kind: str, name: str, new: list[ScoredCase], old: list[ScoredCase]) -> dict[str, float]:
    sides = [[case for case in side if kind in ("overall", f"{case.kind}s")] for side in (new, old)]
    found: dict[str, float] = {}
    for score in SCORES:
        told = job.params.evaluation
        more = paired_difference([sides[0]], [sides[1]], score, seed=told.seed, resamples=told.resamples)
        found |= {key: value for key, value in flat_difference(f"{name}/{score}", more).items() if "/more" in key}
    return found


def main() -> None:
    """`python -m benchmarks.stages`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="The editors of a finished chain on held-out cases.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "long", help="where the chain has run")
    parser.add_argument("--result", type=Path, default=RESULTS / "stages.json")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="values")
    told = parser.parse_args()
    refuse_checkout(told.state, parser)
    counts = (f"features.cases.pictures={told.pictures}", f"features.cases.clips={told.clips}")
    job = Job.open(told.params, told.state, (*told.values, *counts))
    stages = [stage for stage in STAGES if (job.state.receipts / f"{stage}.json").is_file()]
    if not stages:
        parser.error(f"no stage was trained under {told.state}")
    with job.state.writing():
        figures = measure(job, stages)
    digests = {stage: job.receipt(stage).model(EDITOR).digest[:12] for stage in stages}
    size = {"pictures": told.pictures, "clips": told.clips, "values": told.values, "editors": digests}
    print(json.dumps(write_record(told.result, size, figures), indent=1))


if __name__ == "__main__":
    main()
