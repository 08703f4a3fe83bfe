"""Text conditioning as data: token states of one or several encoders, padded and masked (Movie Gen, section 3.1.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.shapes import TextMask, TextStates

TrimmedText = tuple[Tensor, ...]  # per encoder [s e], without padding: the stored form


@dataclass(frozen=True)
class TextPart:
    """One encoder's token states and which of them are real; padding is never attended to."""

    states: TextStates
    mask: TextMask


@dataclass(frozen=True)
class TextContext:
    """The parts of all encoders, in the encoders' order; each keeps its own width and length."""

    parts: tuple[TextPart, ...]

    def __len__(self) -> int:
        return int(self.parts[0].states.shape[0])

    def to(self, device: torch.device | str) -> "TextContext":
        return TextContext(tuple(TextPart(p.states.to(device), p.mask.to(device)) for p in self.parts))

    def trimmed(self, row: int) -> TrimmedText:
        """One row without padding: the inverse of `pad_texts`."""
        return tuple(part.states[row][part.mask[row]] for part in self.parts)

    def repeat(self, count: int) -> "TextContext":
        """A single row repeated `count` times."""
        return TextContext(
            tuple(TextPart(p.states.expand(count, -1, -1), p.mask.expand(count, -1)) for p in self.parts)
        )


@runtime_checkable
class StateEncoder(Protocol):
    """A frozen text encoder. `revision` changes whenever its output could; `widths` has one entry a part.

    A part may have no tokens at all for a text, except the first: the task predictor reads that one.
    """

    widths: tuple[int, ...]
    revision: str

    def encode(self, texts: Sequence[str]) -> TextContext:
        """Padded token states of a batch of texts."""
        ...


@runtime_checkable
class TextEncoder(StateEncoder, Protocol):
    """All that a network reads. `frame_rate_prefix` belongs before the prompts of clips: see `with_frame_rate`."""

    frame_rate_prefix: float | None


def with_frame_rate(text: str, frames: int, frame_rate: float | None) -> str:
    """A prompt as it is encoded: `FPS-16 a dog runs` for a clip, if a frame rate is to be said (section 3.1.4).

    Pictures get no prefix, which the paper does not say; the empty text stays empty, for it is the null condition.
    Rows of the store and edits alike pass through here.
    """
    if frame_rate is None or frames == 1 or not text:
        return text
    return f"FPS-{frame_rate:g} {text}"


def pad_texts(rows: Sequence[TrimmedText]) -> TextContext:
    """Stack trimmed rows into one padded context."""
    return TextContext(tuple(_pad([row[i] for row in rows]) for i in range(len(rows[0]))))


def join_texts(contexts: Sequence[TextContext]) -> TextContext:
    """Concatenate contexts on the batch axis, padding each part to its longest."""
    rows = [context.trimmed(i) for context in contexts for i in range(len(context))]
    return pad_texts(rows)


def _pad(rows: Sequence[Tensor]) -> TextPart:
    states = pad_sequence(list(rows), batch_first=True).float()
    lengths = torch.tensor([row.shape[0] for row in rows], device=states.device)
    return TextPart(states, torch.arange(states.shape[1], device=states.device) < lengths[:, None])
