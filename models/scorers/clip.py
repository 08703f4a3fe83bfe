"""CLIP (Radford et al. 2021) as a scorer: a clip is the mean of its frames."""

from collections.abc import Sequence

import torch
from torch.nn.functional import normalize

from models.scorers.config import ClipConfig, PickConfig
from models.scorers.pretrained import load, unit
from models.scorers.protocol import ClipEmbedding, FrameEmbeddings, Frames, TextEmbeddings


class ClipScorer:
    """Frames and texts by their projected embeddings; fits the protocol `Scorer`.

    Raises:
        ScorerError: the folder or hub id is not there, or holds another model.
    """

    def __init__(self, config: ClipConfig | PickConfig) -> None:
        self._clip = load(config)
        self.revision = self._clip.revision

    def embed_clip(self, frames: Frames) -> ClipEmbedding:
        """The mean over all frames, brought to length one again."""
        return normalize(self.embed_frames(frames).mean(dim=0), dim=0)

    @torch.no_grad()
    def embed_frames(self, frames: Frames) -> FrameEmbeddings:
        """Every frame: its shorter side scaled, the middle square of it."""
        size = self._clip.batch
        parts = [self._clip.pixels(frames[start : start + size]) for start in range(0, len(frames), size)]
        return torch.cat([unit(self._clip.model.get_image_features(pixel_values=part)) for part in parts])

    def embed_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Texts, cut at 77 tokens, or what the model has positions for."""
        return self._clip.embed_texts(texts)
