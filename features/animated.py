"""Animated frames, stage two's first material: frames of real clips are edited by an earlier stage and set in motion.

Movie Gen Edit, section 5.1.3, algorithm 1: an instruction is written for the caption, the single-frame editor answers,
what passes the filters is animated together with its source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from features.affine import AffineParams, animate, draw_motion
from features.asked import AskedEdit, Moment
from features.generated import Making, as_asked
from features.pair_rows import PairRow
from features.params import AnimatedParams
from features.plan import ANIMATED, PlannedRow, plan_group
from features.setting import ComposeSetting
from stores.schema import content_id

PURPOSE = "animate"


def plan_frames(params: AnimatedParams, validation_share: float) -> list[PlannedRow]:
    """Which frames an editor is asked to edit; those of test scenes come on top, for validation."""
    return plan_group(ANIMATED, params.requests, validation_share, params.tasks)


def draw_frame(row: PlannedRow, rng: np.random.Generator, compose: ComposeSetting, filmed_share: float) -> Moment:
    """A frame of a clip that was filmed or, in the other rows, of any picture or clip."""
    grounds = compose.train if row.split == "train" else compose.test
    ground = grounds.filmed(rng) if rng.random() < filmed_share else grounds.still(rng)
    return Moment(ground.frames, ground.caption, ground.scene, (ground.clip_id,), ground.subject is not None)


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
        source, target = (animate(clip[0], motion, self.params.padding) for clip in (edit.source, edit.edit))
        triple = as_asked(edit, source, target)
        return PairRow(key, self.stage, ANIMATED, edit.split, edit.model_digest, triple)


def animated_makings(edits: Iterable[AskedEdit], setting: MotionSetting, motions: int) -> list[Making]:
    """Every accepted edit under so many motions."""
    return [
        Making(setting.row_id(edit, number), ANIMATED, partial(setting.row, edit, number), edit)
        for edit in edits
        for number in range(motions)
    ]
