"""What everything composed is made from: scenes, pairs and cases alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from features.composer import Cutouts, Scene, render
from features.ingest import TEST, TRAIN
from features.materials import Backgrounds
from features.params import FeaturesParams
from features.raw import read_cutouts
from features.tasks.draft import Materials
from features.tasks.global_look import LOOKS
from features.vocabulary import NOUNS
from stores.clip_types import MediaLimits
from stores.feature_store import PublishedTable


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

    @classmethod
    def over(
        cls, clips: PublishedTable, data: Path, seed: int, code: str, params: FeaturesParams, limits: MediaLimits
    ) -> Self:
        """From a published `clips` table and the cut-outs of a data folder, with the whole vocabulary."""
        train, test = (Backgrounds(clips, split, params.geometry, limits) for split in (TRAIN, TEST))
        return cls(seed, code, params, train, test, Cutouts(read_cutouts(data, NOUNS)))

    def materials(self, rng: np.random.Generator, held_out: bool, moving: bool) -> Materials:
        """A background, a clip or a still, with the vocabulary. Held out are test scenes and their wordings."""
        backgrounds = self.test if held_out else self.train
        background = backgrounds.clip(rng) if moving else backgrounds.still(rng)
        return Materials(background, self.cutouts.nouns, held_out, self.params.compose)

    def draw(self, scene: Scene) -> np.ndarray:
        """The frames [f h w 3] of a scene."""
        return render(scene, self.cutouts, self.params.compose, LOOKS)

    def values(self) -> str:
        """The parameters that decide how a row looks, as JSON."""
        return self.params.model_dump_json(include={"geometry", "compose", "split"})
