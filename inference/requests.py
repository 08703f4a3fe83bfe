"""Edit requests as objects: rows of `edit_requests`, made by `features/` with their media or by a user with a path."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.manifest import Manifest, ManifestRow
from inference.params import EditError, Overrides
from stores.schema import content_id

USER = "user"
MACHINE_PURPOSES = ("animate", "backtranslate", "evaluate")
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, eq=False)
class EditRequest:
    """An edit asked for: `media` (encoded, or frames packed by `stores.frames`) or a file at `clip_uri`.

    `settings` is JSON of overrides, empty for none; the columns `seed` and `task` win over it. `fps` is for packed
    frames, which know none. `name` and `output_uri` are what a user calls the row and where the edit is to go.
    """

    id: str
    purpose: str
    kind: str | None
    clip_uri: str | None
    instruction: str
    task: str | None
    settings: str | None
    seed: int | None
    media: bytes | None
    fps: float | None
    scene: str | None
    clip_ids: tuple[str, ...]
    name: str | None
    output_uri: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "EditRequest":
        """A row of `edit_requests`, as the store gives it."""
        fields = {name: row.get(name) for name in cls.__dataclass_fields__}
        return cls(**fields | {"clip_ids": tuple(row.get("clip_ids") or ()), "instruction": row["instruction"] or ""})

    def row(self) -> dict[str, Any]:
        """The request as a row of `edit_requests`."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"clip_ids": list(self.clip_ids)}

    def overrides(self) -> Overrides:
        """What the request states itself.

        Raises:
            EditError: a value is wrong, or `settings` is not a JSON object.
        """
        try:
            values = json.loads(self.settings) if self.settings else {}
        except ValueError as error:
            raise EditError(f"settings: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise EditError(f"settings: expected a JSON object, got {self.settings!r}")
        stated = {"seed": self.seed, "task": self.task or None}
        return Overrides.checked(**values | {name: value for name, value in stated.items() if value is not None})


def requests_of(manifest: Manifest) -> list[EditRequest]:
    """The good rows of a manifest as requests of a user, in its order."""
    return [_from_manifest(row) for row in manifest.rows]


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, read in pieces."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            total.update(piece)
    return total.hexdigest()


def _from_manifest(row: ManifestRow) -> EditRequest:
    overrides = row.overrides.model_dump(exclude_none=True, exclude={"seed", "task"})
    settings = json.dumps(overrides, sort_keys=True) if overrides else None
    # The name counts: two rows that ask for the same are two rows, with two outputs.
    stated = (settings or "", row.overrides.seed, row.overrides.task or "", row.output or "", row.name)
    return EditRequest(
        id=content_id(USER, file_sha256(row.clip), row.instruction, *(str(part) for part in stated)),
        purpose=USER,
        kind=None,
        clip_uri=str(row.clip),
        instruction=row.instruction,
        task=row.overrides.task,
        settings=settings,
        seed=row.overrides.seed,
        media=None,
        fps=None,
        scene=None,
        clip_ids=(),
        name=row.name,
        output_uri=str(row.output) if row.output else None,
    )
