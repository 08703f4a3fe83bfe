"""The editors of a finished chain on more held-out cases than it was judged by: `python -m benchmarks.stages`.

Every stage answers the same cases as they are asked, and is held against the stage before it, case by case. The cases
take the place of those of the state, which must not be the checkout. Writes `benchmarks/results/stages.json`.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks.held_out import case_parser, case_values, flat_differences, held_out, scored
from flows.features import build_evaluation_cases
from flows.job import Job
from flows.record import write_record
from flows.settings import apply_environment
from flows.stages import STAGES
from flows.steps import PlainSteps
from models.build import EDITOR
from training.compare import paired_differences
from training.evaluate import Figures, ScoredCase, evaluate

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
        found |= _flat(stage, {kind: getattr(system, kind) for kind in KINDS}, FIGURES)
        found |= _flat(stage, system.tasks, ("success",))
    for before, stage in pairwise(stages):
        for kind in KINDS:
            sides = [[[case for case in by_stage[name] if _is_of(case, kind)]] for name in (stage, before)]
            more = paired_differences(*sides, seed=params.seed, resamples=params.resamples)
            found |= flat_differences(f"{stage}/{kind}", more)
    return found


def _flat(stage: str, shown: Mapping[str, Figures | None], names: Sequence[str]) -> dict[str, float]:
    values = {f"{stage}/{group}/{name}": getattr(own, name) for group, own in shown.items() if own for name in names}
    return {name: round(float(value), 4) for name, value in values.items() if value is not None}


def _is_of(case: ScoredCase, kind: str) -> bool:
    return kind in ("overall", f"{case.kind}s")


def main() -> None:
    """`python -m benchmarks.stages`."""
    apply_environment()
    parser = case_parser("stages", "The editors of a finished chain.", pictures=150, clips=150, state="long")
    told = parser.parse_args()
    job = Job.open(told.params, told.state, case_values(told, parser))
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
