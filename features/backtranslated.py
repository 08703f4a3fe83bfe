"""Backtranslation, stage three's material: from a clip as an earlier stage edited it back to the clip as it was.

Movie Gen Edit, section 5.1.4. What the editor got wrong is in the source; the target is always a clean training clip,
filmed as it is or composed, but never one of a composed pair.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from features.asked import AskedEdit, Moment
from features.composer import Scene
from features.generated import Making, as_asked
from features.pair_rows import PairRow, Triple
from features.params import BacktranslatedParams
from features.plan import BACKTRANSLATED, PlannedRow, plan_group
from features.setting import ComposeSetting
from features.tasks.draft import draw_scene
from stores.schema import content_id

PURPOSE = "backtranslate"


def plan_clips(params: BacktranslatedParams, validation_share: float) -> list[PlannedRow]:
    """Which clips an editor is asked to edit; those of test scenes come on top, for validation."""
    return plan_group(BACKTRANSLATED, params.requests, validation_share, params.tasks)


def draw_clip(row: PlannedRow, rng: np.random.Generator, compose: ComposeSetting, composed_share: float) -> Moment:
    """A clip as it was filmed or, in a share of the rows, one with objects on it, which an instruction can mean.

    Where no filmed clip is long enough, a camera glides over a photograph.
    """
    held_out = row.split != "train"
    objects = int(rng.integers(1, compose.params.compose.most_objects + 1)) if rng.random() < composed_share else 0
    materials = compose.materials(rng, held_out, moving=True)
    if objects:
        scene = draw_scene(rng, materials, objects)
    else:
        filmed = (compose.test if held_out else compose.train).filmed_clip(rng)
        scene = Scene(filmed or materials.background)
    return Moment(
        compose.draw(scene), scene.caption, scene.background.scene, tuple(compose.clip_ids(scene)),
        subject=not objects and scene.background.subject is not None,
    )  # fmt: skip


@dataclass(frozen=True)
class BackSetting:
    """What accepted edits are turned round with; `made_with` is a digest of code and encoders.

    Not `backwards`, they are left as they are: the paper's plain tuning on generated targets, for comparison.
    """

    stage: str
    made_with: str
    backwards: bool = True

    def row_id(self, edit: AskedEdit) -> str:
        """Known before the pair is made."""
        return content_id(BACKTRANSLATED, self.stage, self.made_with, edit.edit_id, self.backwards)

    def row(self, edit: AskedEdit) -> PairRow:
        """From the edit back to what was edited, or from that to the edit.

        Raises:
            ValueError: the way back was not written with the request.
        """
        triple = _backward(edit) if self.backwards else as_asked(edit, edit.source, edit.edit)
        return PairRow(self.row_id(edit), self.stage, BACKTRANSLATED, edit.split, edit.model_digest, triple)


def backtranslated_makings(edits: Iterable[AskedEdit], setting: BackSetting) -> list[Making]:
    """Every accepted edit, backwards."""
    return [Making(setting.row_id(edit), BACKTRANSLATED, partial(setting.row, edit), edit) for edit in edits]


def _backward(edit: AskedEdit) -> Triple:
    if edit.inverse is None:
        raise ValueError(f"request {edit.request_id} has no inverse instruction")
    return Triple(
        edit.inverse.task, edit.inverse.instruction, edit.edit, edit.source, edit.output_caption, edit.caption,
        list(edit.clip_ids), edit.scene,
    )  # fmt: skip
