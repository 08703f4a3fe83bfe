"""How many sampling steps an edit needs: `python -m benchmarks.steps`.

The shipped editor answers the same held-out cases with every number of steps, from the same noise. Each is held against
the most steps, case by case, so the differences are far surer than the figures. Writes `benchmarks/results/steps.json`.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.held_out import flat_difference, held_out, scored
from benchmarks.shipped import STAGE, prepare, refuse_checkout
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from training.compare import Difference, paired_difference

COUNTS = (4, 8, 16, 32, 50)  # the last is the paper's
SCORES = ("success", "edit_psnr", "keep_psnr", "flicker")


def measure(opened: Mapping[int, Job]) -> dict[int, dict[str, Difference]]:
    """By number of steps, the difference to the most steps; jobs differ in that number alone."""
    job = opened[max(opened)]
    prepare(job)
    cases = held_out(job, STAGE)
    found = {count: [scored(one, cases, STAGE, f"{count} steps")] for count, one in opened.items()}
    told = job.params.evaluation
    return {
        count: {
            name: paired_difference(own, found[max(found)], name, seed=told.seed, resamples=told.resamples)
            for name in SCORES
        }
        for count, own in found.items()
    }


def figures_of(found: Mapping[int, Mapping[str, Difference]]) -> dict[str, float]:
    """Flat: `<steps>/<score>` and what it is more than with the most steps, with its interval."""
    parts = [
        flat_difference(f"{count}/{score}", difference)
        for count, scores in found.items()
        for score, difference in scores.items()
    ]
    return {name: value for part in parts for name, value in part.items()}


def main() -> None:
    """`python -m benchmarks.steps`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="The shipped editor with few and many sampling steps.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--pictures", type=int, default=306)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "steps", help="where it works")
    parser.add_argument("--result", type=Path, default=RESULTS / "steps.json")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="values")
    told = parser.parse_args()
    refuse_checkout(told.state, parser)
    values = (*told.values, f"features.cases.pictures={told.pictures}", f"features.cases.clips={told.clips}")
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
