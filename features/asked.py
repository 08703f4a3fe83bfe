"""Edits asked of an earlier stage's editor: requests, the answers to them, and what the filter says of those.

Movie Gen Edit, sections 5.1.3 and 5.1.4. The editor is asked through `edit_requests` and answers in `edits`, as it
answers a user; nothing here knows the truth of an edit.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.edit_filter import Verdict
from features.filter_report import ScoredEdit
from features.plan import PlannedRow
from features.quality import Rejection
from features.setting import ComposeSetting
from features.writers.protocol import (
    InstructionWriter,
    Inverted,
    InvertRequest,
    Rejected,
    WriteRequest,
    WriterReport,
    Written,
)
from models.cores import on_cores
from stores.frames import pack_frames, unpack_frames
from stores.schema import EDIT_REQUESTS, EDITS, content_id

ANSWERED = "ok"


@dataclass(frozen=True, eq=False)
class Moment:
    """What an edit is asked of: frames [f h w 3] of our material, and what they show.

    `subject` says that something plainly stands out in them.
    """

    frames: np.ndarray
    caption: str
    scene: str
    clip_ids: tuple[str, ...]
    subject: bool = False


@dataclass(frozen=True)
class AskSetting:
    """What requests are made from.

    `moment` draws what a planned row is asked of; `drawn_by` are the values that decide how. `sampling` is what they
    state of their own, as JSON. With `both_ways` the way back is written too, and what has none is not asked.
    """

    stage: str
    purpose: str
    compose: ComposeSetting
    writer: InstructionWriter
    moment: Callable[[PlannedRow, np.random.Generator], Moment]
    drawn_by: str
    sampling: str | None = None
    both_ways: bool = False

    def request_id(self, row: PlannedRow) -> str:
        """Known before the request is written."""
        who = (self.writer.revision, self.compose.code, self.compose.values(), self.drawn_by, self.sampling or "")
        return content_id(self.purpose, self.stage, self.compose.seed, row.number, row.split, row.task, *who)


@dataclass(frozen=True)
class Asked:
    """Rows of `edit_requests`, rows of the quarantine for captions without an edit, and what the writing cost."""

    requests: tuple[dict[str, Any], ...] = ()
    quarantined: tuple[dict[str, Any], ...] = ()
    report: WriterReport = field(default_factory=WriterReport)


@dataclass(frozen=True, eq=False)
class AskedEdit:
    """A request with its answer: frames and their edit, both [f h w 3], and what was said of both.

    The inverse is None unless the request was written both ways.
    """

    request_id: str
    edit_id: str
    model: str
    model_digest: str
    task: str
    instruction: str
    caption: str
    output_caption: str
    inverse: Inverted | None
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
    """A request for every planned row whose caption gives one, with the frames themselves."""
    drawn = [_drawn(row, setting) for row in rows]
    asked = [
        WriteRequest(one.moment.caption, one.row.task, one.seed, one.row.split != "train", one.moment.subject)
        for one in drawn
    ]
    written = setting.writer.write(asked)
    good = [(one, answer) for one, answer in zip(drawn, written.all, strict=True) if isinstance(answer, Written)]
    backwards: Sequence[Inverted | Rejected | None] = [None] * len(good)
    report = written.report
    if setting.both_ways:
        inverted = setting.writer.invert([_way_back(one, answer) for one, answer in good])
        backwards, report = inverted.all, report + inverted.report
    refused = [(one, answer) for one, answer in zip(drawn, written.all, strict=True) if isinstance(answer, Rejected)]
    requests = []
    for (one, answer), back in zip(good, backwards, strict=True):
        if isinstance(back, Rejected):
            refused.append((one, back))
        else:
            requests.append(_request_row(one, answer, back, setting))
    aside = [
        quarantined(setting.purpose, EDIT_REQUESTS.name, one.id, Rejection(no.reason, no.value)) for one, no in refused
    ]
    return Asked(tuple(requests), tuple(aside), report)


def answered(
    requests: Sequence[Mapping[str, Any]], edits: Sequence[Mapping[str, Any]], purpose: str
) -> Iterator[AskedEdit | Mapping[str, Any]]:
    """Every edit with its request; the bare row of `edits` where it failed. Edits of other requests are left alone."""
    known = {row["id"]: row for row in requests if row["purpose"] == purpose}
    for row in edits:
        request = known.get(row["request_id"])
        if request is None:
            continue
        yield _asked_edit(request, row) if row["status"] == ANSWERED else row


def judged(
    found: Iterable[AskedEdit | Mapping[str, Any]], judge: Callable[[AskedEdit], Verdict], purpose: str
) -> Judged:
    """Edits with a judge's verdicts; failed ones are set aside with their error."""
    listed = list(found)
    failed = [
        quarantined(purpose, EDITS.name, one["id"], Rejection("edit failed", one["error"] or ""))
        for one in listed
        if not isinstance(one, AskedEdit)
    ]
    asked = [one for one in listed if isinstance(one, AskedEdit)]
    edits = [JudgedEdit(one, verdict) for one, verdict in zip(asked, on_cores(judge, asked), strict=True)]
    turned_away = [
        quarantined(purpose, EDITS.name, one.edit.edit_id, reason) for one in edits for reason in one.verdict.reasons
    ]
    return Judged(tuple(edits), (*failed, *turned_away))


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


def provenance(key: str, edit: AskedEdit) -> dict[str, str]:
    """The row of `generated` that says which answer a pair was made from."""
    return {
        "id": key,
        "request_id": edit.request_id,
        "edit_id": edit.edit_id,
        "model": edit.model,
        "model_digest": edit.model_digest,
    }


def quarantined(origin: str, table: str, row: str, rejection: Rejection) -> dict[str, Any]:
    """A row of the quarantine; requests and edits have their purpose as their origin."""
    return {
        "id": content_id("quarantine", origin, row, rejection.reason, rejection.value),
        "origin": origin,
        "table": table,
        "row": row,
        "reason": rejection.reason,
        "value": rejection.value[:500],
    }


@dataclass(frozen=True, eq=False)
class _Drawn:
    id: str
    row: PlannedRow
    moment: Moment
    seed: int


def _drawn(row: PlannedRow, setting: AskSetting) -> _Drawn:
    rng = row.generator(setting.compose.seed)
    moment = setting.moment(row, rng)
    return _Drawn(setting.request_id(row), row, moment, int(rng.integers(2**31)))


def _way_back(one: _Drawn, answer: Written) -> InvertRequest:
    return InvertRequest(
        one.moment.caption, answer.output_caption, answer.instruction, one.seed, one.row.split != "train"
    )


def _request_row(one: _Drawn, answer: Written, back: Inverted | None, setting: AskSetting) -> dict[str, Any]:
    moment, is_picture = one.moment, len(one.moment.frames) == 1
    return {
        "id": one.id,
        "purpose": setting.purpose,
        "kind": "picture" if is_picture else "video",
        "instruction": answer.instruction,
        "task": answer.task,
        "settings": setting.sampling,
        "inverse_instruction": back and back.instruction,
        "inverse_task": back and back.task,
        "scene": moment.scene,
        "caption": moment.caption,
        "output_caption": answer.output_caption,
        "split": one.row.split,
        "seed": one.seed,
        "media": pack_frames(moment.frames),
        "fps": 1.0 if is_picture else setting.compose.params.geometry.frame_rate,
        "clip_ids": list(moment.clip_ids),
    }


def _asked_edit(request: Mapping[str, Any], row: Mapping[str, Any]) -> AskedEdit:
    back = request["inverse_instruction"]
    return AskedEdit(
        request_id=request["id"],
        edit_id=row["id"],
        model=row["model"],
        model_digest=row["model_digest"],
        task=request["task"],
        instruction=request["instruction"],
        caption=request["caption"],
        output_caption=request["output_caption"],
        inverse=Inverted(back, request["inverse_task"]) if back else None,
        scene=request["scene"],
        split=request["split"],
        clip_ids=tuple(request["clip_ids"]),
        source=unpack_frames(request["media"]),
        edit=unpack_frames(row["frames"]),
    )
