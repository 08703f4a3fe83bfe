"""How many sampling steps an edit needs, and how much guidance: `python -m benchmarks.sampling`.

The shipped editor answers the same held-out cases under every sampling, from the same noise. Each is held against the
last one named, case by case, so the differences are far surer than the figures. Writes
`benchmarks/results/sampling.json`.
"""

import json
import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from benchmarks.held_out import case_parser, case_values, flat_differences, held_out, scored
from benchmarks.shipped import STAGE, prepare
from flows.job import Job
from flows.record import write_record
from flows.settings import apply_environment
from training.compare import Difference, paired_differences

NAMES = ("num_inference_steps", "video_guidance_scale", "guidance_scale")
# Steps alone take the guidance of params.yaml; 50 steps are the paper's.
SAMPLINGS = ("3", "4", "5", "8", "16", "5/1/1", "5/1.15/1.3", "50")


@dataclass(frozen=True)
class Sampling:
    """Steps, or steps, the scale over the source and the scale over the text, as told: `8` or `8/1.15/1.3`."""

    told: str
    values: tuple[str, ...]

    @classmethod
    def parsed(cls, told: str) -> Self:
        """ArgumentTypeError for anything else."""
        if not re.fullmatch(r"\d+(/\d+(\.\d+)?){2}|\d+", told):
            raise ArgumentTypeError(f"expected STEPS or STEPS/VIDEO/TEXT, got {told!r}")
        parts = zip(NAMES, told.split("/"), strict=False)
        return cls(told, tuple(f"inference.{name}={part}" for name, part in parts))


def measure(opened: Mapping[str, Job]) -> dict[str, dict[str, Difference]]:
    """By sampling, the difference to the last one; jobs differ in their sampling alone."""
    last = list(opened)[-1]
    job = opened[last]
    prepare(job)
    cases = held_out(job, STAGE)
    found = {told: [scored(own, cases, STAGE, told)] for told, own in opened.items()}
    params = job.params.evaluation
    return {
        told: paired_differences(own, found[last], seed=params.seed, resamples=params.resamples)
        for told, own in found.items()
    }


def figures_of(found: Mapping[str, Mapping[str, Difference]]) -> dict[str, float]:
    """Flat: `<sampling>/<score>` and what it is more than under the last one, with its interval."""
    flat: dict[str, float] = {}
    for told, differences in found.items():
        own = {f"{told}/{score}": one.new for score, one in differences.items() if not np.isnan(one.new)}
        flat |= {name: round(float(value), 4) for name, value in own.items()} | flat_differences(told, differences)
    return flat


def main() -> None:
    """`python -m benchmarks.sampling`."""
    apply_environment()
    parser = case_parser(
        "sampling", "The shipped editor under several samplings.", pictures=90, clips=9, state="sampling"
    )
    parser.add_argument(
        "--samplings",
        type=Sampling.parsed,
        nargs="+",
        default=[Sampling.parsed(told) for told in SAMPLINGS],
        metavar="STEPS[/VIDEO/TEXT]",
    )
    told = parser.parse_args()
    values = case_values(told, parser)
    opened = {one.told: Job.open(told.params, told.state, (*values, *one.values)) for one in told.samplings}
    if len(opened) < len(told.samplings):
        parser.error("a sampling is named twice")
    with opened[told.samplings[-1].told].state.writing():
        figures = figures_of(measure(opened))
    size = {"pictures": told.pictures, "clips": told.clips, "values": told.values}
    print(json.dumps(write_record(told.result, size, figures), indent=1))


if __name__ == "__main__":
    main()
