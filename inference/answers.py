"""Rows of the table `edits`: what was answered to a request, with which settings, and where the result lies."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from inference.edit import EditResult, edit_file
from inference.editor import EditedFrames, Editor
from inference.params import EditError, EditSettings, InferenceParams, edit_settings, settings_text
from inference.requests import USER, EditRequest, file_sha256
from models.pixels import Frames
from models.tasks import Task
from stores.clip_files import Clip, Source, probe, read_clip
from stores.clip_writer import encode_picture, filmstrip, write_clip, write_picture
from stores.frames import pack_frames
from stores.receipts import ModelReceipt
from stores.schema import content_id

OK, ERROR = "ok", "error"
PREVIEW_FRAMES = 6
PREVIEW_HEIGHT = 96  # pixels
PREVIEW_QUALITY = 80
MAX_ERROR = 1000  # characters
MAX_NAME = 60  # characters of a user's name in a file name

EditRow = dict[str, Any]  # as the store takes it


@dataclass(frozen=True, eq=False)
class Planned:
    """A request with the identity of its answer; `problem` says why it cannot even be tried."""

    request: EditRequest
    id: str
    settings: EditSettings | None
    settings_text: str
    problem: str | None

    @classmethod
    def of(cls, request: EditRequest, params: InferenceParams, model: ModelReceipt, code: str = "") -> Self:
        """Other words, settings, code or another model are another answer: nothing stale is taken for it."""
        settings, text, problem = None, request.settings or "", None
        try:
            settings = edit_settings(params, request.overrides())
            text = settings_text(params, settings)
        except EditError as error:
            problem = str(error)
        return cls(
            request, content_id(request.id, request.instruction, model.digest, text, code), settings, text, problem
        )


@dataclass(frozen=True)
class _Result:
    task: Task
    seconds: float
    output: Path
    clip_sha256: str
    preview: bytes
    frames: bytes | None


def frames_row(plan: Planned, model: ModelReceipt, outputs: Path, clip: Clip, edited: EditedFrames) -> EditRow:
    """Write a machine's edit, at model resolution and not composited, and describe it.

    `frames` keeps it without loss, for scores and for training: the file has been through a codec.
    """
    is_picture = len(edited.frames) == 1
    output = outputs / f"{plan.id}{'.png' if is_picture else '.mp4'}"
    outputs.mkdir(parents=True, exist_ok=True)
    if is_picture:
        write_picture(output, edited.frames[0])
    else:
        write_clip(output, edited.frames, clip.fps)
    result = _Result(
        task=edited.task,
        seconds=edited.seconds,
        output=output,
        clip_sha256=_source_sha256(plan.request),
        preview=_preview(clip.frames, edited.frames),
        frames=pack_frames(edited.frames),
    )
    return _answered(plan, model, outputs, result)


def file_row(plan: Planned, editor: Editor, outputs: Path) -> EditRow:
    """Edit a user's file and describe the edit.

    Raises:
        EditError, MediaError: as `edit_file`.
    """
    request = plan.request
    if not request.clip_uri or plan.settings is None:
        raise EditError(plan.problem or "no clip named")
    path = Path(request.clip_uri)
    limits = editor.params.limits.media()
    output = Path(request.output_uri) if request.output_uri else outputs / _file_name(plan, probe(path, limits).kind)
    made = edit_file(editor, path, request.instruction, output, plan.settings)
    result = _Result(
        task=made.task,
        seconds=made.seconds,
        output=made.output,
        clip_sha256=file_sha256(path),
        preview=_preview(*(_glimpse(media, made, editor.params) for media in (path, made.output))),
        frames=None,
    )
    return _answered(plan, editor.model, outputs, result)


def error_row(plan: Planned, model: ModelReceipt, error: Exception | str) -> EditRow:
    """The answer to a request that failed: why."""
    reason = str(error) or type(error).__name__
    return _stated(plan, model) | {"status": ERROR, "error": reason[:MAX_ERROR], "task": plan.request.task}


def located(outputs: Path, row: Mapping[str, Any]) -> Path | None:
    """Where the output of a row of `edits` lies."""
    return outputs / row["output_uri"] if row["output_uri"] else None


def _answered(plan: Planned, model: ModelReceipt, outputs: Path, result: _Result) -> EditRow:
    return _stated(plan, model) | {
        "status": OK,
        "task": result.task.label,
        "output_uri": _relative(result.output, outputs),
        "output_sha256": file_sha256(result.output),
        "clip_sha256": result.clip_sha256,
        "seconds": result.seconds,
        "frames": result.frames,
        "preview": result.preview,
    }


def _stated(plan: Planned, model: ModelReceipt) -> EditRow:
    request = plan.request
    return {
        "id": plan.id,
        "request_id": request.id,
        "purpose": request.purpose,
        "instruction": request.instruction,
        "model": model.name,
        "model_digest": model.digest,
        "clip_uri": request.clip_uri,
        "settings": plan.settings_text,
        "seed": plan.settings.seed if plan.settings else request.seed,
        "clip_ids": list(request.clip_ids),
    }


def _relative(output: Path, outputs: Path) -> str:
    """Relative to the outputs folder where it lies there: rows do not depend on where the state root is."""
    inside = output.resolve()
    return str(inside.relative_to(outputs.resolve())) if inside.is_relative_to(outputs.resolve()) else str(inside)


def _source_sha256(request: EditRequest) -> str:
    if request.media is not None:
        return hashlib.sha256(request.media).hexdigest()
    return file_sha256(Path(request.clip_uri or ""))


def _file_name(plan: Planned, kind: str) -> str:
    """Readable, safe for any file system, and one for each answer."""
    stem = Path(plan.request.clip_uri or "").stem
    name = plan.request.name
    readable = re.sub(r"[^\w.]+", "-", stem if name in (None, "", stem) else f"{name}-{stem}").strip("-.")[:MAX_NAME]
    return f"{readable or USER}-{plan.id[:8]}{'.png' if kind == 'picture' else '.mp4'}"


def _glimpse(source: Source, made: EditResult, params: InferenceParams) -> Frames:
    """A few small frames of a file, for its filmstrip."""
    width = max(1, round(made.width * PREVIEW_HEIGHT / made.height))
    count = min(PREVIEW_FRAMES, made.frames)
    stride = max(1, (made.frames - 1) // max(1, count - 1))
    limits = params.limits.media()
    return read_clip(source, limits, frames=count, stride=stride, size=(PREVIEW_HEIGHT, width)).frames


def _preview(source: Frames, edit: Frames) -> bytes:
    """Filmstrips of source over edit, as WebP."""
    strips = [filmstrip(frames, PREVIEW_FRAMES, PREVIEW_HEIGHT) for frames in (source, edit)]
    return encode_picture(np.concatenate(strips), "webp", PREVIEW_QUALITY)
