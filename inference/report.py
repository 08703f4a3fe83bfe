"""A report of edits as one HTML file: source and edit side by side, playable offline, failures with their reasons."""

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from inference.answers import OK, located
from inference.editor import Editor
from inference.manifest import RowProblem
from inference.report_page import PAGE
from inference.requests import EditRequest
from models.pixels import Frames
from models.precision import arithmetic
from stores.clip_files import MediaError, MediaInfo, MediaLimits, probe, read_clip
from stores.clip_writer import encode_clip, encode_picture

PREVIEW_SIDE = 256  # longest side of an embedded preview, pixels
PREVIEW_FRAMES = 48  # of an embedded clip; longer ones are thinned out and keep their duration
PREVIEW_CRF = 30
PREVIEW_QUALITY = 75
MAX_BYTES = 28 << 20  # of the whole page; what is beyond is linked, not embedded
BASE64_GROWTH = 4 / 3


@dataclass(frozen=True)
class ReportRow:
    """One request with its answer. `source` and `output` are files; `error` is empty where there is an edit."""

    number: int
    name: str
    clip: str
    instruction: str
    task: str
    task_given: bool
    seconds: float
    error: str
    source: Path | None
    output: Path | None


@dataclass(frozen=True)
class Fact:
    """A line of the header."""

    name: str
    value: str


@dataclass(frozen=True)
class ReportHeader:
    """The model, and what all edits share."""

    model: str
    digest: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class _Side:
    label: str
    uri: str
    is_video: bool
    link: str
    file: str
    note: str


@dataclass(frozen=True)
class _Edit:
    row: ReportRow
    sides: tuple[_Side, ...]


def write_report(path: Path, rows: Sequence[ReportRow], header: ReportHeader, limits: MediaLimits) -> None:
    """Write the page, in one atomic step; its size stays under 28 MB however many rows there are."""
    failures = [row for row in rows if row.error]
    edits = list(_edits([row for row in rows if not row.error], path.resolve().parent, limits))
    title = _counted(len(edits), "edit") + (f", {len(failures)} not edited" if failures else "")
    page = jinja2.Environment(autoescape=True).from_string(PAGE)
    text = page.render(title=title, header=header, edits=edits, failures=failures)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def report_rows(
    requests: Sequence[EditRequest],
    answers: Sequence[Mapping[str, Any]],
    problems: Sequence[RowProblem],
    outputs: Path,
) -> list[ReportRow]:
    """Requests with their rows of `edits`, then the problems of their manifest."""
    by_request = {answer["request_id"]: answer for answer in answers}
    rows = [
        _answered(number, request, by_request.get(request.id), outputs) for number, request in enumerate(requests, 1)
    ]
    return rows + [_problem(len(requests) + extra, problem) for extra, problem in enumerate(problems, 1)]


def report_header(editor: Editor) -> ReportHeader:
    """The editor's model and the settings of its deployment."""
    params = editor.params
    shown = {
        "Steps": params.num_inference_steps,
        "Guidance": f"text {params.guidance_scale:g}, video {params.video_guidance_scale:g}",
        "Seed": params.seed,
        "Model resolution": f"{params.resolution} x {params.resolution}",
        "Window": f"{params.window_frames} frames, {params.window_overlap} shared",
        "Source detail": f"kept under {params.detail_threshold:g}" if params.keep_source_detail else "not kept",
        "Precision": arithmetic(editor.device, params.precision),
    }
    facts = tuple(Fact(name, str(value)) for name, value in shown.items())
    return ReportHeader(editor.model.name, editor.model.digest, facts)


def _answered(number: int, request: EditRequest, answer: Mapping[str, Any] | None, outputs: Path) -> ReportRow:
    good = answer is not None and answer["status"] == OK
    error = "" if good else (answer["error"] if answer else None) or "not answered"
    clip = request.clip_uri or ""
    return ReportRow(
        number=number,
        name=request.name or request.id[:8],
        clip=clip,
        instruction=request.instruction,
        task=(answer["task"] if answer else None) or "",
        task_given=bool(answer and good and json.loads(answer["settings"])["task"]),
        seconds=(answer["seconds"] if answer else None) or 0.0,
        error=error,
        source=Path(clip) if clip else None,
        output=located(outputs, answer) if answer else None,
    )


def _problem(number: int, problem: RowProblem) -> ReportRow:
    return ReportRow(
        number=number,
        name=problem.name,
        clip=problem.clip,
        instruction=problem.instruction,
        task="",
        task_given=False,
        seconds=0.0,
        error=problem.reason,
        source=None,
        output=None,
    )


def _edits(rows: Sequence[ReportRow], folder: Path, limits: MediaLimits) -> Iterator[_Edit]:
    left = MAX_BYTES
    for row in rows:
        sides = []
        for label, file in (("source", row.source), ("edit", row.output)):
            side = _side(label, file, folder, limits, left)
            left -= len(side.uri)
            sides.append(side)
        yield _Edit(row, tuple(sides))


def _side(label: str, file: Path | None, folder: Path, limits: MediaLimits, left: int) -> _Side:
    if file is None:
        return _Side(label, "", False, "", "", "kept in the table")
    link = quote(os.path.relpath(file, folder)) if label == "edit" else ""
    try:
        info = probe(file, limits)
        data, is_video = _preview(file, info, limits)
    except MediaError as error:
        return _Side(label, "", False, link, file.name, f"not shown: {error}")
    if len(data) * BASE64_GROWTH > left:
        return _Side(label, "", False, link, file.name, "not embedded: the page is full")
    kind = "video/mp4" if is_video else "image/webp"
    uri = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return _Side(label, uri, is_video, link, file.name if link else "", _described(info))


def _preview(file: Path, info: MediaInfo, limits: MediaLimits) -> tuple[bytes, bool]:
    """A small WebP or mp4 of a file, and whether it is an mp4."""
    stride = -(-info.frames // PREVIEW_FRAMES)
    clip = read_clip(file, limits, stride=stride, size=_preview_size(info.height, info.width))
    if info.kind == "picture":
        return encode_picture(clip.frames[0], "webp", PREVIEW_QUALITY), False
    frames: Frames = clip.frames
    return encode_clip(frames, clip.fps, crf=PREVIEW_CRF), True


def _preview_size(height: int, width: int) -> tuple[int, int]:
    """At most 256 pixels long; even, because not every browser plays H.264 of odd sizes."""
    scale = min(1.0, PREVIEW_SIDE / max(height, width))
    tall, wide = (max(2, 2 * round(side * scale / 2)) for side in (height, width))
    return tall, wide


def _described(info: MediaInfo) -> str:
    size = f"{info.width} x {info.height}"
    return size if info.kind == "picture" else f"{size}, {info.seconds:.1f} s"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
