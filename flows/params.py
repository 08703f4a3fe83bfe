"""params.yaml as frozen objects: every value that changes a result, one block a room."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError, model_validator

from features.params import FeaturesParams
from features.plan import GROUPS
from inference.params import InferenceParams
from models.build import ModelParams
from training.params import TrainingParams
from training.spec import MediaParams

QUOTE = "'"


class ParamsError(ValueError):
    """Values that are missing, unknown or out of bounds; the message lists each with its path."""


class EvaluationParams(BaseModel):
    """The block `evaluation`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: NonNegativeInt
    resamples: PositiveInt
    sheet_rows: PositiveInt


class Params(BaseModel):
    """All of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: int
    data: str
    media: MediaParams
    models: ModelParams
    features: FeaturesParams
    training: TrainingParams
    inference: InferenceParams
    evaluation: EvaluationParams

    @model_validator(mode="after")
    def _said_rate_is_the_rate(self) -> "Params":
        said, made = self.models.text.frame_rate_prefix, self.features.geometry.frame_rate
        if said is not None and said != made:
            raise ValueError(f"models.text.frame_rate_prefix says {said:g}, features.geometry.frame_rate is {made:g}")
        return self

    @model_validator(mode="after")
    def _groups_are_known(self) -> "Params":
        for name, stage in {"base": self.training.base, **self.training.stages}.items():
            unknown = sorted(set(stage.groups) - set(GROUPS))
            if unknown:
                raise ValueError(f"training of {name!r}: unknown groups {unknown}; known: {', '.join(GROUPS)}")
        return self

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str] = ()) -> "Params":
        """The file's values, with `key.path=value` overrides on top.

        Raises:
            ParamsError: the file is no YAML, a key is missing or unknown, or a value is out of bounds.
        """
        if not path.is_file():
            raise ParamsError(f"{path}: no such parameter file")
        values = _parsed(path.read_text(), str(path))
        if not isinstance(values, dict):
            raise ParamsError(f"{path}: no values in it")
        for override in overrides:
            values = overridden(values, override)
        return cls.checked(values, str(path))

    @classmethod
    def checked(cls, values: Any, origin: str) -> "Params":
        """Validate plain values, every fault with its path."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = [f"  {_fault(e, values)}" for e in error.errors()]
            raise ParamsError("\n".join([f"{origin}: {len(faults)} fault(s)", *faults])) from error


def overridden(values: Mapping[str, Any], override: str) -> dict[str, Any]:
    """Values with one `key.path=value` put in, the value read as YAML.

    Raises:
        ParamsError: the override has no `=`, its value is no YAML, or its path names no existing key.
    """
    path, equals, text = override.partition("=")
    if not equals:
        raise ParamsError(f"override {override!r} is not of the form key.path=value")
    *folders, last = path.strip().split(".")
    result: dict[str, Any] = dict(values)
    place: Any = result
    for key in folders:
        if not isinstance(place.get(key), Mapping):
            raise ParamsError(f"override {override!r}: no block {key!r}")
        place[key] = dict(place[key])
        place = place[key]
    if last not in place:
        raise ParamsError(f"override {override!r}: no key {last!r}; known here: {', '.join(map(str, place))}")
    place[last] = _parsed(text, f"override {override!r}")
    return result


def _fault(error: Mapping[str, Any], values: Any) -> str:
    """Path and message of a fault. A union's choice stands in pydantic's path, but is no key of the file."""
    location, place, path = error["loc"], values, []
    for i, part in enumerate(location):
        missing = i + 1 == len(location) and error["type"] == "missing"
        if isinstance(place, Mapping) and part not in place and not missing:
            continue
        path.append(str(part))
        place = place[part] if isinstance(place, Mapping | list) and not missing else None
    if error["type"] == "union_tag_not_found":
        return f"{'.'.join([*path, error['ctx']['discriminator'].strip(QUOTE)])}: Field required"
    return f"{'.'.join(path)}: {error['msg']}"


def _parsed(text: str, origin: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"{origin}: not YAML ({' '.join(str(error).split())})") from error
