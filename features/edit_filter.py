"""The filter of generated edits: scores that need no truth, thresholds on them, and the reasons they give.

Movie Gen Edit, sections 5.1.3 and 5.1.4, filters edits by scores of images and texts "in the manner of Emu Edit", and
states no thresholds. The scores of pixels are ours: they find the copy, the smear and the flicker.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from features.params import EditFilterParams
from features.quality import Rejection
from models.metrics import EDIT_THRESHOLD, colour_drift, flicker, gradient_energy
from models.scorers.contrast import contrast
from models.scorers.protocol import Scorer


@dataclass(frozen=True)
class EditScores:
    """What can be said of an edit and its source alone; None where a score is not defined.

    Changed are pixels whose largest channel differs by more than 8 grey levels: an estimate of the region that the
    truth would give. Changes, drift and flicker are in grey levels (1/255). `agreement` and what follows it are
    cosines, and None without a scorer.
    """

    change_share: float  # of all pixels of all frames
    change_inside: float | None  # mean over changed pixels of their largest channel's change; None without any
    change_outside: float | None  # the same over all other pixels; None where every pixel has changed
    sharpness: float | None  # gradient energy over that of the source; None for a flat source
    colour_drift: float | None  # of unchanged pixels; None where they are under 10 % of the frames
    flicker: float | None  # RMS of what the edit's steps between frames add to the source's; None for a picture
    agreement: float | None = None
    direction: float | None = None
    resemblance: float | None = None
    consistency: float | None = None

    def row(self) -> dict[str, float | None]:
        """By name, as stored with the edit."""
        return asdict(self)


@dataclass(frozen=True)
class Threshold:
    """One threshold that is on: the score it reads, how it is spoken of, and its bound."""

    score: str
    name: str
    limit: float
    is_least: bool

    @property
    def reason(self) -> str:
        """As it stands in the quarantine."""
        return f"{self.name} {'below' if self.is_least else 'above'} {self.limit:g}"

    def missed_by(self, scores: EditScores) -> Rejection | None:
        """The reason against an edit, with its value; None if it passes, or has no such score."""
        value = getattr(scores, self.score)
        if value is None or (value >= self.limit if self.is_least else value <= self.limit):
            return None
        return Rejection(self.reason, str(round(value, 4)))


SPOKEN = {
    "change_share": "share of changed pixels",
    "change_inside": "change",
    "change_outside": "change elsewhere",
    "sharpness": "sharpness of the source's",
    "colour_drift": "colour drift",
    "flicker": "flicker",
    "agreement": "agreement with the caption",
    "direction": "direction of the edit",
    "resemblance": "resemblance to the source",
    "consistency": "consistency of frames",
}
BY_SCORER = ("agreement", "direction", "resemblance", "consistency")


def thresholds(params: EditFilterParams) -> Iterator[Threshold]:
    """Those that are on."""
    for field, limit in params:
        which, _, score = field.partition("_")
        if limit is not None:
            yield Threshold(score, SPOKEN[score], limit, which == "least")


def score_edit(
    source: np.ndarray, edit: np.ndarray, caption: str, output_caption: str, scorer: Scorer | None
) -> EditScores:
    """All scores of an edit and its source, frames [f h w 3] uint8 of one shape; ValueError for anything else.

    Let the source have gone through the autoencoder, as the edit has: else its losses count as changes.
    """
    _check(source, edit)
    difference = np.abs(edit.astype(np.int16) - source).max(axis=-1)
    changed: np.ndarray = difference > EDIT_THRESHOLD
    seen = contrast(source, edit, caption, output_caption, scorer) if scorer else None
    return EditScores(
        change_share=float(changed.mean()),
        change_inside=_mean(difference[changed]),
        change_outside=_mean(difference[~changed]),
        sharpness=_sharpness(source, edit),
        colour_drift=colour_drift(edit, source, ~changed),
        flicker=flicker(edit, source),
        **(asdict(seen) if seen else {}),
    )


def rejections(scores: EditScores, params: EditFilterParams) -> tuple[Rejection, ...]:
    """Every threshold that an edit misses, with its value; none of them for an edit that may be trained on."""
    found = (threshold.missed_by(scores) for threshold in thresholds(params))
    return tuple(rejection for rejection in found if rejection)


@dataclass(frozen=True)
class Verdict:
    """What an edit was judged by, and the reasons against it: none for one that may be trained on."""

    scores: EditScores
    reasons: tuple[Rejection, ...]


class Candidate(Protocol):
    """An edit to be judged: a picture [h w 3] or a clip [f h w 3], uint8, with the captions before and after."""

    @property
    def source(self) -> np.ndarray: ...
    @property
    def edit(self) -> np.ndarray: ...
    @property
    def caption(self) -> str: ...
    @property
    def output_caption(self) -> str: ...


class EditJudge:
    """Thresholds and the scorer that they were chosen for; called with an edit, it gives its verdict.

    Raises:
        ValueError: a threshold is on that only a scorer can judge, and there is none.
    """

    def __init__(self, params: EditFilterParams, scorer: Scorer | None) -> None:
        blind = [threshold.score for threshold in thresholds(params) if threshold.score in BY_SCORER]
        if blind and scorer is None:
            raise ValueError(f"thresholds on {', '.join(blind)} need a scorer: name one, or turn them off with null")
        self._params, self._scorer = params, scorer

    def __call__(self, candidate: Candidate) -> Verdict:
        """The edit's scores, and every threshold that it misses."""
        source, edit = (_clip(frames) for frames in (candidate.source, candidate.edit))
        scores = score_edit(source, edit, candidate.caption, candidate.output_caption, self._scorer)
        return Verdict(scores, rejections(scores, self._params))


def _clip(frames: np.ndarray) -> np.ndarray:
    return frames[None] if frames.ndim == 3 else frames


def _check(source: np.ndarray, edit: np.ndarray) -> None:
    if source.shape != edit.shape:
        raise ValueError(f"source {list(source.shape)} and edit {list(edit.shape)} differ in shape")
    if source.ndim != 4 or source.shape[-1] != 3 or not source.size or {source.dtype, edit.dtype} != {np.dtype("u1")}:
        raise ValueError(f"frames are uint8 [f h w 3], not {source.dtype} and {edit.dtype} {list(source.shape)}")


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _sharpness(source: np.ndarray, edit: np.ndarray) -> float | None:
    whole = np.ones(source.shape[:3], dtype=np.bool_)
    before, after = gradient_energy(source, whole), gradient_energy(edit, whole)
    return after / before if before and after is not None else None
