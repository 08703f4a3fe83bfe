"""What every writer of instructions promises (Movie Gen Edit, sections 5.1.3 and 5.1.4), and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


@dataclass(frozen=True)
class WriteRequest:
    """Asks for an edit of one task for what a caption shows.

    `held_out` asks for wordings that training never reads, of writers that keep some back. `subject` says that
    something plainly stands out in the picture, so that it may be meant as "the main object".
    """

    caption: str
    task: str
    seed: int
    held_out: bool = False
    subject: bool = False


@dataclass(frozen=True)
class Written:
    """An edit in words: what is asked, what the picture then shows, and which thing is meant, if one thing is."""

    instruction: str
    output_caption: str
    task: str
    thing: str | None


@dataclass(frozen=True)
class InvertRequest:
    """Asks for the instruction that leads from `output_caption` back to `caption`."""

    caption: str
    output_caption: str
    instruction: str
    seed: int
    held_out: bool = False


@dataclass(frozen=True)
class Inverted:
    """The instruction that takes an edit back, and the task that it is of: what was added is removed."""

    instruction: str
    task: str


UNREACHED = "endpoint"  # how the reason begins where nothing was answered: worth another try some other time


@dataclass(frozen=True)
class Rejected:
    """A request without a usable answer, for the quarantine: why, and what was answered instead."""

    request: WriteRequest | InvertRequest
    reason: str
    value: str


@dataclass(frozen=True)
class WriterReport:
    """What some requests cost: `tries` counts every answer that was paid for, the rejected included."""

    asked: int = 0
    accepted: int = 0
    tries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def acceptance(self) -> float:
        """Accepted answers a request; 1 where nothing was asked."""
        return self.accepted / self.asked if self.asked else 1.0

    def __add__(self, other: WriterReport) -> WriterReport:
        return WriterReport(
            self.asked + other.asked,
            self.accepted + other.accepted,
            self.tries + other.tries,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
        )

    def __str__(self) -> str:
        return (
            f"{self.accepted} of {self.asked} accepted ({self.acceptance:.0%}) in {self.tries} tries; "
            f"{self.prompt_tokens} prompt tokens, {self.completion_tokens} written, {self.seconds:.1f} s"
        )


Answer = TypeVar("Answer", Written, Inverted)


@dataclass(frozen=True)
class Answers(Generic[Answer]):
    """One answer or rejection for every request, in the order of the requests."""

    all: tuple[Answer | Rejected, ...]
    report: WriterReport

    @property
    def accepted(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.all if not isinstance(answer, Rejected))

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return tuple(answer for answer in self.all if isinstance(answer, Rejected))


class InstructionWriter(Protocol):
    """Writes edits and their inverses. `revision` changes whenever the answers could: it is part of a row's id."""

    revision: str

    def write(self, requests: Sequence[WriteRequest]) -> Answers[Written]:
        """An edit for every caption; ValueError for a task that the writer does not know."""
        ...

    def invert(self, requests: Sequence[InvertRequest]) -> Answers[Inverted]:
        """The way back of every edit."""
        ...
