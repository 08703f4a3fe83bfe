"""What everything composed is made from: scenes, pairs and cases alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from features.backdrops import PHOTOGRAPHS, Backdrop, drawn_backdrops
from features.composer import Cutouts, Scene, render
from features.ingest import TEST, TRAIN
from features.materials import Backgrounds
from features.params import FeaturesParams
from features.raw import read_cutouts
from features.tasks.draft import Materials
from features.tasks.global_look import LOOKS
from features.tasks.style import STYLES
from features.vocabulary import NOUNS
from stores.clip_types import MediaLimits
from stores.feature_store import PublishedTable

EVERY_LOOK = {**LOOKS, **STYLES}


@dataclass(frozen=True)
class ComposeSetting:
    """Backgrounds of both splits and cut-outs, with the values they are put together by.

    `code` is a digest of all that a row is made from besides the parameters: it goes into the identity of every row.
    """

    seed: int
    code: str
    params: FeaturesParams
    train: Backgrounds
    test: Backgrounds
    cutouts: Cutouts
    backdrops: Mapping[str, Backdrop]

    @classmethod
    def over(
        cls, clips: PublishedTable, data: Path, seed: int, code: str, params: FeaturesParams, limits: MediaLimits
    ) -> Self:
        """From a published `clips` table and the cut-outs of a data folder, with the whole vocabulary."""
        train, test = (Backgrounds(clips, split, params.geometry, params.compose, limits) for split in (TRAIN, TEST))
        # Training photographs, whatever the split: named, they belong to the vocabulary.
        backdrops = {**drawn_backdrops(params.geometry.resolution), **train.backdrops(PHOTOGRAPHS)}
        return cls(seed, code, params, train, test, Cutouts(read_cutouts(data, NOUNS)), backdrops)

    def materials(self, rng: np.random.Generator, held_out: bool, moving: bool) -> Materials:
        """A background, a clip or a still, with the vocabulary. Held out are test scenes and their wordings."""
        backgrounds = self.test if held_out else self.train
        background = backgrounds.clip(rng) if moving else backgrounds.still(rng)
        return Materials(background, self.cutouts, tuple(self.backdrops), held_out, self.params.compose)

    def draw(self, scene: Scene) -> np.ndarray:
        """The frames [f h w 3] of a scene."""
        return render(scene, self.cutouts, self.params.compose, EVERY_LOOK, self.backdrops)

    def clip_ids(self, scene: Scene) -> list[str]:
        """The rows of `clips` that a scene shows anything of."""
        behind = self.backdrops[scene.backdrop].clip_id if scene.backdrop else None
        return [scene.background.clip_id, *([behind] if behind else [])]

    def sides(self) -> dict[str, str]:
        """The split in `clips` of every scene."""
        parts = ((TRAIN, self.train), (TEST, self.test))
        return {scene: split for split, part in parts for scene in part.scenes}

    def values(self) -> str:
        """The parameters that decide how a row looks, as JSON."""
        return self.params.model_dump_json(include={"geometry", "compose", "split"})
