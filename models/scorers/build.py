"""The scorer that a config asks for."""

from models.scorers.config import ClipConfig, ScorerConfig, XClipConfig
from models.scorers.protocol import Scorer


def build_scorer(config: ScorerConfig) -> Scorer:
    """A scorer, ready to embed.

    Raises:
        ScorerError: its files are not there, damaged, or of another model; the message names them.
    """
    if isinstance(config, ClipConfig):
        from models.scorers.clip import ClipScorer

        return ClipScorer(config)
    if isinstance(config, XClipConfig):
        from models.scorers.xclip import XClipScorer

        return XClipScorer(config)
    from models.scorers.towers import TowersScorer

    return TowersScorer.from_file(config)
