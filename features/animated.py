"""Animated frames, stage two's first material: frames of real clips are edited by an earlier stage and set in motion.

Movie Gen Edit, section 5.1.3, algorithm 1: an instruction is written for the caption, the single-frame editor answers,
what passes the filters is animated together with its source. The editor is asked through `edit_requests` and answers
in `edits`, as it answers a user; nothing here knows the truth of an edit.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.affine import AffineParams, animate, draw_motion
from features.edit_filter import Verdict
from features.filter_report import ScoredEdit
from features.pair_rows import PairRow, Triple
from features.params import AnimatedParams
from features.plan import ANIMATED, PlannedRow
from features.quality import Rejection
from features.setting import ComposeSetting
from features.writers.protocol import InstructionWriter, Rejected, WriteRequest, WriterReport
from stores.frames import pack_frames, unpack_frames
from stores.schema import EDIT_REQUESTS, EDITS, content_id

PURPOSE = "animate"
ORIGIN = "animated"  # of rows in the quarantine
ANSWERED = "ok"


@dataclass(frozen=True)
class AskSetting:
    """What requests are made from."""

    stage: str
    compose: ComposeSetting
    writer: InstructionWriter
    params: AnimatedParams

    def request_id(self, row: PlannedRow) -> str:
        """Known before the request is written."""
        who = (self.writer.revision, self.compose.code, self.compose.values(), self.params.filmed_share)
        return content_id(PURPOSE, self.stage, self.compose.seed, row.number, row.split, row.task, *who)


@dataclass(frozen=True)
class Asked:
    """Rows of `edit_requests`, rows of the quarantine for captions without an edit, and what the writing cost."""

    requests: tuple[dict[str, Any], ...]
    quarantined: tuple[dict[str, Any], ...]
    report: WriterReport


@dataclass(frozen=True, eq=False)
class AskedEdit:
    """A request with its answer: the frame [h w 3], its edit, and what was said of both."""

    request_id: str
    edit_id: str
    model: str
    model_digest: str
    task: str
    instruction: str
    caption: str
    output_caption: str
    scene: str
    split: str
    clip_ids: tuple[str, ...]
    source: np.ndarray
    edit: np.ndarray


@dataclass(frozen=True, eq=False)
class JudgedEdit:
    """An edit with what the filter found."""

    edit: AskedEdit
    verdict: Verdict

    def score_row(self) -> dict[str, Any]:
        """The row of `edit_scores`."""
        edit, reasons = self.edit, "; ".join(reason.reason for reason in self.verdict.reasons)
        told = {"id": edit.edit_id, "request_id": edit.request_id, "task": edit.task, "split": edit.split}
        return told | {"reasons": reasons} | self.verdict.scores.row()


@dataclass(frozen=True)
class Judged:
    """All answered edits with their verdicts, and rows of the quarantine for what is turned away, one a reason."""

    edits: tuple[JudgedEdit, ...]
    quarantined: tuple[dict[str, Any], ...]

    @property
    def accepted(self) -> tuple[AskedEdit, ...]:
        """Those that may be trained on."""
        return tuple(one.edit for one in self.edits if not one.verdict.reasons)

    def scored(self) -> list[ScoredEdit]:
        """For the report of the filter: of edits of real frames the truth is not known."""
        return [ScoredEdit(one.edit.edit_id, one.verdict.scores) for one in self.edits]


class TooFewEditsError(ValueError):
    """So few edits were accepted that a stage should not be trained on them; the message counts the reasons."""


def ask(rows: Sequence[PlannedRow], setting: AskSetting) -> Asked:
    """A request for every planned row whose caption gives one, with the frame itself."""
    found = [_moment(row, setting) for row in rows]
    asked = [
        WriteRequest(ground.caption, row.task, seed, row.split != "train", ground.subject is not None)
        for row, (ground, seed) in zip(rows, found, strict=True)
    ]
    requests, quarantined = [], []
    written = setting.writer.write(asked)
    for row, (ground, seed), answer in zip(rows, found, written.all, strict=True):
        key = setting.request_id(row)
        if isinstance(answer, Rejected):
            quarantined.append(_aside(EDIT_REQUESTS.name, key, Rejection(answer.reason, answer.value)))
            continue
        requests.append(
            {
                "id": key,
                "purpose": PURPOSE,
                "kind": "picture",
                "instruction": answer.instruction,
                "task": answer.task,
                "scene": ground.scene,
                "caption": ground.caption,
                "output_caption": answer.output_caption,
                "split": row.split,
                "seed": seed,
                "media": pack_frames(ground.frames),
                "fps": 1.0,
                "clip_ids": [ground.clip_id],
            }
        )
    return Asked(tuple(requests), tuple(quarantined), written.report)


def answered(
    requests: Sequence[Mapping[str, Any]], edits: Sequence[Mapping[str, Any]]
) -> Iterator[AskedEdit | Mapping[str, Any]]:
    """Every edit with its request; the bare row of `edits` where it failed. Edits of other requests are left alone."""
    known = {row["id"]: row for row in requests if row["purpose"] == PURPOSE}
    for row in edits:
        request = known.get(row["request_id"])
        if request is None:
            continue
        yield _asked_edit(request, row) if row["status"] == ANSWERED else row


def judged(found: Iterable[AskedEdit | Mapping[str, Any]], judge: Callable[[AskedEdit], Verdict]) -> Judged:
    """Edits with a judge's verdicts; failed ones are set aside with their error."""
    edits: list[JudgedEdit] = []
    quarantined: list[dict[str, Any]] = []
    for one in found:
        if not isinstance(one, AskedEdit):
            quarantined.append(_aside(EDITS.name, one["id"], Rejection("edit failed", one["error"] or "")))
            continue
        edits.append(JudgedEdit(one, judge(one)))
        quarantined += [_aside(EDITS.name, one.edit_id, reason) for reason in edits[-1].verdict.reasons]
    return Judged(tuple(edits), tuple(quarantined))


def require_enough(found: Judged, least: int) -> None:
    """Refuse to go on with a handful of edits.

    Raises:
        TooFewEditsError: fewer than `least` training edits were accepted.
    """
    kept = sum(edit.split == "train" for edit in found.accepted)
    if kept >= least:
        return
    counts = Counter(row["reason"] for row in found.quarantined)
    told = ", ".join(f"{count} x {reason}" for reason, count in counts.most_common()) or "nothing was rejected"
    raise TooFewEditsError(
        f"{kept} edits for training were accepted, {least} are needed; rejected: {told}. A better editor, more "
        "requests or other thresholds would help."
    )


@dataclass(frozen=True)
class MotionSetting:
    """What accepted edits are made pairs of clips by; `made_with` is a digest of code and encoders."""

    stage: str
    made_with: str
    params: AffineParams
    frames: int

    def row_id(self, edit: AskedEdit, number: int) -> str:
        """Known before the motion is drawn."""
        told = (self.stage, self.made_with, self.frames, self.params.model_dump_json())
        return content_id(ANIMATED, *told, edit.edit_id, number)

    def row(self, edit: AskedEdit, number: int) -> PairRow:
        """Source and edit under the motion of this number: the same for both, another one for another number."""
        key = self.row_id(edit, number)
        motion = draw_motion(self.frames, self.params, np.random.default_rng(int(key[:16], 16)))
        source, target = (animate(frame, motion, self.params.padding) for frame in (edit.source, edit.edit))
        triple = Triple(
            edit.task, edit.instruction, source, target, edit.caption, edit.output_caption, list(edit.clip_ids),
            edit.scene,
        )  # fmt: skip
        return PairRow(key, self.stage, ANIMATED, edit.split, edit.model_digest, triple)


def provenance(key: str, edit: AskedEdit) -> dict[str, str]:
    """The row of `generated` that says which answer a pair was made from."""
    return {
        "id": key,
        "request_id": edit.request_id,
        "edit_id": edit.edit_id,
        "model": edit.model,
        "model_digest": edit.model_digest,
    }


def _moment(row: PlannedRow, setting: AskSetting) -> tuple[Any, int]:
    rng = row.generator(setting.compose.seed)
    grounds = setting.compose.train if row.split == "train" else setting.compose.test
    filmed = rng.random() < setting.params.filmed_share
    ground = grounds.filmed(rng) if filmed else grounds.still(rng)
    return ground, int(rng.integers(2**31))


def _asked_edit(request: Mapping[str, Any], row: Mapping[str, Any]) -> AskedEdit:
    source, edit = unpack_frames(request["media"]), unpack_frames(row["frames"])
    return AskedEdit(
        request_id=request["id"],
        edit_id=row["id"],
        model=row["model"],
        model_digest=row["model_digest"],
        task=request["task"],
        instruction=request["instruction"],
        caption=request["caption"],
        output_caption=request["output_caption"],
        scene=request["scene"],
        split=request["split"],
        clip_ids=tuple(request["clip_ids"]),
        source=source[0],
        edit=edit[0],
    )


def _aside(table: str, row: str, rejection: Rejection) -> dict[str, Any]:
    return {
        "id": content_id("quarantine", ORIGIN, row, rejection.reason, rejection.value),
        "origin": ORIGIN,
        "table": table,
        "row": row,
        "reason": rejection.reason,
        "value": rejection.value[:500],
    }
