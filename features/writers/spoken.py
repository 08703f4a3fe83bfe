"""Writers that speak: a language model behind one small protocol, its answers checked, asked for again, or rejected."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from features.writers.answers import (
    InvertAnswer,
    Refused,
    WriteAnswer,
    read_inverted,
    read_written,
    schema,
)
from features.writers.config import SpokenConfig
from features.writers.examples import Example, shipped_examples
from features.writers.prompts import ASKED, Message, invert_prompt, write_prompt
from features.writers.protocol import Answers, Inverted, InvertRequest, Rejected, WriteRequest, WriterReport, Written
from stores.schema import content_id

log = logging.getLogger(__name__)
SHOWN = 500  # characters of a bad answer that are kept


@dataclass(frozen=True)
class Said:
    """An answer as it came, and how many tokens it cost."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class Speaker(Protocol):
    """A language model. `revision` names its weights as well as can be known."""

    revision: str

    def say(self, messages: Sequence[Message], schema: Mapping[str, object], seed: int) -> Said:
        """The answer to a conversation; Refused where this one has none, WriterError where none ever will."""
        ...


Asked = TypeVar("Asked", WriteRequest, InvertRequest)
Told = TypeVar("Told", Written, Inverted)


class SpokenWriter:
    """Writes through a speaker, `concurrency` requests at once; examples default to the shipped ones."""

    def __init__(
        self,
        speaker: Speaker,
        config: SpokenConfig,
        concurrency: int = 1,
        examples: Mapping[str, tuple[Example, ...]] | None = None,
    ) -> None:
        self._speaker, self._config, self._concurrency = speaker, config, concurrency
        self._examples = {task: rows for task, rows in (examples or shipped_examples()).items() if task in ASKED}
        said = [row.model_dump_json() for rows in self._examples.values() for row in rows]
        told = content_id(config.model_dump_json(), *ASKED.values(), *said)
        self.revision = f"{speaker.revision}-{told[:12]}"

    def write(self, requests: Sequence[WriteRequest]) -> Answers[Written]:
        """An edit for every caption; ValueError for a task without examples."""
        unknown = sorted({request.task for request in requests} - set(self._examples))
        if unknown:
            raise ValueError(f"no examples of {', '.join(unknown)}; there are some of {', '.join(self._examples)}")

        def answer(request: WriteRequest, seed: int) -> tuple[Written | Refused, Said]:
            prompt = write_prompt(replace(request, seed=seed), self._examples[request.task], self._config.example_share)
            said = self._speaker.say(prompt.messages, schema(WriteAnswer), seed)
            return _read(read_written, said, request, prompt.shown, self._config.max_characters), said

        return self._asked(requests, answer)

    def invert(self, requests: Sequence[InvertRequest]) -> Answers[Inverted]:
        """The way back of every edit."""

        def answer(request: InvertRequest, seed: int) -> tuple[Inverted | Refused, Said]:
            prompt = invert_prompt(replace(request, seed=seed), self._examples, self._config.example_share)
            said = self._speaker.say(prompt.messages, schema(InvertAnswer), seed)
            return _read(read_inverted, said, request, tuple(self._examples), self._config.max_characters), said

        return self._asked(requests, answer)

    def _asked(
        self, requests: Sequence[Asked], answer: Callable[[Asked, int], tuple[Told | Refused, Said]]
    ) -> Answers[Told]:
        began = time.monotonic()
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            done = list(pool.map(lambda request: self._answer(request, answer), requests))
        finally:
            pool.shutdown(cancel_futures=True)  # after an error that all would meet
        report = WriterReport(seconds=time.monotonic() - began)
        for _, cost in done:
            report += cost
        log.info("%s: %s", self.revision, report)
        return Answers(tuple(told for told, _ in done), report)

    def _answer(
        self, request: Asked, answer: Callable[[Asked, int], tuple[Told | Refused, Said]]
    ) -> tuple[Told | Rejected, WriterReport]:
        """The first usable answer; every attempt has a seed of its own."""
        report, reason, value = WriterReport(asked=1), "", ""
        for attempt in range(self._config.attempts):
            try:
                told, said = answer(request, request.seed + attempt)
            except Refused as refused:  # by the speaker, which has tried for itself
                return Rejected(request, str(refused), ""), report
            report += WriterReport(tries=1, prompt_tokens=said.prompt_tokens, completion_tokens=said.completion_tokens)
            if not isinstance(told, Refused):
                return told, report + WriterReport(accepted=1)
            reason, value = str(told), said.text[:SHOWN]
        return Rejected(request, reason, value), report


def _read(read: Callable[..., Told], said: Said, *given: object) -> Told | Refused:
    try:
        return read(said.text, *given)
    except Refused as refused:
        return refused
