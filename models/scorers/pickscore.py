"""PickScore (Kirstain et al. 2023): how well people would like a frame for a text."""

from models.scorers.clip import ClipScorer
from models.scorers.config import PickConfig
from models.scorers.protocol import Frames


class PickScorer(ClipScorer):
    """CLIP's embeddings, with the scale that its cosines were trained under.

    Raises:
        ScorerError: as `ClipScorer`.
    """

    def __init__(self, config: PickConfig) -> None:
        super().__init__(config)
        self._scale = float(self._clip.model.logit_scale.detach().exp())

    def preference(self, frames: Frames, text: str) -> float:
        """Mean over frames of scale x cosine, about 20 for a fair match, as TGVE reports it."""
        return self._scale * float((self.embed_frames(frames) @ self.embed_texts([text])[0]).mean())
