"""Pixels and words to what the store keeps: float16 latents and trimmed text states."""

from collections.abc import Sequence

import numpy as np
import torch

from models.build import AnyAutoencoder
from models.cores import on_cores
from models.pixels import to_frames, to_video
from models.precision import Precision, autocast
from models.text import TextEncoder, TrimmedText
from models.tiling import TilingConfig, decode_tiled, encode_tiled


class PairEncoder:
    """The frozen encoders of a table; their revisions go into the identity of every row."""

    def __init__(
        self,
        autoencoder: AnyAutoencoder,
        autoencoder_digest: str,
        text: TextEncoder,
        precision: Precision,
        tiling: TilingConfig,
    ) -> None:
        self._autoencoder, self._text = autoencoder, text
        self._tiling = tiling
        self._precision: Precision = precision
        self.autoencoder = autoencoder_digest
        self.text_encoder = text.revision
        self.text_widths = text.widths
        self.frame_rate_prefix = text.frame_rate_prefix

    def latent_shape(self, frames: int, size: int) -> list[int]:
        """Shape [c l h w] of the latents of a square clip."""
        return list(self._autoencoder.config.latent_shape(frames, size, size).as_tuple())

    def latents(self, clips: Sequence[np.ndarray]) -> list[bytes]:
        """Latents of clips [f h w 3], as float16 bytes.

        Each clip is encoded by itself: in a batch the last bits, and with them the digests, would depend on what else
        is in it, and a row that is made again alone would differ.
        """
        return on_cores(self._latents, clips)

    @torch.no_grad()
    def _latents(self, clip: np.ndarray) -> bytes:
        with autocast("cpu", self._precision):
            return _half(encode_tiled(self._autoencoder, to_video(clip), self._tiling)[0])

    @torch.no_grad()
    def frames(self, latents: bytes, frames: int, size: int) -> np.ndarray:
        """The square clip [f h w 3] of stored latents: the way back of `latents`, but for what was lost."""
        stored = np.frombuffer(latents, dtype="<f2").astype(np.float32).reshape(1, *self.latent_shape(frames, size))
        with autocast("cpu", self._precision):
            decoded = to_frames(decode_tiled(self._autoencoder, torch.from_numpy(stored), frames, self._tiling))
        clip: np.ndarray = decoded[0]
        return clip

    def through(self, clip: np.ndarray) -> np.ndarray:
        """A square clip [f h w 3] as the autoencoder gives it back: what any edit of it is to be compared with."""
        return self.frames(self._latents(clip), *clip.shape[:2])

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
