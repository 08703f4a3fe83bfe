"""Composed scenes as media of their own: what the autoencoder sees beside raw pictures and clips.

Cut-outs look unlike photographs, and few raw clips move; an editor's pictures go through the same autoencoder.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from features.ingest import TEST, TRAIN
from features.params import FeaturesParams
from features.quality import score
from features.setting import ComposeSetting
from features.tasks.draft import draw_scene
from stores.clip_writer import encode_clip, encode_picture, filmstrip
from stores.feature_store import FeatureStore
from stores.schema import CLIPS, content_id

NEARLY_LOSSLESS = 6  # x264's constant rate factor


@dataclass(frozen=True)
class PlannedScene:
    """One scene to be composed; its random numbers depend on nothing else."""

    number: int
    split: str
    moving: bool

    def generator(self, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, self.number, self.split == TRAIN, self.moving])


def scene_id(plan: PlannedScene, setting: ComposeSetting) -> str:
    """Known before the scene is made, so that a rerun makes only what is missing."""
    who = (setting.code, setting.values())
    return content_id("scene", setting.seed, plan.number, plan.split, plan.moving, *who)


def plan_scenes(params: FeaturesParams) -> list[PlannedScene]:
    """Training scenes, and held-out ones on top of the counts."""
    rows = []
    for moving, count in ((False, params.scenes.pictures), (True, params.scenes.clips)):
        for split, size in ((TRAIN, count), (TEST, max(1, round(count * params.scenes.held_out_share)))):
            rows += [PlannedScene(number, split, moving) for number in range(size)]
    return rows


def build_scenes(plans: Sequence[PlannedScene], setting: ComposeSetting, store: FeatureStore) -> int:
    """Compose and write the scenes that the store lacks; how many those were."""
    have = store.ids(CLIPS)
    rows = [_row(plan, setting) for plan in plans if scene_id(plan, setting) not in have]
    return store.upsert(CLIPS, rows) if rows else 0


def _row(plan: PlannedScene, setting: ComposeSetting) -> dict[str, Any]:
    rng = plan.generator(setting.seed)
    materials = setting.materials(rng, held_out=plan.split == TEST, moving=plan.moving)
    background = materials.background
    scene = draw_scene(rng, materials, int(rng.integers(0 if plan.moving else 1, 4)))
    frames = setting.draw(scene)
    rate = setting.params.geometry.frame_rate
    media = (
        encode_clip(frames, Fraction(rate), crf=NEARLY_LOSSLESS) if plan.moving else encode_picture(frames[0], "png")
    )
    return {
        "id": scene_id(plan, setting),
        "kind": "video" if plan.moving else "picture",
        "caption": scene.caption,
        "scene": background.scene,
        "split": plan.split,
        "source_uri": f"clips#{background.clip_id}",
        "source_sha256": hashlib.sha256(media).hexdigest(),
        "licence": "as its clip and its cut-outs",
        "author": "composer",
        "frames": len(frames),
        "height": frames.shape[1],
        "width": frames.shape[2],
        "fps": float(rate) if plan.moving else 1.0,
        "media": media,
        "mask": None,
        "preview": encode_picture(filmstrip(frames, 4 if plan.moving else 1, 64)),
    } | vars(score(frames))
