"""Several text encoders as one: a part each, in the order of params.yaml."""

import hashlib
from collections.abc import Sequence

from models.text import StateEncoder, TextContext


class JoinedEncoders:
    """Token states of all encoders side by side; fits the protocol `TextEncoder`.

    Alone and without a frame rate to say, an encoder keeps its own revision; else the revision names the kinds and
    carries a digest of theirs.
    """

    def __init__(self, encoders: Sequence[StateEncoder], frame_rate_prefix: float | None) -> None:
        self._encoders = tuple(encoders)
        self.frame_rate_prefix = frame_rate_prefix
        self.widths: tuple[int, ...] = tuple(width for encoder in encoders for width in encoder.widths)
        self.revision = _joined([encoder.revision for encoder in encoders], frame_rate_prefix)

    def encode(self, texts: Sequence[str]) -> TextContext:
        """Padded token states, a part an encoder."""
        return TextContext(tuple(part for encoder in self._encoders for part in encoder.encode(texts).parts))


def _joined(revisions: Sequence[str], frame_rate: float | None) -> str:
    prefix = "" if frame_rate is None else f"-fps{frame_rate:g}"
    if len(revisions) == 1:
        return f"{revisions[0]}{prefix}"
    digest = hashlib.sha256("\n".join(revisions).encode()).hexdigest()
    kinds = "+".join(revision.partition("-")[0] for revision in revisions)
    return f"{kinds}-{digest[:16]}{prefix}"
