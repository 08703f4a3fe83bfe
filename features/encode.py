"""Pixels and words to what the store keeps: float16 latents and trimmed text states."""

from collections.abc import Sequence

import numpy as np
import torch

from models.autoencoder import Autoencoder
from models.pixels import to_video
from models.precision import Precision, autocast
from models.text import TextEncoder, TrimmedText


class PairEncoder:
    """The frozen encoders of a table; their revisions go into the identity of every row."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        autoencoder_digest: str,
        text: TextEncoder,
        precision: Precision,
        batch: int = 16,
    ) -> None:
        self._autoencoder, self._text = autoencoder, text
        self._precision: Precision = precision
        self._batch = batch
        self.autoencoder = autoencoder_digest
        self.text_encoder = text.revision

    def latent_shape(self, frames: int, size: int) -> list[int]:
        """Shape [c l h w] of the latents of a square clip."""
        return list(self._autoencoder.config.latent_shape(frames, size, size).as_tuple())

    @torch.no_grad()
    def latents(self, clips: Sequence[np.ndarray]) -> list[bytes]:
        """Latents of clips [f h w 3] of one shape, as float16 bytes."""
        found: list[bytes] = []
        # Clips have many frames each: fewer of them go into one pass.
        size = max(1, self._batch // len(clips[0])) if clips else 1
        for start in range(0, len(clips), size):
            with autocast("cpu", self._precision):
                latents = self._autoencoder.encode(torch.cat([to_video(c) for c in clips[start : start + size]]))
            found += [_half(latent) for latent in latents]
        return found

    def texts(self, texts: Sequence[str]) -> list[list[bytes]]:
        """Trimmed states of each text, one float16 block an encoder.

        Texts are encoded one at a time: padding would change the last bits, and with them the digests, by what else
        is in the batch.
        """
        return [[_half(part) for part in self._one(text)] for text in texts]

    def _one(self, text: str) -> TrimmedText:
        return self._text.encode([text]).trimmed(0)


def _half(tensor: torch.Tensor) -> bytes:
    data: bytes = tensor.detach().cpu().to(torch.float16).contiguous().numpy().astype("<f2").tobytes()
    return data
