"""Composed scenes as media of their own: what the autoencoder sees beside raw pictures and clips.

Cut-outs look unlike photographs, and few raw clips move; an editor's pictures go through the same autoencoder.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from features.composer import Cutouts, render
from features.ingest import TEST, TRAIN
from features.materials import Backgrounds
from features.params import FeaturesParams
from features.quality import score
from features.tasks.draft import Materials, draw_scene
from features.tasks.global_look import LOOKS
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


@dataclass(frozen=True)
class SceneSetting:
    """What scenes are composed from, and a digest of it."""

    seed: int
    code: str
    params: FeaturesParams
    train: Backgrounds
    test: Backgrounds
    cutouts: Cutouts

    def row_id(self, plan: PlannedScene) -> str:
        """Known before the scene is made, so that a rerun makes only what is missing."""
        values = self.params.model_dump_json(include={"geometry", "compose", "split"})
        return content_id("scene", self.seed, plan.number, plan.split, plan.moving, self.code, values)


def plan_scenes(params: FeaturesParams) -> list[PlannedScene]:
    """Training scenes, and held-out ones on top of the counts."""
    rows = []
    for moving, count in ((False, params.scenes.pictures), (True, params.scenes.clips)):
        for split, size in ((TRAIN, count), (TEST, max(1, round(count * params.scenes.held_out_share)))):
            rows += [PlannedScene(number, split, moving) for number in range(size)]
    return rows


def build_scenes(plans: Sequence[PlannedScene], setting: SceneSetting, store: FeatureStore) -> int:
    """Compose and write the scenes that the store lacks; how many those were."""
    have = store.ids(CLIPS)
    rows = [_row(plan, setting) for plan in plans if setting.row_id(plan) not in have]
    return store.upsert(CLIPS, rows) if rows else 0


def _row(plan: PlannedScene, setting: SceneSetting) -> dict[str, Any]:
    rng = plan.generator(setting.seed)
    backgrounds = setting.train if plan.split == TRAIN else setting.test
    background = backgrounds.clip(rng) if plan.moving else backgrounds.still(rng)
    materials = Materials(background, setting.cutouts.nouns, plan.split == TEST, setting.params.compose)
    scene = draw_scene(rng, materials, int(rng.integers(0 if plan.moving else 1, 4)))
    frames = render(scene, setting.cutouts, setting.params.compose, LOOKS)
    rate = setting.params.geometry.frame_rate
    media = (
        encode_clip(frames, Fraction(rate), crf=NEARLY_LOSSLESS) if plan.moving else encode_picture(frames[0], "png")
    )
    return {
        "id": setting.row_id(plan),
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
