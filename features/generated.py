"""Pairs that no composer made: each under an id known before, made when asked for, or set aside with the reason."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.asked import AskedEdit, provenance
from features.checks import ORIGIN
from features.encode import PairEncoder
from features.maskers.protocol import MaskRejected
from features.pair_rows import PairRow, Triple, encoded
from stores.feature_store import FeatureStore, PublishedTable
from stores.schema import EDIT_PAIRS, GENERATED, QUARANTINE, TableSpec, content_id

COPIED_AT_ONCE = 128


@dataclass(frozen=True)
class Making:
    """A pair that can be made, again and again alike, whenever it is asked for; some turn out to be unusable.

    `edit` is the answered request that it is made from, if it is made from one.
    """

    id: str
    group: str
    make: Callable[[], PairRow | MaskRejected]
    edit: AskedEdit | None = None

    def triple(self) -> Triple:
        """ValueError for one that is set aside."""
        made = self.make()
        if isinstance(made, MaskRejected):
            raise ValueError(f"pair {self.id} is set aside: {made.reason}")
        return made.triple


def as_asked(edit: AskedEdit, source: np.ndarray, target: np.ndarray) -> Triple:
    """The triple of an edit in the direction in which it was asked; frames [f h w 3] as they are to be trained on."""
    return Triple(
        edit.task, edit.instruction, source, target, edit.caption, edit.output_caption, list(edit.clip_ids), edit.scene
    )


def build_makings(makings: Sequence[Making], encoder: PairEncoder, store: FeatureStore) -> None:
    """Make, encode and write what the store lacks; what cannot be made is set aside with the reason."""
    # What an audit of the table set aside is made anew, as composed rows are: its fault may have been elsewhere.
    aside = store.draft(QUARANTINE, ["row"], where=f"origin != '{ORIGIN}'")["row"].to_pylist()
    known = store.ids(EDIT_PAIRS) | set(aside)
    made = [(one, one.make()) for one in makings if one.id not in known]
    pairs = [row for _, row in made if isinstance(row, PairRow)]
    if pairs:
        store.upsert(EDIT_PAIRS, encoded(pairs, encoder))
    store.quarantine([_aside(one, row) for one, row in made if isinstance(row, MaskRejected)])


def write_provenance(makings: Iterable[Making], store: FeatureStore) -> list[str]:
    """Say of every pair that came from an answered request which one that was; the ids of those pairs."""
    rows = [provenance(one.id, one.edit) for one in makings if one.edit]
    store.upsert(GENERATED, rows)
    return [row["id"] for row in rows]


def replay(table: PublishedTable, spec: TableSpec, store: FeatureStore) -> list[str]:
    """Copy a published table of an earlier stage into this one's, row by row under the same ids; those ids.

    Copied, not referred to: a stage's table is whole by itself, with one digest, one audit and one tag.
    """
    ids: list[str] = table.rows(["id"])["id"].to_pylist()
    have = store.ids(spec)
    missing = [key for key in ids if key not in have]
    for start in range(0, len(missing), COPIED_AT_ONCE):
        listed = ", ".join(f"'{key}'" for key in missing[start : start + COPIED_AT_ONCE])
        store.upsert(spec, table.rows(where=f"id IN ({listed})").to_pylist())
    return ids


def set_aside(store: FeatureStore, origin: str, rows: Sequence[Mapping[str, Any]], keep: Iterable[str] = ()) -> None:
    """Make these the rows that the quarantine has of an origin, beside those about the rows in `keep`."""
    store.quarantine(list(rows))
    if not store.has(QUARANTINE):
        return
    kept = set(keep)
    found = store.draft(QUARANTINE, ["id", "origin", "row"]).to_pylist()
    others = [row["id"] for row in found if row["origin"] != origin or row["row"] in kept]
    store.retain(QUARANTINE, [*others, *(row["id"] for row in rows)])


def _aside(making: Making, reason: MaskRejected) -> dict[str, Any]:
    value = "" if reason.value is None else str(reason.value)
    return {
        "id": content_id("quarantine", making.group, making.id, reason.reason, value),
        "origin": making.group,
        "table": EDIT_PAIRS.name,
        "row": making.id,
        "reason": f"{reason.thing}: {reason.reason}",
        "value": value,
    }
