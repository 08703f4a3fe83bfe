"""What several measurements share: the held-out cases of a state, and the scores of a stage's edits of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from features.cases import AS_ASKED, request_name
from flows.evaluate import case_frames, edits_by_name, scored_case
from flows.inference import answer_cases, open_editor
from flows.job import Job
from flows.steps import PlainSteps
from models.metrics import CaseFrames, replace_edit, score_case
from stores.frames import unpack_frames
from stores.schema import CASES
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
    rows = job.folder("cases").open(job.receipt("cases").table(CASES.name)).rows().to_pylist()
    return [
        HeldOut({name: row[name] for name in COLUMNS}, case_frames(row, editor, unpack_frames(row["source"])))
        for row in rows
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


def flat_difference(name: str, difference: Difference, own: str = "") -> dict[str, float]:
    """`<name>` as the new system has it, and `<name>/more`, `more_low`, `more_high` than the old; NaN is left out."""
    shown = {"new": own, "value": "/more", "low": "/more_low", "high": "/more_high"}
    values = asdict(difference)
    return {f"{name}{end}": round(float(values[key]), 4) for key, end in shown.items() if not np.isnan(values[key])}
