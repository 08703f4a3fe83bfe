"""How many sampling steps an edit needs: `python -m benchmarks.steps`.

The shipped editor answers the same held-out cases with every number of steps, from the same noise. Each is held against
the most steps, case by case, so the differences are far surer than the figures. Writes `benchmarks/results/steps.json`.
"""

import json
from collections.abc import Mapping

import numpy as np

from benchmarks.held_out import case_parser, case_values, flat_differences, held_out, scored
from benchmarks.shipped import STAGE, prepare
from flows.job import Job
from flows.record import write_record
from flows.settings import apply_environment
from training.compare import Difference, paired_differences

COUNTS = (4, 8, 16, 32, 50)  # the last is the paper's


def measure(opened: Mapping[int, Job]) -> dict[int, dict[str, Difference]]:
    """By number of steps, the difference to the most steps; jobs differ in that number alone."""
    job = opened[max(opened)]
    prepare(job)
    cases = held_out(job, STAGE)
    found = {count: [scored(one, cases, STAGE, f"{count} steps")] for count, one in opened.items()}
    told = job.params.evaluation
    return {
        count: paired_differences(own, found[max(found)], seed=told.seed, resamples=told.resamples)
        for count, own in found.items()
    }


def figures_of(found: Mapping[int, Mapping[str, Difference]]) -> dict[str, float]:
    """Flat: `<steps>/<score>` and what it is more than with the most steps, with its interval."""
    told: dict[str, float] = {}
    for count, differences in found.items():
        own = {f"{count}/{score}": one.new for score, one in differences.items() if not np.isnan(one.new)}
        told |= {name: round(float(value), 4) for name, value in own.items()} | flat_differences(
            str(count), differences
        )
    return told


def main() -> None:
    """`python -m benchmarks.steps`."""
    apply_environment()
    parser = case_parser(
        "steps", "The shipped editor with few and many sampling steps.", pictures=306, clips=20, state="steps"
    )
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    told = parser.parse_args()
    values = case_values(told, parser)
    opened = {
        count: Job.open(told.params, told.state, (*values, f"inference.num_inference_steps={count}"))
        for count in sorted(told.counts)
    }
    with opened[max(opened)].state.writing():
        figures = figures_of(measure(opened))
    size = {"pictures": told.pictures, "clips": told.clips, "values": told.values}
    print(json.dumps(write_record(told.result, size, figures), indent=1))


if __name__ == "__main__":
    main()
