"""Requests for edits in the flow: what an endpoint did not answer is asked again, what it answered badly is not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from features.writers.build import build_writer
from features.writers.config import GrammarConfig
from features.writers.protocol import (
    UNREACHED,
    Answers,
    InstructionWriter,
    Inverted,
    InvertRequest,
    Rejected,
    WriteRequest,
    Written,
)
from flows import asking
from flows.job import Job
from flows.steps import PlainSteps
from stores.receipts import save_receipt
from stores.schema import EDIT_REQUESTS, QUARANTINE
from tests.world import World, build_world, tiny_params

# On its first import great_expectations reads modules that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")


@dataclass
class Flaky:
    """The grammar behind an endpoint that is down for some requests the first time, and always answers some badly."""

    grammar: InstructionWriter
    is_down: bool = True
    asked: list[int] = field(default_factory=list)

    @property
    def revision(self) -> str:
        return self.grammar.revision

    def write(self, requests: Sequence[WriteRequest]) -> Answers[Written]:
        answers = self.grammar.write(requests)
        told = [self._told(request, one) for request, one in zip(requests, answers.all, strict=True)]
        return Answers(tuple(told), answers.report)

    def invert(self, requests: Sequence[InvertRequest]) -> Answers[Inverted]:
        return self.grammar.invert(requests)

    def _told(self, request: WriteRequest, answer: Written | Rejected) -> Written | Rejected:
        self.asked.append(request.seed)
        if self.is_down and request.seed % 3 == 0:
            return Rejected(request, f"{UNREACHED}: status 503", "")
        return Rejected(request, "not JSON", "?") if request.seed % 3 == 1 else answer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = build_world(tmp_path_factory.mktemp("asking"), tiny_params())
    save_receipt(made.clips, made.state)
    return made


def test_what_was_not_answered_is_asked_again_and_only_that(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(tiny_params("features.multi_frame.animated.requests=24"), world.state)
    writer = Flaky(build_writer(GrammarConfig(kind="grammar"), {}))
    monkeypatch.setattr(asking, "build_writer", lambda config, environment: writer)
    store = job.folder("requests-two")
    first = asking.ask_frames(job, PlainSteps(), "two")
    asked, aside = set(writer.asked), store.draft(QUARANTINE).to_pylist()
    down = [row for row in aside if row["reason"].startswith(UNREACHED)]
    poor = {row["row"] for row in aside if row["reason"] == "not JSON"}
    assert down and poor and store.ids(EDIT_REQUESTS)
    writer.asked.clear()
    again = asking.ask_frames(job, PlainSteps(), "two")
    assert len(writer.asked) == len(down) and set(writer.asked) < asked and again == first
    writer.is_down = False
    before = store.ids(EDIT_REQUESTS)
    found = asking.ask_frames(job, PlainSteps(), "two")
    left = store.draft(QUARANTINE).to_pylist()
    assert not [row for row in left if row["reason"].startswith(UNREACHED)]
    # Some of what is answered now is no edit, as of any caption.
    written, rejected = store.ids(EDIT_REQUESTS) - before, {row["row"] for row in left}
    assert written and not rejected & store.ids(EDIT_REQUESTS)
    assert written | (rejected & {row["row"] for row in down}) == {row["row"] for row in down}
    assert rejected - {row["row"] for row in down} == {row["row"] for row in aside} - {row["row"] for row in down}
    writer.asked.clear()
    assert asking.ask_frames(job, PlainSteps(), "two") == found and not writer.asked
