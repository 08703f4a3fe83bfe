"""One row of a table of triples: judged, given a task, a side of the split and an id, and brought to the geometry.

A pair of clips gives the pair of their middle frames: stage one edits single frames, and no stage learns from pairs of
videos (Movie Gen Edit, section 5.1).
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from features.encode import PairEncoder
from features.framing import framing_of_change
from features.ingest import SCORED_SIDE, TEST, TRAIN, split_of
from features.listings import printable
from features.pair_rows import PairRow, Triple, changed, share_of
from features.params import FeaturesParams, SplitParams
from features.plan import IMAGE_EDIT
from features.quality import Rejection, judge_look, score
from features.task_rules import task_told
from features.triples import RawTriple
from models.tasks import EDIT_TASKS, Task, parse_task
from stores.clip_files import probe, read_clip, stream_frames
from stores.clip_types import MediaError, MediaInfo, MediaLimits
from stores.media_rows import shorter_side
from stores.schema import content_id

IMPORTED = "imported"  # who made the pair
LEAST_INSTRUCTION = 3  # characters, as in the checks of the table
SPLITS = {"train": TRAIN, "validation": TEST, "val": TEST, "dev": TEST, "test": TEST}


class UnusableError(Exception):
    """A row that goes to quarantine, with every reason found."""

    def __init__(self, *rejections: Rejection) -> None:
        super().__init__("; ".join(f"{rejection.reason}: {rejection.value}" for rejection in rejections))
        self.rejections = rejections


@dataclass(frozen=True)
class ImportSetting:
    """What imported rows depend on besides the table; `code` is a digest of the code and of how it encodes."""

    stage: str
    code: str
    params: FeaturesParams
    limits: MediaLimits
    encoder: PairEncoder


@dataclass(frozen=True)
class Candidate:
    """A triple that may be used; its id says all that its row is made from, before the pixels are."""

    id: str
    raw: RawTriple
    task: Task
    scene: str
    split: str
    hashes: tuple[str, str]


def examined(raw: RawTriple, setting: ImportSetting) -> Candidate:
    """The words and the two files of a row, judged.

    Raises:
        UnusableError: it goes to quarantine.
    """
    if raw.problem:
        raise UnusableError(Rejection(raw.problem, raw.address))
    task = _task(raw, setting.params.checks.max_instruction)
    scene = raw.scene or hashlib.sha256(raw.source).hexdigest()[:32]
    split = _split(raw.split, scene, setting.params.split)
    hashes = _hashes(raw, setting)
    key = content_id(
        IMPORTED, setting.stage, raw.source, raw.target, raw.instruction, task.label, scene, split,
        raw.source_caption, raw.target_caption, setting.params.geometry.resolution,
        setting.encoder.autoencoder, setting.encoder.text_encoder, setting.code,
    )  # fmt: skip
    return Candidate(key, raw, task, scene, split, hashes)


def pair_row(candidate: Candidate, setting: ImportSetting) -> PairRow:
    """The row of a candidate, at the geometry: both pictures in the square that shows most of what is changed.

    Raises:
        UnusableError: nothing is changed though it should be, or the other way round.
    """
    raw, side = candidate.raw, setting.params.geometry.resolution
    with _readable():
        source, target = (_middle(data, side, setting.limits, name) for data, name in _files(raw))
    framing = framing_of_change(changed(source, target)[0])
    source, target = (framing.of(frames, side) for frames in (source, target))
    share = share_of(changed(source, target))
    if candidate.task is Task.IDENTITY and share:
        raise UnusableError(Rejection("source and target differ, but the task is identity", str(share)))
    if candidate.task is not Task.IDENTITY and not share:
        raise UnusableError(Rejection("source and target are alike", raw.instruction))
    triple = Triple(
        candidate.task.label, raw.instruction, source, target, raw.source_caption, raw.target_caption,
        [], candidate.scene,
    )  # fmt: skip
    split = "train" if candidate.split == TRAIN else "validation"
    return PairRow(candidate.id, setting.stage, IMAGE_EDIT, split, IMPORTED, triple)


def _task(raw: RawTriple, longest: int) -> Task:
    """The task that is stated, or that the wording of the instruction tells."""
    told, length = raw.instruction, len(raw.instruction)
    if printable(told) != told:
        raise UnusableError(Rejection("instruction is not Unicode", printable(told)))
    if not told:
        raise UnusableError(Rejection("instruction is empty", ""))
    if not LEAST_INSTRUCTION <= length <= longest:
        bound = f"below {LEAST_INSTRUCTION}" if length < LEAST_INSTRUCTION else f"above {longest}"
        raise UnusableError(Rejection(f"instruction length {bound}", str(length)))
    if not raw.task:
        return task_told(told)
    try:
        task = parse_task(raw.task)
    except ValueError as error:
        raise UnusableError(Rejection("unknown task", str(error))) from error
    if task not in EDIT_TASKS:
        raise UnusableError(Rejection("task is no edit", raw.task))
    return task


def _split(stated: str, scene: str, params: SplitParams) -> str:
    """As for clips, by scene; a table may state it where the parameters do not."""
    if not stated or scene in params.test_scenes or scene in params.train_scenes:
        return split_of(scene, params)
    if stated not in SPLITS:
        raise UnusableError(Rejection(f"split is none of {', '.join(SPLITS)}", stated))
    return SPLITS[stated]


def _hashes(raw: RawTriple, setting: ImportSetting) -> tuple[str, str]:
    """Difference hashes of source and target, if the two are a pair and look well."""
    with _readable():
        source, target = (probe(data, setting.limits, name=name) for data, name in _files(raw))
        _check_pair(source, target, setting.params.quality.max_aspect)
        before, after = (score(_whole(data, source, setting.limits, name)) for data, name in _files(raw))
    side = min(source.height, source.width)
    found = [
        Rejection(f"{what}: {rejection.reason}", rejection.value)
        # A target may be blurred on purpose.
        for what, quality in (("source", before), ("target", replace(after, sharpness=math.inf)))
        for rejection in judge_look(quality, side, setting.params.quality)
    ]
    if found:
        raise UnusableError(*found)
    return before.dhash, after.dhash


def _check_pair(source: MediaInfo, target: MediaInfo, max_aspect: float) -> None:
    if source.kind != target.kind:
        raise UnusableError(Rejection("source and target differ in kind", f"{source.kind}, {target.kind}"))
    sizes = [f"{info.width} x {info.height}" for info in (source, target)]
    if sizes[0] != sizes[1]:
        raise UnusableError(Rejection("source and target differ in size", ", ".join(sizes)))
    if source.frames != target.frames:
        counts = f"{source.frames}, {target.frames}"
        raise UnusableError(Rejection("source and target differ in number of frames", counts))
    aspect = max(source.height, source.width) / min(source.height, source.width)
    if aspect > max_aspect:  # before a strip of one pixel is scaled to the size of the scores
        raise UnusableError(Rejection(f"aspect ratio above {max_aspect}", f"{aspect:.2f}"))


def _files(raw: RawTriple) -> tuple[tuple[bytes, str], tuple[bytes, str]]:
    """Bytes of source and target, with what messages call them."""
    return (raw.source, f"{raw.address} (source)"), (raw.target, f"{raw.address} (target)")


def _whole(data: bytes, info: MediaInfo, limits: MediaLimits, name: str) -> np.ndarray:
    """As `_middle`, at the size of the scores, and every frame of a clip is decoded: a damaged one is not used."""
    size = shorter_side(info.height, info.width, SCORED_SIDE)
    frames = enumerate(stream_frames(data, limits, size=size, name=name))
    (middle,) = [frame for index, frame in frames if index == info.frames // 2]
    return middle[None]


def _middle(data: bytes, side: int, limits: MediaLimits, name: str) -> np.ndarray:
    """The picture, or the middle frame of a clip, [1 h w 3] with its shorter side scaled to `side`."""
    info = probe(data, limits, name=name)
    size = shorter_side(info.height, info.width, side)
    frames: np.ndarray = read_clip(data, limits, start=info.frames // 2, frames=1, size=size, name=name).frames
    return frames


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        raise UnusableError(Rejection("unreadable media", printable(str(error)))) from error
