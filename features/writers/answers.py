"""What a language model may answer, and why an answer is refused. Nothing it says is believed unchecked."""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from features.writers.examples import Example
from features.writers.protocol import Inverted, InvertRequest, WriteRequest, Written

WHOLE = ("background", "global", "style")  # no one thing is meant


class Refused(ValueError):
    """An answer that is not used; the message is the reason."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_strip_whitespace=True)


class WriteAnswer(_Answer):
    """What `write` asks for."""

    instruction: str
    output_caption: str
    object: str


class InvertAnswer(_Answer):
    """What `invert` asks for."""

    instruction: str
    task: str


A = TypeVar("A", WriteAnswer, InvertAnswer)


def schema(answer: type[_Answer]) -> dict[str, object]:
    """The JSON schema of an answer, as endpoints take it."""
    properties = {name: {"type": "string"} for name in answer.model_fields}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read_written(text: str, request: WriteRequest, shown: Sequence[Example], longest: int) -> Written:
    """The edit in an answer; Refused where it is malformed, or does not say an edit of the task."""
    answer = _parsed(text, WriteAnswer)
    _check_words(answer.instruction, "instruction", longest)
    _check_words(answer.output_caption, "output caption", longest)
    _check_words(answer.object, "object", longest)
    if _plain(answer.output_caption) == _plain(request.caption):
        raise Refused("output caption is the caption")
    if _plain(answer.instruction) in (_plain(request.caption), _plain(answer.output_caption)):
        raise Refused("instruction is a caption")
    copied = {_plain(text) for example in shown for text in (example.instruction, example.output_caption)}
    # A short instruction may fit two captions; a caption of an example never is the answer.
    if _plain(answer.output_caption) in copied and _plain(answer.instruction) in copied:
        raise Refused("copied from an example")
    _check_object(answer, request)
    return Written(answer.instruction, answer.output_caption, request.task, None if _whole(request) else answer.object)


def read_inverted(text: str, request: InvertRequest, tasks: Sequence[str], longest: int) -> Inverted:
    """The way back in an answer; Refused likewise."""
    answer = _parsed(text, InvertAnswer)
    _check_words(answer.instruction, "instruction", longest)
    if answer.task not in tasks:
        raise Refused("no such task")
    said = {
        "the edit itself": request.instruction,
        "a caption": request.caption,
        "the edited caption": request.output_caption,
    }
    for what, known in said.items():
        if _plain(answer.instruction) == _plain(known):
            raise Refused(f"instruction is {what}")
    return Inverted(answer.instruction, answer.task)


def _parsed(text: str, kind: type[A]) -> A:
    try:
        return kind.model_validate(json.loads(_without_fence(text), object_pairs_hook=_once))
    except Refused:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(f"not the fields that were asked for: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Refused("a field twice")
    return dict(pairs)


def _without_fence(text: str) -> str:
    """Chat models like to put JSON into a code block, which changes nothing of what they say."""
    found = re.fullmatch(r"\s*```(?:json)?\s*(.*?)\s*```\s*", text, flags=re.DOTALL)
    return found[1] if found else text


def _check_words(text: str, what: str, longest: int) -> None:
    if not text:
        raise Refused(f"{what} is empty")
    if len(text) > longest:
        raise Refused(f"{what} is too long")
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Co", "Cn") for sign in text):
        raise Refused(f"{what} has signs that are no text")


def _check_object(answer: WriteAnswer, request: WriteRequest) -> None:
    if _whole(request):
        return
    thing, before, after = _plain(answer.object), _plain(request.caption), _plain(answer.output_caption)
    if not _within(thing, _plain(answer.instruction)):
        raise Refused("object is not in the instruction")
    if request.task == "add" and not _within(thing, after):
        raise Refused("added object is not in the output caption")
    if request.task == "remove" and not _within(thing, before):
        raise Refused("removed object is not in the caption")
    if request.task in ("remove", "replace") and _within(thing, after):
        raise Refused("the object is still in the output caption")


def _whole(request: WriteRequest) -> bool:
    return request.task in WHOLE


def _within(thing: str, text: str) -> bool:
    return f" {thing} " in f" {text} "


def _plain(text: str) -> str:
    """Words alone: lower case, without articles and punctuation."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())
    return " ".join(word for word in words if word not in ("a", "an", "the"))
