"""The grammar: instructions and captions of the closed vocabulary, without any model. The default writer.

Edits are drawn on scenes that are read from captions, so that output captions are those of the composer, and the
inverse of an edit is the edit between the same two scenes the other way round.
"""

from collections.abc import Sequence

import numpy as np

from features.backdrops import DRAWN, PHOTOGRAPHS
from features.instructions import PHRASINGS, UNDOINGS, phrase
from features.paint import COLOURS
from features.vocabulary import BEFORE, EFFECTS, NOUNS, SPOKEN, Place, Size
from features.writers.changes import change_between
from features.writers.drawing import DRAW, NothingToDraw
from features.writers.protocol import Answers, Inverted, InvertRequest, Rejected, WriteRequest, WriterReport, Written
from features.writers.reading import read_scene
from stores.schema import content_id

IDENTITY, TEXT_TO_VIDEO = "identity", "text_to_video"
TASKS = (*DRAW, IDENTITY, TEXT_TO_VIDEO)


class GrammarWriter:
    """Exact and free of charge. What a caption says outside of the vocabulary is kept, and never edited."""

    def __init__(self) -> None:
        known = (PHRASINGS, UNDOINGS, NOUNS, SPOKEN, EFFECTS, BEFORE, COLOURS, tuple(DRAWN), PHOTOGRAPHS)
        told = [*map(str, known), *(f"{place.phrase}{place.value}" for place in Place), *(size.value for size in Size)]
        self.revision = f"grammar-{content_id(*told)[:12]}"

    def write(self, requests: Sequence[WriteRequest]) -> Answers[Written]:
        """An edit drawn for every caption, the same for the same request."""
        unknown = sorted({request.task for request in requests} - set(TASKS))
        if unknown:
            raise ValueError(f"no such task: {', '.join(unknown)}; the grammar knows {', '.join(TASKS)}")
        answers = tuple(_write(request) for request in requests)
        return Answers(answers, _report(answers))

    def invert(self, requests: Sequence[InvertRequest]) -> Answers[Inverted]:
        """The way back of every edit, whoever wrote it, if its captions differ by one edit of the grammar."""
        answers = tuple(_invert(request) for request in requests)
        return Answers(answers, _report(answers))


def _write(request: WriteRequest) -> Written | Rejected:
    rng = np.random.default_rng([request.seed, TASKS.index(request.task)])
    caption, task = request.caption, request.task
    if not caption.strip():
        return Rejected(request, "caption is empty", caption)
    if task in (IDENTITY, TEXT_TO_VIDEO):
        told = phrase(task, rng, request.held_out, **({"caption": caption} if task == TEXT_TO_VIDEO else {}))
        return Written(told, caption, task, None)
    before = read_scene(caption)
    try:
        after = DRAW[task](rng, before, request.subject)
    except NothingToDraw as reason:
        return Rejected(request, f"caption {reason}", caption)
    change = change_between(before, read_scene(after.caption))
    if change is None:
        return Rejected(request, "edit has no words", after.caption)
    return Written(change.told(rng, request.held_out), after.caption, task, change.thing)


def _invert(request: InvertRequest) -> Inverted | Rejected:
    rng = np.random.default_rng([request.seed, len(TASKS)])
    if request.caption == request.output_caption:
        if request.instruction not in PHRASINGS[IDENTITY]:
            return Rejected(request, "captions are the same, and the instruction asks for more", request.instruction)
        return Inverted(phrase(IDENTITY, rng, request.held_out), IDENTITY)
    change = change_between(read_scene(request.output_caption), read_scene(request.caption))
    if change is None:
        value = f"{request.output_caption} -> {request.caption}"
        return Rejected(request, "captions do not differ by one edit of the grammar", value)
    return Inverted(change.told(rng, request.held_out), change.task)


def _report(answers: Sequence[object]) -> WriterReport:
    kept = sum(not isinstance(answer, Rejected) for answer in answers)
    return WriterReport(asked=len(answers), accepted=kept, tries=len(answers))
