"""What every task builder makes, and what it makes it from."""

from dataclasses import dataclass

import numpy as np

from features.composer import Background, Cutouts, Placed, Scene
from features.motion import STILL, Drift, draw_drift
from features.paint import tint_change
from features.params import ComposeParams
from features.vocabulary import Named, Place, Size

SIDES = (Place.LEFT, Place.RIGHT)
CORNERS = (Place.TOP_LEFT, Place.TOP_RIGHT, Place.BOTTOM_LEFT, Place.BOTTOM_RIGHT)


@dataclass(frozen=True)
class Materials:
    """A background, what can be put on it or behind, and how phrasing and motion are to be drawn."""

    background: Background
    cutouts: Cutouts
    backdrops: tuple[str, ...]
    held_out: bool
    params: ComposeParams

    @property
    def nouns(self) -> tuple[str, ...]:
        return self.cutouts.nouns

    def tint_change(self, noun: str | None, colour: str) -> float:
        """How plainly an object, or with None the background's subject, would change in another colour."""
        if noun is None:
            # A sixteenth of the pixels is as good a sample as all.
            return tint_change(self.background.subject_layer[::4, ::4], colour)
        return self.cutouts.tint_change(noun, colour)

    def drift(self, rng: np.random.Generator) -> Drift:
        """Motion of an object that is in the source: none in a picture."""
        moving = self.background.frames.shape[0] > 1
        return draw_drift(rng, self.params.motion * 0.12) if moving else STILL


@dataclass(frozen=True)
class Choice:
    """One instruction with the scene it leads to."""

    instruction: str
    target: Scene


@dataclass(frozen=True)
class Draft:
    """A source scene with the chosen edit first, then others of the same task at the same place: the decoys."""

    task: str
    source: Scene
    choices: tuple[Choice, ...]


def draw_scene(rng: np.random.Generator, materials: Materials, objects: int) -> Scene:
    """A scene with so many different objects, at places that do not overlap."""
    places = list(Place) if objects < 2 else list(SIDES) if objects == 2 else list(CORNERS)
    chosen = rng.permutation(len(places))[:objects]
    nouns = draw_nouns(rng, materials.nouns, objects)
    sizes = [Size.SMALL if objects > 2 else list(Size)[int(rng.integers(2))] for _ in range(objects)]
    items = tuple(
        Placed(Named(noun), places[int(place)], size, materials.drift(rng))
        for noun, place, size in zip(nouns, chosen, sizes, strict=True)
    )
    return Scene(materials.background, items)


def draw_nouns(rng: np.random.Generator, nouns: tuple[str, ...], count: int, but: tuple[str, ...] = ()) -> list[str]:
    """Different nouns, none of those in `but`."""
    left = [noun for noun in nouns if noun not in but]
    return [left[int(i)] for i in rng.permutation(len(left))[:count]]
