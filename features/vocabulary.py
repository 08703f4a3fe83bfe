"""The closed lists that instructions are made of: nouns, places, sizes, looks.

Every noun names exactly one cut-out and looks like nothing else on the list at 128 pixels.
"""

from dataclasses import dataclass
from enum import Enum

NOUNS: tuple[str, ...] = (
    "red apple", "banana", "strawberry", "pineapple", "watermelon", "lemon", "grapes", "carrot", "broccoli", "avocado",
    "hamburger", "pizza", "doughnut", "birthday cake", "ice cream", "pretzel", "teapot", "beer mug", "cat face",
    "dog face", "rabbit face", "pig face", "frog", "panda", "fox", "lion", "penguin", "owl", "butterfly", "lady beetle",
    "honeybee", "octopus", "turtle", "tropical fish", "crab", "sunflower", "rose", "cactus", "mushroom", "maple leaf",
    "evergreen tree", "rainbow", "star", "full moon", "snowman", "umbrella", "balloon", "wrapped gift", "guitar",
    "drum", "trumpet", "soccer ball", "basketball", "trophy", "crown", "top hat", "alarm clock", "light bulb", "key",
    "rocket", "sailboat", "automobile", "bicycle", "fire", "heart suit",
)  # fmt: skip

SPOKEN = {
    "cat face": "cat", "dog face": "dog", "rabbit face": "rabbit", "pig face": "pig", "lady beetle": "ladybird",
    "honeybee": "bee", "evergreen tree": "fir tree", "full moon": "moon", "wrapped gift": "gift", "automobile": "car",
    "soccer ball": "football", "heart suit": "red heart",
}  # fmt: skip

# A look as a thing that can be undone, and what a picture without it is.
EFFECTS = {
    "black and white": "greyness", "sepia": "sepia", "dark as at night": "darkness of night",
    "inverted like a negative": "inversion", "warm and orange": "warmth", "cold and blue": "coldness",
    "bright and pale": "paleness", "dim": "dimness", "blurred": "blur",
}  # fmt: skip
BEFORE = {
    "black and white": "colourful", "sepia": "coloured", "dark as at night": "light as by day",
    "inverted like a negative": "positive", "warm and orange": "less orange", "cold and blue": "less blue",
    "bright and pale": "rich in contrast", "dim": "fully lit", "blurred": "sharp",
}  # fmt: skip


class Place(Enum):
    """Where an object stands: the centre of a cell of a three-by-three grid, as (row, column) shares of the frame."""

    LEFT = (0.5, 0.24)
    MIDDLE = (0.5, 0.5)
    RIGHT = (0.5, 0.76)
    TOP_LEFT = (0.25, 0.24)
    TOP_RIGHT = (0.25, 0.76)
    BOTTOM_LEFT = (0.75, 0.24)
    BOTTOM_RIGHT = (0.75, 0.76)

    @property
    def phrase(self) -> str:
        if self is Place.MIDDLE:
            return "in the middle"
        words = self.name.lower().replace("_", " ")
        return f"at the {words}" if " " in words else f"on the {words}"


class Size(Enum):
    """How large an object is; the shares of the frame are in params."""

    SMALL = "small"
    BIG = "big"


@dataclass(frozen=True)
class Named:
    """A noun of the vocabulary as it is spoken."""

    noun: str

    @property
    def spoken(self) -> str:
        return SPOKEN.get(self.noun, self.noun)

    @property
    def with_article(self) -> str:
        word = self.spoken
        if word in ("grapes", "fire", "broccoli"):
            return f"some {word}"
        return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
