"""The main object of a real clip: U^2-Net-p frame by frame, smoothed over time."""

import hashlib
from pathlib import Path

import numpy as np

from features.maskers.config import SaliencyConfig
from features.maskers.protocol import MaskRejected, MaskTrack, bounded, checked
from features.maskers.smoothing import margin, smoothed, steadiness
from features.paint import levels
from features.tasks.marks import spoken


class SaliencyMasker:
    """Knows no names: it finds what stands out, and answers to "main object" alone.

    Raises:
        FileNotFoundError: there is no network.
    """

    def __init__(self, config: SaliencyConfig) -> None:
        from features.masks import SalientMasker

        self._config, self._masker = config, SalientMasker(config.network, config.threads)
        network = hashlib.sha256(Path(config.network).read_bytes()).hexdigest()[:12]
        self.revision = f"u2netp-{network}-{config.radius}"

    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        """The confidence is the mean margin of the smoothed maps times their steadiness."""
        if thing != spoken(None):
            return MaskRejected(thing, f"only the {spoken(None)} is known")
        maps = smoothed(np.stack([self._masker.mask(frame) for frame in checked(frames)]), self._config.radius)
        steady = steadiness(maps)
        if steady < self._config.least_steadiness:
            return MaskRejected(thing, "steadiness below", round(steady, 4))
        track = MaskTrack(thing, levels(maps * 255), margin(maps) * steady)
        return bounded(track, self._config.least_confidence, self._config.least_share, self._config.most_share)
