"""X-CLIP (Ni et al. 2022) as a scorer of clips, in the place of the paper's ViCLIP.

ViCLIP has no class in transformers, only code that a checkpoint brings along, and code of others is never run unread.
X-CLIP is a video-text model of the library itself.
"""

from collections.abc import Sequence

import numpy as np
import torch

from models.scorers.config import XClipConfig
from models.scorers.pretrained import load, unit
from models.scorers.protocol import ClipEmbedding, FrameEmbeddings, Frames, TextEmbeddings


class XClipScorer:
    """Clips by so many frames as the model was trained with, evenly spread; fits the protocol `Scorer`.

    The prompts that X-CLIP adds to texts after it has seen a video are left out: with them a text would have another
    vector beside every video, and captions before and after could not be subtracted.

    Raises:
        ScorerError: the folder or hub id is not there, or holds another model.
    """

    def __init__(self, config: XClipConfig) -> None:
        self._xclip = load(config)
        self._length = int(self._xclip.model.config.vision_config.num_frames)
        self.revision = self._xclip.revision

    @torch.no_grad()
    def embed_clip(self, frames: Frames) -> ClipEmbedding:
        """The clip as a whole; a shorter one is shown slower, a picture stands still."""
        chosen = np.linspace(0, len(frames) - 1, self._length).round().astype(int)
        pixels = self._xclip.pixels(frames[chosen])
        return unit(self._xclip.model.get_video_features(pixel_values=pixels[None]))[0]

    def embed_frames(self, frames: Frames) -> FrameEmbeddings:
        """Every frame as a clip that stands still."""
        return torch.stack([self.embed_clip(frames[number : number + 1]) for number in range(len(frames))])

    def embed_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Texts, cut at 77 tokens, or what the model has positions for."""
        return self._xclip.embed_texts(texts)
