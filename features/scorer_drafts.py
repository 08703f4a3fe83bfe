"""Composed edits for the small scorer: what it learns from, and what its agreement with the truth is measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from features.pairs import DRAWERS
from features.setting import ComposeSetting
from models.scorers.contrast import agreement, direction
from models.scorers.protocol import Scorer
from models.scorers.towers import TowersShape, pooled_texts, small_frames
from models.scorers.towers_fit import ScorerExamples
from models.text import StateEncoder

STREAM = 11  # of random numbers, apart from those of pairs and cases
NOT_EDITS = ("identity",)


@dataclass(frozen=True, eq=False)
class ScorerDraft:
    """Pictures [k h w 3] uint8 with their captions: a source, its edit, then others of that task."""

    task: str
    frames: np.ndarray
    captions: tuple[str, ...]


@dataclass(frozen=True)
class TruthAgreement:
    """How often a scorer finds the truth, each 0.5 by chance, over so many drafts.

    `direction` is the share of drafts in which the true edit has the higher direction than another edit of that source,
    judged by the captions of the true one; `directions_apart` the chance that this holds for the edits of two different
    drafts, which is what one threshold for all needs. `over_copy` and `over_other` are the shares in which the true
    edit agrees better with its caption than the source and than the other edit do.
    """

    drafts: int
    direction: float
    directions_apart: float
    over_copy: float
    over_other: float


def draw_drafts(
    setting: ComposeSetting, tasks: Mapping[str, int], count: int, *, edits: int, held_out: bool
) -> list[ScorerDraft]:
    """So many drafts, tasks by their weights in turn; those with too few different edits are left out."""
    wheel = [task for task, weight in tasks.items() for _ in range(weight) if task not in NOT_EDITS]
    found = (_draft(setting, wheel[number % len(wheel)], number, edits, held_out) for number in range(count))
    return [draft for draft in found if len(draft.captions) == edits + 1]


def examples(drafts: Sequence[ScorerDraft], shape: TowersShape, encoder: StateEncoder) -> ScorerExamples:
    """Drafts of one number of edits each as tensors."""
    captions = [caption for draft in drafts for caption in draft.captions]
    different = sorted(set(captions))
    pooled = pooled_texts(different, encoder)
    row = {caption: number for number, caption in enumerate(different)}
    texts = pooled[[row[caption] for caption in captions]].unflatten(0, (len(drafts), -1))  # type: ignore[no-untyped-call]
    return ScorerExamples(torch.stack([small_frames(draft.frames, shape.side) for draft in drafts]), texts)


def agreement_with_truth(scorer: Scorer, drafts: Sequence[ScorerDraft]) -> TruthAgreement:
    """Measured on drafts of two edits or more, of which the first is the truth and the second is not.

    A draft whose edit or captions have no direction for this scorer counts as half found.
    """
    right, wrong, copies, agreed, others = np.array([_figures(scorer, draft) for draft in drafts]).T
    return TruthAgreement(
        drafts=len(drafts),
        direction=_above(right, wrong),
        directions_apart=_above(right[:, None], wrong[None]),
        over_copy=_above(agreed, copies),
        over_other=_above(agreed, others),
    )


def _draft(setting: ComposeSetting, task: str, number: int, edits: int, held_out: bool) -> ScorerDraft:
    rng = np.random.default_rng([STREAM, setting.seed, number, held_out])
    draft = DRAWERS[task](rng, setting.materials(rng, held_out=held_out, moving=False), edits)
    scenes = [draft.source, *(choice.target for choice in draft.choices)]
    frames = np.concatenate([setting.draw(scene) for scene in scenes])
    return ScorerDraft(task, frames, tuple(scene.caption for scene in scenes))


def _figures(scorer: Scorer, draft: ScorerDraft) -> tuple[float, float, float, float, float]:
    """Directions of the truth and of the other edit; agreements of source, truth and other with the true caption."""
    source, truth, other = scorer.embed_frames(draft.frames[:3])
    before, after = scorer.embed_texts(draft.captions[:2])
    right, wrong = (direction(source, edit, before, after) or 0.0 for edit in (truth, other))
    return right, wrong, agreement(source, after), agreement(truth, after), agreement(other, after)


def _above(high: np.ndarray, low: np.ndarray) -> float:
    return float((high > low).mean() + (high == low).mean() / 2)
