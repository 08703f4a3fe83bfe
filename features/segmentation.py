"""Instruction-guided segmentation, stage two's second material: real clips with a thing under the colour asked for.

Movie Gen Edit, section 5.1.3: it brings real motion, which animated frames have none of.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from features.composer import Scene
from features.generated import Making
from features.maskers.composed import ComposedMasker
from features.maskers.marking import mark_as_told
from features.maskers.protocol import Masker, MaskRejected, MaskTrack
from features.pair_rows import PairRow, Triple
from features.params import SegmentationParams
from features.plan import SEGMENTATION, PlannedRow, plan_group
from features.setting import ComposeSetting
from features.tasks.draft import Materials, draw_scene
from features.tasks.marks import spoken
from stores.schema import content_id

TASK = "segment"


def plan_marked(params: SegmentationParams, validation_share: float) -> list[PlannedRow]:
    """Which clips have a thing marked."""
    return plan_group(SEGMENTATION, params.clips, validation_share, {TASK: 1})


@dataclass(frozen=True)
class SegmentSetting:
    """What clips are marked with; `made_with` is a digest of code and encoders."""

    stage: str
    made_with: str
    compose: ComposeSetting
    masker: Masker
    composed_share: float

    def row_id(self, row: PlannedRow) -> str:
        who = (self.made_with, self.masker.revision, self.composed_share, self.compose.values())
        return content_id(SEGMENTATION, self.stage, self.compose.seed, row.number, row.split, *who)

    def row(self, row: PlannedRow) -> PairRow | MaskRejected:
        made = marked_clip(row, self.compose, self.masker, self.composed_share)
        if isinstance(made, MaskRejected):
            return made
        return PairRow(self.row_id(row), self.stage, SEGMENTATION, row.split, self.masker.revision, made)


def marked_makings(rows: Iterable[PlannedRow], setting: SegmentSetting) -> list[Making]:
    """Every planned clip, marked if the masker finds its thing."""
    return [Making(setting.row_id(row), SEGMENTATION, partial(setting.row, row)) for row in rows]


def marked_clip(
    row: PlannedRow, compose: ComposeSetting, masker: Masker, composed_share: float
) -> Triple | MaskRejected:
    """One planned row: a filmed clip with its main object marked or, in a share of the rows, a composed scene on it.

    What the masker is unsure of is rejected, with the reason, and so is a split whose clips are all too short.
    """
    rng = row.generator(compose.seed)
    held_out = row.split != "train"
    ground = (compose.test if held_out else compose.train).filmed_clip(rng)
    if ground is None:
        return MaskRejected(spoken(None), "no clip is long enough")
    scene = Scene(ground)
    if rng.random() < composed_share:
        materials = Materials(ground, compose.cutouts, tuple(compose.backdrops), held_out, compose.params.compose)
        scene = draw_scene(rng, materials, int(rng.integers(1, compose.params.compose.most_objects + 1)))
    frames = compose.draw(scene)
    track = _track(scene, frames, compose, masker)
    if isinstance(track, MaskRejected):
        return track
    marked = mark_as_told(frames, track, rng, held_out, compose.params.compose.least_tint)
    if isinstance(marked, MaskRejected):
        return marked
    caption = f"{scene.caption}, the {track.thing} marked in {marked.colour}"
    return Triple(
        TASK, marked.instruction, frames, marked.target, scene.caption, caption, [ground.clip_id], ground.scene
    )


def _track(scene: Scene, frames: np.ndarray, compose: ComposeSetting, masker: Masker) -> MaskTrack | MaskRejected:
    if not scene.objects:
        return masker.mask(frames, spoken(None))
    return ComposedMasker(scene, compose.draw).mask(frames, spoken(scene.objects[0]))
