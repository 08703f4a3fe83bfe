"""The main object of a real clip: U^2-Net-p frame by frame, smoothed over time."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from features.maskers.config import SaliencyConfig
from features.maskers.protocol import MaskRejected, MaskTrack, bounded, checked
from features.maskers.smoothing import margin, smoothed, steadiness
from features.paint import levels
from features.tasks.marks import spoken

KEPT = 64  # clips, of about 2 MB


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
        self._maps = lru_cache(KEPT)(self._drawn)  # a table's rows are made once more when it is checked

    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        """The confidence is the mean margin of the smoothed maps times their steadiness."""
        if thing != spoken(None):
            return MaskRejected(thing, f"only the {spoken(None)} is known")
        maps = self._maps(checked(frames).shape, frames.tobytes())
        steady = steadiness(maps)
        if steady < self._config.least_steadiness:
            return MaskRejected(thing, "steadiness below", round(steady, 4))
        track = MaskTrack(thing, levels(maps * 255), margin(maps) * steady)
        return bounded(track, self._config.least_confidence, self._config.least_share, self._config.most_share)

    def _drawn(self, shape: tuple[int, ...], frames: bytes) -> np.ndarray:
        clip = np.frombuffer(frames, np.uint8).reshape(shape)
        return smoothed(np.stack([self._masker.mask(frame) for frame in clip]), self._config.radius)
