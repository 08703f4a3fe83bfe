"""Answer a table of edit requests: in batches where geometries agree, resuming after a kill, whatever single rows do.

Batches are cut from the whole list of requests, not from what is left of it: batched arithmetic differs in the last
bits with its neighbours, so a resumed run repeats the batch that was cut off and gives what an uninterrupted one gives.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from inference.answers import ERROR, OK, EditRow, Planned, error_row, file_row, frames_row, located
from inference.editor import EditedFrames, Editor, FramesRequest
from inference.params import EditError, EditSettings, checked_instruction
from inference.requests import USER, EditRequest
from inference.windows import edit_stream
from models.tasks import Task
from stores.clip_files import Clip, read_clip
from stores.feature_store import FeatureStore
from stores.frames import is_packed, unpack_frames
from stores.schema import EDITS

FLUSH_ROWS = 16
FLUSH_BYTES = 64 << 20  # of frames and previews that wait to be written

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]  # (requests behind us, of all)


@dataclass(frozen=True)
class Answered:
    """What became of the requests; `ids` are those of their rows in `edits`, in the order of the requests."""

    ids: tuple[str, ...]
    made: int
    skipped: int
    failed: int


@dataclass(frozen=True, eq=False)
class _Alike:
    """Plans that come to one and the same edit: it is made once, from the first, and gives each its row."""

    plans: tuple[Planned, ...]

    @property
    def first(self) -> Planned:
        return self.plans[0]

    def left(self, done: set[str]) -> list[Planned]:
        return [plan for plan in self.plans if plan.id not in done]


@dataclass(frozen=True, eq=False)
class _Loaded:
    alike: _Alike
    clip: Clip
    request: FramesRequest

    @property
    def group(self) -> tuple[object, ...]:
        """What the edits of one batch share."""
        return (self.clip.frames.shape, *self.request.settings.sampling)


def answer(
    requests: Sequence[EditRequest],
    editor: Editor,
    store: FeatureStore,
    outputs: Path,
    *,
    code: str = "",
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Answered:
    """Write one row of `edits` for every request that this model has not answered with these settings and this code.

    Files go to `outputs`. A user's file is edited at its own size; media of the pipeline at model resolution, several
    at once. A request that fails gives a row with status `error`, which the next run tries again. Rows are written in
    small batches, so a kill loses little.
    """
    planned = (Planned.of(request, editor.params, editor.model, code) for request in requests)
    plans = {plan.id: plan for plan in planned}
    done = _done(store, outputs)
    writer = _Writer(store)
    behind = 0
    try:
        for chunk in _chunks(list(plans.values()), editor, batch_size):
            for row in _rows(chunk, done, editor, outputs):
                writer.add(row)
            behind += sum(len(alike.plans) for alike in chunk)
            if progress is not None:
                progress(behind, len(plans))
    finally:
        writer.flush()
    return Answered(tuple(plans), writer.made, len(done & plans.keys()), writer.failed)


class _Writer:
    """Rows on their way to the table."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._rows: list[EditRow] = []
        self._bytes = 0
        self.made = self.failed = 0

    def add(self, row: EditRow) -> None:
        self._rows.append(row)
        self._bytes += sum(len(value) for value in row.values() if isinstance(value, bytes))
        self.made += row["status"] == OK
        self.failed += row["status"] == ERROR
        if row["status"] == ERROR:
            log.warning("request %s: %s", row["request_id"], row["error"])
        # A user's clip may have taken minutes: it is never at risk.
        if row["purpose"] == USER or len(self._rows) >= FLUSH_ROWS or self._bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        # Replacing: a former error, or an answer whose file is gone, has the same id.
        self._store.upsert(EDITS, self._rows, replace=True)
        self._rows, self._bytes = [], 0


def _done(store: FeatureStore, outputs: Path) -> set[str]:
    """Ids of good answers whose file is still there."""
    rows = store.draft(EDITS, ["id", "status", "output_uri"]).to_pylist()
    return {row["id"] for row in rows if row["status"] == OK and (path := located(outputs, row)) and path.is_file()}


def _chunks(plans: Sequence[Planned], editor: Editor, batch_size: int) -> Iterator[list[_Alike]]:
    """Users' files one by one, the rest in chunks of what probably has one geometry, in an order of content."""
    machine = sorted((plan for plan in plans if plan.request.purpose != USER), key=_chunk_order)
    edits: dict[Hashable, list[Planned]] = defaultdict(list)
    for plan in machine:
        edits[_edit_key(plan, editor)].append(plan)
    alike = [_Alike(tuple(members)) for members in edits.values()]
    for _, group in groupby(alike, key=lambda one: _chunk_order(one.first)[:-1]):
        members = list(group)
        yield from (members[start : start + batch_size] for start in range(0, len(members), batch_size))
    yield from ([_Alike((plan,))] for plan in plans if plan.request.purpose == USER)


def _chunk_order(plan: Planned) -> tuple[str, str, str, str]:
    request = plan.request
    return request.purpose, request.kind or "", request.settings or "", request.id


def _edit_key(plan: Planned, editor: Editor) -> Hashable:
    """What the edit of a request depends on, the task predicted where none is stated; its own if it cannot be tried."""
    request = plan.request
    try:
        if plan.settings is None:
            return plan.id
        task = editor.task_of(request.instruction, plan.settings)
    except EditError:
        return plan.id
    settings = plan.settings.model_copy(update={"task": task})
    return request.media, request.clip_uri, request.fps, checked_instruction(request.instruction), settings


def _rows(chunk: Sequence[_Alike], done: set[str], editor: Editor, outputs: Path) -> Iterator[EditRow]:
    """A row for every request that is not done, whatever happens to any of them."""
    if not any(alike.left(done) for alike in chunk):
        return
    if chunk[0].first.request.purpose == USER:
        plan = chunk[0].first
        yield _attempt(plan, editor, partial(file_row, plan, editor, outputs))
        return
    groups: dict[tuple[object, ...], list[_Loaded]] = defaultdict(list)
    for alike in chunk:
        try:
            loaded = _load(alike, editor)
        except Exception as error:  # a row of the user's or of a model's making may fail in any way
            # Those done before stay: only their media may be gone since.
            yield from (error_row(plan, editor.model, error) for plan in alike.left(done))
            continue
        groups[loaded.group].append(loaded)
    for members in groups.values():
        yield from _edited_rows(members, done, editor, outputs)


def _edited_rows(members: Sequence[_Loaded], done: set[str], editor: Editor, outputs: Path) -> Iterator[EditRow]:
    try:
        edits: Sequence[EditedFrames | None] = _edit_together(members, editor)
    except Exception as error:  # one by one, to find the row at fault and save the others
        log.warning("a batch of %d failed (%s); its rows are tried one by one", len(members), error)
        edits = [None] * len(members)
    for member, edit in zip(members, edits, strict=True):
        for plan in member.alike.left(done):
            yield _attempt(plan, editor, partial(_frames_row, plan, member, edit, editor, outputs))


def _frames_row(plan: Planned, member: _Loaded, edit: EditedFrames | None, editor: Editor, outputs: Path) -> EditRow:
    edited = edit or _edit_together([member], editor)[0]
    return frames_row(plan, editor.model, outputs, member.clip, edited)


def _attempt(plan: Planned, editor: Editor, make: Callable[[], EditRow]) -> EditRow:
    try:
        return make()
    except Exception as error:  # a bad row never stops the others
        return error_row(plan, editor.model, error)


def _edit_together(members: Sequence[_Loaded], editor: Editor) -> list[EditedFrames]:
    requests = [member.request for member in members]
    if len(requests[0].frames) <= editor.params.window_frames:
        return editor.edit_batch(requests)
    return [_edit_long(request, editor) for request in requests]


def _edit_long(request: FramesRequest, editor: Editor) -> EditedFrames:
    """A clip longer than a window, all in memory: it came in as one cell of a table."""
    seconds, task = 0.0, Task.NULL

    def edit_window(window: np.ndarray) -> np.ndarray:
        nonlocal seconds, task
        edited = editor.edit_frames(window, request.instruction, request.settings)
        seconds, task = seconds + edited.seconds, edited.task
        return edited.frames

    params = editor.params
    frames = edit_stream(request.frames, edit_window, params.window_frames, params.window_overlap)
    return EditedFrames(np.stack(list(frames)), task, seconds)


def _load(alike: _Alike, editor: Editor) -> _Loaded:
    plan = alike.first
    if plan.settings is None:
        raise EditError(plan.problem or "no settings")
    clip = _source(plan.request, editor)
    settings: EditSettings = plan.settings
    return _Loaded(alike, clip, FramesRequest(clip.frames, checked_instruction(plan.request.instruction), settings))


def _source(request: EditRequest, editor: Editor) -> Clip:
    """The source at model resolution: packed frames as they are, media scaled by the decoder."""
    side = editor.params.resolution
    if request.media is None and not request.clip_uri:
        raise EditError("neither media nor a clip")
    if request.media is None or not is_packed(request.media):
        source = Path(request.clip_uri or "") if request.media is None else request.media
        return read_clip(source, editor.params.limits.media(), size=(side, side), name=request.name or request.id)
    frames = unpack_frames(request.media)
    if frames.shape[1:3] != (side, side):
        raise EditError(f"packed frames are {frames.shape[1]}x{frames.shape[2]}, the model sees {side}x{side}")
    if len(frames) > 1 and not request.fps:
        raise EditError("packed frames of a clip need a frame rate")
    return Clip(frames, Fraction(request.fps or 1).limit_denominator(100_000))
