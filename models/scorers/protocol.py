"""What every scorer promises: clips, single frames and texts as unit vectors of one space."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

Frames = UInt8[np.ndarray, "f h w 3"]
ClipEmbedding = Float[Tensor, " d"]
FrameEmbeddings = Float[Tensor, "f d"]
TextEmbeddings = Float[Tensor, "b d"]


class ScorerError(RuntimeError):
    """A scorer that cannot be opened; the message names what was asked for, and what to do."""


@runtime_checkable
class Scorer(Protocol):
    """Embeds frames and texts. `revision` changes whenever the vectors could: scores of two revisions do not compare.

    All vectors are fp32 on the CPU, of length one. What a frame or a text is embedded with does not matter.
    """

    revision: str

    def embed_clip(self, frames: Frames) -> ClipEmbedding:
        """A clip as a whole; of a picture its only frame."""
        ...

    def embed_frames(self, frames: Frames) -> FrameEmbeddings:
        """Every frame by itself."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Every text by itself."""
        ...
