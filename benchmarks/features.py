"""Pairs a second of stage one, made by one process and by two into one table: `python -m benchmarks.features`.

Composing, encoding and writing, with what the stage `pairs-one` does it with, of the rows that it plans. Every process
has one thread, and the table is empty at the start of a run. Validation rows warm a run up: processes start, open their
encoders and decode backgrounds. What is timed is the rest; figures called `whole` count all rows, from the start of the
first process on. One and two take turns; ratios are taken within a round, and their medians are kept. The tables must
come out equal. Writes `benchmarks/results/features.json`.
"""

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from features.plan import PlannedRow, plan_pairs, shards
from flows.features import build_clips, longest_first, shard_builder
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from flows.steps import PlainSteps
from flows.training import adopt_weights
from flows.workers import at_work, threads
from models.build import AUTOENCODER
from stores.receipts import Receipt
from stores.schema import EDIT_PAIRS

STAGE = "one"
ONE, TWO = 1, 2
WORDS = {ONE: "one_process", TWO: "two_processes"}
Parts = Sequence[list[PlannedRow]]


@dataclass(frozen=True)
class Timed:
    """Seconds of the rows that are timed, of all, and the digest of the table they make."""

    steady: float
    whole: float
    digest: str


def measure(job: Job, rounds: int) -> dict[str, float]:
    """All figures; rates, seconds and ratios are medians over rounds.

    Raises:
        ValueError: two processes made other rows than one.
    """
    steps = PlainSteps()
    build_clips(job, steps)
    encoders = adopt_weights(job, steps, (AUTOENCODER,))
    warm, timed = parts(job)
    with threads(1):
        found = [{count: _run(job, encoders, warm, timed, count) for count in WORDS} for _ in range(rounds)]
    if len({run.digest for each in found for run in each.values()}) != 1:
        raise ValueError("runs made tables of different content")
    rows = sum(map(len, timed))
    figures: dict[str, float] = {"pairs": rows, "pairs_whole": rows + sum(map(len, warm))}
    for count, word in WORDS.items():
        figures[f"pairs_per_second_{word}"] = median(rows / each[count].steady for each in found)
        figures[f"seconds_whole_{word}"] = median(each[count].whole for each in found)
    figures["features_speedup_two_processes"] = median(each[ONE].steady / each[TWO].steady for each in found)
    figures["features_speedup_whole"] = median(each[ONE].whole / each[TWO].whole for each in found)
    return figures


def parts(job: Job) -> tuple[Parts, Parts]:
    """The plan of the stage: validation rows in a shard for each of two processes, and shards of the training rows."""
    params = job.params.features.pairs[STAGE]
    plan = plan_pairs(params)
    held_out, trained = ([row for row in plan if (row.split == "train") == told] for told in (False, True))
    return [held_out[::2], held_out[1::2]], longest_first(shards(trained, params.shard))


def _run(job: Job, encoders: Receipt, warm: Parts, timed: Parts, count: int) -> Timed:
    """Build all parts into an empty table."""
    shutil.rmtree(job.state.store / f"pairs-{STAGE}", ignore_errors=True)
    steps, builder = PlainSteps(), partial(shard_builder, job, STAGE, encoders)
    begun = perf_counter()
    with nullcontext(builder()) if count == ONE else at_work(count, builder) as build:
        steps.each(f"{WORDS[count]}: warm up", build, warm, count)
        ready = perf_counter()
        steps.each(f"{WORDS[count]}: build", build, timed, count)
        done = perf_counter()
    digest = job.folder(f"pairs-{STAGE}").publish(EDIT_PAIRS).digest
    return Timed(done - ready, done - begun, digest)


def main() -> None:
    """`python -m benchmarks.features`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="Pairs a second, by one process and by two.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--result", type=Path, default=RESULTS / "features.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    told = parser.parse_args()
    load = round(os.getloadavg()[0], 2)  # what else the machine did
    with TemporaryDirectory() as folder:
        figures = measure(Job.open(told.params, Path(folder), tuple(told.overrides)), told.rounds)
    record = write_record(told.result, {"rounds": told.rounds, "overrides": told.overrides, "load": load}, figures)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
