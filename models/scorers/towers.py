"""The project's own small scorer: a convolutional tower over frames, another over MiniLM's states of texts.

It needs no download and is trained in minutes on composed edits, so it knows the vocabulary of the composer: what it
says of anything else means little. Its frames are 64 pixels small, and its texts are means over token states.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, normalize

from models.pixels import HALF_RANGE
from models.scorers.config import TowersConfig
from models.scorers.protocol import ClipEmbedding, FrameEmbeddings, Frames, ScorerError, TextEmbeddings
from models.text import StateEncoder
from models.text_encoders.config import TextEncoderConfig
from models.text_encoders.frozen import FrozenEncoder
from models.text_encoders.source import TextEncoderError
from models.weights import Bundle, WeightsError, load_bundle, load_into, save_bundle

KIND = "scorer"
BATCH = 64
GROUPS = 8  # of the normalisation; widths are multiples of it
GRID = 4  # cells a side of the last map, which keeps where a thing is

SmallFrames = Float[Tensor, "b 3 side side"]
PooledTexts = Float[Tensor, "b e"]


class TowersShape(BaseModel):
    """What towers are built from; travels with their weights. `side` in pixels, a multiple of 16."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    side: PositiveInt
    width: PositiveInt
    hidden: PositiveInt
    embedding: PositiveInt
    text: TextEncoderConfig
    text_width: PositiveInt
    text_revision: str


class Towers(nn.Module):
    """Frames and texts to unit vectors of one space."""

    def __init__(self, shape: TowersShape) -> None:
        super().__init__()
        width = shape.width
        self.frames = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=4),
            _Block(width),
            nn.Conv2d(width, 2 * width, 2, stride=2),
            _Block(2 * width),
            _Block(2 * width),
            nn.Conv2d(2 * width, 2 * width, 2, stride=2),
            nn.GroupNorm(GROUPS, 2 * width),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(GRID),
            nn.Flatten(),
            nn.Linear(2 * width * GRID**2, shape.embedding),
        )
        self.texts = nn.Sequential(
            nn.LayerNorm(shape.text_width),
            nn.Linear(shape.text_width, shape.hidden),
            nn.GELU(),
            nn.Linear(shape.hidden, shape.embedding),
        )

    def see(self, frames: SmallFrames) -> FrameEmbeddings:
        """Frames in [-1, 1]."""
        return normalize(self.frames(frames), dim=-1)

    def read(self, texts: PooledTexts) -> TextEmbeddings:
        """Means of token states."""
        return normalize(self.texts(texts), dim=-1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.look = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b w y x"]) -> Float[Tensor, "b w y x"]:
        return x + self.mix(gelu(self.look(self.norm(x))))


class TowersScorer:
    """Towers with the text encoder that they were trained on; fits the protocol `Scorer`.

    Raises:
        ScorerError: the weights cannot be read, or their text encoder is another one than here.
    """

    def __init__(self, towers: Towers, shape: TowersShape, encoder: StateEncoder) -> None:
        if encoder.revision != shape.text_revision:
            raise ScorerError(f"this scorer read texts by {shape.text_revision}, here they are by {encoder.revision}")
        self._towers, self._shape, self._encoder = towers.eval().requires_grad_(False), shape, encoder
        self.revision = f"towers-{towers_bundle(towers, shape).digest()[:12]}"

    @classmethod
    def from_file(cls, config: TowersConfig) -> "TowersScorer":
        """The scorer of a file that `save_towers` wrote."""
        path = Path(config.weights)
        try:
            bundle = load_bundle(path, KIND)
            shape = TowersShape.model_validate(dict(bundle.config))
            towers = Towers(shape)
            load_into(towers, bundle.tensors, path)
            return cls(towers, shape, FrozenEncoder(shape.text))
        except (WeightsError, TextEncoderError) as error:
            raise ScorerError(f"scorer towers: {error}") from error

    def embed_clip(self, frames: Frames) -> ClipEmbedding:
        """The mean over all frames, brought to length one again."""
        return normalize(self.embed_frames(frames).mean(dim=0), dim=0)

    @torch.no_grad()
    def embed_frames(self, frames: Frames) -> FrameEmbeddings:
        """Every frame, whatever its proportions, as a small square."""
        parts = (frames[start : start + BATCH] for start in range(0, len(frames), BATCH))
        return torch.cat([self._towers.see(small_frames(part, self._shape.side)) for part in parts])

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Texts, cut at as many tokens as the encoder's config says."""
        return self._towers.read(pooled_texts(texts, self._encoder))


def small_frames(frames: Frames, side: int) -> SmallFrames:
    """Frames averaged over the cells of a square grid, in [-1, 1]."""
    pixels = rearrange(torch.from_numpy(np.array(frames, order="C")), "f h w c -> f c h w").float()
    return interpolate(pixels, size=(side, side), mode="area") / HALF_RANGE - 1


def pooled_texts(texts: Sequence[str], encoder: StateEncoder) -> PooledTexts:
    """Means over the token states of the encoder's first part; texts of like length share a batch, to pad little."""
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    found = torch.zeros(len(texts), encoder.widths[0])
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        part = encoder.encode([texts[number] for number in rows]).parts[0]
        found[rows] = part.states.sum(dim=1) / part.mask.sum(dim=1, keepdim=True).clamp(min=1)
    return found


def towers_bundle(towers: Towers, shape: TowersShape) -> Bundle:
    """Weights with all that rebuilds their scorer."""
    return Bundle(KIND, towers.state_dict(), shape.model_dump(), {})


def save_towers(towers: Towers, shape: TowersShape, path: Path) -> None:
    """Write what `TowersScorer.from_file` reads, in one atomic step."""
    save_bundle(towers_bundle(towers, shape), path)
