"""The figures that published benchmarks of editing report: of one edit, from scorers that are there.

Movie Gen Edit, sections 5.2.2 and 5.3.2 (Table 18); CLIPFrame and PickScore as the scripts of TGVE compute them.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from models.scorers.build import build_scorer
from models.scorers.config import ClipConfig, PickConfig, ScorerConfig
from models.scorers.contrast import agreement, clip_frame, direction, resemblance
from models.scorers.pickscore import PickScorer
from models.scorers.protocol import Frames, Scorer

LEVELS = 255


class PublishedScorers(BaseModel):
    """Which scorers are opened; null is none. `clips` reads clips as clips, `frames` pictures and single frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    clips: ScorerConfig | None
    frames: ClipConfig | None
    preference: PickConfig | None


@dataclass(frozen=True)
class PublishedScores:
    """Cosines, but for the first and the last; None where there is no scorer for it, or it is not defined."""

    l1: float  # mean distance of edit and source, 0..1
    direction: float | None  # ViCLIP_dir; of pictures CLIP_dir
    agreement: float | None  # ViCLIP_out; of pictures CLIP_out
    resemblance: float | None  # of pictures CLIP_im
    clip_frame: float | None  # of clips
    pick_score: float | None


class PublishedJudge:
    """Scorers, opened once.

    Raises:
        ScorerError: one of them is not there.
    """

    def __init__(self, config: PublishedScorers) -> None:
        self._clips = build_scorer(config.clips) if config.clips else None
        self._frames = build_scorer(config.frames) if config.frames else None
        self._preference = PickScorer(config.preference) if config.preference else None

    @property
    def revisions(self) -> dict[str, str]:
        """What the scores rest on: those of two revisions do not compare."""
        opened = {"clips": self._clips, "frames": self._frames, "preference": self._preference}
        return {name: scorer.revision for name, scorer in opened.items() if scorer}

    def __call__(self, source: np.ndarray, edit: np.ndarray, caption: str, edited_caption: str) -> PublishedScores:
        """Scores of an edit and its source, frames [f h w 3] uint8, with the captions before and after.

        Raises:
            ValueError: source and edit differ in shape.
        """
        if source.shape != edit.shape:
            raise ValueError(f"source {list(source.shape)} and edit {list(edit.shape)} differ in shape")
        judge = self._clips if len(edit) > 1 else self._frames
        seen = _by_captions(judge, source, edit, (caption, edited_caption)) if judge else (None, None, None)
        return PublishedScores(
            l1=_l1(source, edit),
            direction=seen[0],
            agreement=seen[1],
            resemblance=seen[2],
            clip_frame=clip_frame(self._frames.embed_frames(edit)) if self._frames and len(edit) > 1 else None,
            pick_score=self._preference.preference(edit, edited_caption) if self._preference else None,
        )


def _by_captions(
    scorer: Scorer, source: Frames, edit: Frames, captions: tuple[str, str]
) -> tuple[float | None, float, float]:
    """Direction, agreement and resemblance."""
    before, after = scorer.embed_clip(source), scorer.embed_clip(edit)
    text, edited_text = scorer.embed_texts(captions)
    return direction(before, after, text, edited_text), agreement(after, edited_text), resemblance(before, after)


def _l1(source: Frames, edit: Frames) -> float:
    # Frame by frame: a long clip as integers would be several times its size.
    pairs = zip(source, edit, strict=True)
    return float(np.mean([np.abs(s.astype(np.int16) - e).mean() for s, e in pairs])) / LEVELS
