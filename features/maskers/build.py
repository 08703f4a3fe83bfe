"""The masker of real clips that a config asks for; composed scenes have one each, `ComposedMasker`."""

from features.maskers.config import GroundedSamConfig, MaskerConfig
from features.maskers.protocol import Masker
from features.maskers.saliency import SaliencyMasker


def build_masker(config: MaskerConfig) -> Masker:
    """The salient object, or a thing by its name.

    Raises:
        FileNotFoundError: there is no salient-object network.
        MaskerError: a model of transformers cannot be loaded.
    """
    if isinstance(config, GroundedSamConfig):
        from features.maskers.grounded_sam import GroundedSamMasker

        return GroundedSamMasker(config)
    return SaliencyMasker(config)
