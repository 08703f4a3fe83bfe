"""What a language model is asked, as chat messages: one agent a task, shown some examples of it (as in Emu Edit)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from features.writers.changes import UNDOING_TASKS
from features.writers.examples import Example
from features.writers.protocol import InvertRequest, WriteRequest

ASKED: Mapping[str, str] = {
    "add": "adds one object that is not in the picture yet",
    "remove": "removes one object that the caption names",
    "replace": "replaces one object that the caption names by another one; the object is the one that goes",
    "recolour": "gives one object that the caption names another colour",
    "background": "puts what the picture shows in front of another background, and keeps it as it is",
    "global": "changes weather, season, light or colours of the whole picture",
    "style": "redraws the whole picture in an artistic style",
    "segment": "marks one object that the caption names in a colour, laid over it",
    "detect": "draws a box in a colour around one object that the caption names",
    "local": "changes one part or the state of one object that the caption names",
    "texture": "changes the material or the surface of one object that the caption names, and keeps its shape",
}
T = TypeVar("T")
INVERSE_TASKS: Mapping[str, str] = {"add": "remove", "remove": "add", **UNDOING_TASKS}


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """A conversation that awaits its answer, and the examples that were shown in it."""

    messages: tuple[Message, ...]
    shown: tuple[Example, ...]


def write_prompt(request: WriteRequest, examples: Sequence[Example], share: float) -> Prompt:
    """Asks for an edit of the request's task."""
    rule = (
        f"You write instructions for editing pictures and videos. From a caption, write one instruction that "
        f"{ASKED[request.task]}. Answer with one JSON object and nothing else: "
        '"instruction" is a short order in plain words, "output_caption" says what is to be seen after the edit and '
        'keeps all that the edit leaves alone, "object" is the thing meant, in the words of the instruction.'
    )
    shown = _drawn(examples, share, request.seed)
    turns = [({"caption": one.caption}, _as_json(one, "instruction", "output_caption", "object")) for one in shown]
    return Prompt(_conversation(rule, turns, {"caption": request.caption}), shown)


def invert_prompt(request: InvertRequest, examples: Mapping[str, Sequence[Example]], share: float) -> Prompt:
    """Asks for the way back; one example of every task, as the task of the edit is not known."""
    rule = (
        "A picture with a caption was edited by an instruction. Write the instruction that turns the edited picture "
        "back into the one before. Answer with one JSON object and nothing else: "
        '"instruction" is a short order in plain words that says what has to be seen again, '
        f'"task" is one of {", ".join(examples)}.'
    )
    rng = np.random.default_rng(request.seed)
    picked = [(task, rows[int(rng.integers(len(rows)))]) for task, rows in examples.items()]
    kept = _drawn(picked, share, request.seed)
    turns = [(_edit(one.caption, one.instruction, one.output_caption), _way_back(task, one)) for task, one in kept]
    asked = _edit(request.caption, request.instruction, request.output_caption)
    return Prompt(_conversation(rule, turns, asked), tuple(one for _, one in kept))


def _drawn(things: Sequence[T], share: float, seed: int) -> tuple[T, ...]:
    """A share of them in drawn order, at least one."""
    order = np.random.default_rng([seed, len(things)]).permutation(len(things))
    return tuple(things[int(i)] for i in order[: max(1, round(len(things) * share))])


def _edit(caption: str, instruction: str, output_caption: str) -> dict[str, str]:
    return {"caption": caption, "instruction": instruction, "edited_caption": output_caption}


def _way_back(task: str, example: Example) -> str:
    return json.dumps({"instruction": example.inverse, "task": INVERSE_TASKS.get(task, task)}, ensure_ascii=False)


def _as_json(example: Example, *fields: str) -> str:
    return json.dumps({name: getattr(example, name) for name in fields}, ensure_ascii=False)


def _conversation(rule: str, turns: Sequence[tuple[dict[str, str], str]], asked: dict[str, str]) -> tuple[Message, ...]:
    told = [Message("system", rule)]
    for question, answer in turns:
        told += [Message("user", json.dumps(question, ensure_ascii=False)), Message("assistant", answer)]
    return (*told, Message("user", json.dumps(asked, ensure_ascii=False)))
