"""Tables of triples to rows of `edit_pairs`: every row offered is accepted, or quarantined with its reasons."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.ingest import TEST, TRAIN
from features.leaks import Sighting, leaks
from features.listings import RawDataError
from features.pair_rows import PairRow, encoded
from features.params import QualityParams
from features.quality import Rejection
from features.triple_intake import Candidate, ImportSetting, UnusableError, examined, pair_row
from features.triples import read_triples
from stores.feature_store import FeatureStore, PublishedTable
from stores.schema import EDIT_PAIRS, TRIPLES, content_id


@dataclass(frozen=True)
class Accepted:
    """A row of a table that may become a row of `edit_pairs`, unless what it shows is on the other side."""

    id: str
    shows: Sighting


@dataclass(frozen=True)
class Refused:
    """A row of a table that cannot be used, and why."""

    address: str
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True)
class Imports:
    """What became of every row of some tables."""

    accepted: tuple[Accepted, ...]
    refused: tuple[Refused, ...]

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.accepted]

    def quarantined(self) -> list[dict[str, Any]]:
        """Rows of the quarantine: one a reason."""
        return [_rejected(row.address, rejection) for row in self.refused for rejection in row.rejections]


def import_table(path: Path, name: str, setting: ImportSetting, store: FeatureStore) -> Imports:
    """Write those triples of a table that the store lacks, a shard at a time.

    Raises:
        RawDataError: the table as a whole cannot be read.
    """
    have, shard = store.ids(EDIT_PAIRS), setting.params.pairs[setting.stage].shard
    accepted, refused = list[Accepted](), list[Refused]()
    waiting, origins = list[PairRow](), dict[str, dict[str, Any]]()
    for raw in read_triples(path, name):
        try:
            found = examined(raw, setting)
            if found.id not in have:  # a row that is there has passed the rest, for its id says all that decides it
                waiting.append(pair_row(found, setting))
        except UnusableError as error:
            refused.append(Refused(raw.address, error.rejections))
            continue
        have.add(found.id)
        accepted.append(Accepted(found.id, Sighting(raw.address, found.scene, found.split, found.hashes)))
        origins.setdefault(found.id, _origin(found))
        if len(waiting) == shard:
            store.upsert(EDIT_PAIRS, encoded(waiting, setting.encoder))
            waiting = []
    store.upsert(EDIT_PAIRS, encoded(waiting, setting.encoder))
    # Files may have been moved since: their names are no part of the id.
    store.upsert(TRIPLES, list(origins.values()), replace=True)
    return Imports(tuple(accepted), tuple(refused))


def settled(tables: Sequence[Imports], clips: PublishedTable, params: QualityParams) -> Imports:
    """Some tables together, without rows that are there twice or lie across the split from a clip or another row."""
    accepted, refused = list[Accepted](), [row for table in tables for row in table.refused]
    first: dict[str, str] = {}
    for row in (row for table in tables for row in table.accepted):
        if row.id in first:
            refused.append(Refused(row.shows.name, (Rejection("another row is the same triple", first[row.id]),)))
        else:
            first[row.id] = row.shows.name
            accepted.append(row)
    found = leaks([row.shows for row in accepted], _sightings(clips), params)
    pairs = list(zip(accepted, found, strict=True))
    refused += [Refused(row.shows.name, (leak,)) for row, leak in pairs if leak]
    return Imports(tuple(row for row, leak in pairs if not leak), tuple(refused))


def require_both_sides(imports: Imports) -> None:
    """For a table that has no other edits.

    Raises:
        RawDataError: no triple to train on, or none that is held out.
    """
    for split, what in ((TRAIN, "to train on"), (TEST, "that is held out")):
        if not any(row.shows.split == split for row in imports.accepted):
            raise RawDataError(
                f"features.sources.triples: no usable triple {what}, and features.pairs has no composed edits; "
                f"state the column `split`, or scenes in features.split ({len(imports.refused)} rows are set aside)"
            )


def _sightings(clips: PublishedTable) -> list[Sighting]:
    rows = clips.rows(["source_uri", "scene", "split", "dhash"]).to_pylist()
    return [Sighting(row["source_uri"], row["scene"], row["split"], (row["dhash"],)) for row in rows]


def _origin(found: Candidate) -> dict[str, Any]:
    raw = found.raw
    return {
        "id": found.id,
        "source_uri": raw.source_uri,
        "source_sha256": hashlib.sha256(raw.source).hexdigest(),
        "target_uri": raw.target_uri,
        "target_sha256": hashlib.sha256(raw.target).hexdigest(),
        "licence": raw.licence,
        "author": raw.author,
    }


def _rejected(address: str, rejection: Rejection) -> dict[str, Any]:
    return {
        "id": content_id("quarantine", address, rejection.reason, rejection.value),
        "origin": "triples",
        "table": EDIT_PAIRS.name,
        "row": address,
        "reason": rejection.reason,
        "value": rejection.value[:500],
    }
