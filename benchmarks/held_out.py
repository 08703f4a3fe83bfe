"""What measurements on held-out cases share: their options, the cases of a state, and the scores of a stage's edits."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.cases import AS_ASKED, request_name
from flows.evaluate import case_frames, case_rows, edits_by_name, scored_case
from flows.inference import answer_cases, open_editor
from flows.job import Job
from flows.record import RESULTS
from flows.settings import ROOT
from flows.steps import PlainSteps
from models.success import CaseFrames, replace_edit, score_case
from stores.frames import unpack_frames
from training.compare import Difference
from training.evaluate import ScoredCase

COLUMNS = ("id", "task", "scene", "kind")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A case and its frames beside the references, the source standing in for an edit."""

    row: Mapping[str, str]
    frames: CaseFrames


def held_out(job: Job, stage: str) -> list[HeldOut]:
    """The cases of a state, with references through the autoencoder of a stage's editor."""
    editor = open_editor(job, receipt=job.receipt(stage)).editor
    return [
        HeldOut({name: row[name] for name in COLUMNS}, case_frames(row, editor, unpack_frames(row["source"])))
        for row in case_rows(job)
    ]


def scored(job: Job, cases: Sequence[HeldOut], stage: str, system: str) -> list[ScoredCase]:
    """Have the editor of a stage answer the cases as they are asked, and score it under the name of a system."""
    answer_cases(job, PlainSteps(), stage, (AS_ASKED,))
    edits = edits_by_name(job, stage)
    return [
        scored_case(
            case.row, system, score_case(replace_edit(case.frames, edits[request_name(AS_ASKED, case.row["id"])]))
        )
        for case in cases
    ]


def flat_differences(name: str, differences: Mapping[str, Difference]) -> dict[str, float]:
    """`<name>/<score>/more` that the new system has than the old, `more_low` and `more_high`; NaN is left out."""
    found = {
        f"{name}/{score}/{key}": value
        for score, own in differences.items()
        for key, value in (("more", own.value), ("more_low", own.low), ("more_high", own.high))
    }
    return {key: round(float(value), 4) for key, value in found.items() if not np.isnan(value)}


def case_parser(name: str, description: str, pictures: int, clips: int, state: str) -> argparse.ArgumentParser:
    """Options of a measurement on so many held-out cases; `state` is the folder in `var/` that it works in."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--pictures", type=int, default=pictures)
    parser.add_argument("--clips", type=int, default=clips)
    parser.add_argument("--state", type=Path, default=ROOT / "var" / state, help="where it works, not the checkout")
    parser.add_argument("--result", type=Path, default=RESULTS / f"{name}.json")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="values")
    return parser


def case_values(told: argparse.Namespace, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """The overrides that the options say. Ends the program if they name the checkout as their state.

    Adopted editors and other cases take the place of what the chain left: never where `dvc repro` works.
    """
    if told.state.resolve() == ROOT:
        parser.error("give it a state of its own: it would take the place of the chain's receipts")
    return (*told.values, f"features.cases.pictures={told.pictures}", f"features.cases.clips={told.clips}")
