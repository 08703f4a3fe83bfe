"""In-context examples, a JSONL file a task: edits as they should be told, and how each is taken back."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

TEXT = Field(min_length=1)


class Example(BaseModel):
    """One edit: what is shown, what is asked, what is shown then, the thing meant, and the way back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: str = TEXT
    instruction: str = TEXT
    output_caption: str = TEXT
    object: str = TEXT
    inverse: str = TEXT


def read_examples(folder: Path) -> Mapping[str, tuple[Example, ...]]:
    """The examples of every task that has a file; ValueError names a line that is none."""
    return {path.stem: tuple(_read(path)) for path in sorted(folder.glob("*.jsonl"))}


@cache
def shipped_examples() -> Mapping[str, tuple[Example, ...]]:
    """Those that come with the project."""
    return read_examples(Path(__file__).parent)


def _read(path: Path) -> list[Example]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(Example.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"{path.name}, line {number} is no example: {error.errors()[0]['msg']}") from error
    if not found:
        raise ValueError(f"{path.name} has no example")
    return found
