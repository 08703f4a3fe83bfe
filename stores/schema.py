"""Tables of the feature store: their columns, and what identifies a row.

Latents are float16 bytes with their shape beside them, not `fixed_shape_tensor`: one table holds pictures and clips,
and later several aspect ratios, whose shapes differ from row to row.
"""

import hashlib
from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.string()
BYTES = pa.large_binary()
# General compression of half-precision noise saves 8 % and costs two thirds of the speed.
RAW = {b"lance-encoding:compression": b"none"}


def _raw(name: str) -> pa.Field:
    return pa.field(name, BYTES, metadata=RAW)


def _fields(*names: str) -> list[pa.Field]:
    return [pa.field(name, TEXT) for name in names]


@dataclass(frozen=True)
class TableSpec:
    """A table's name and columns; `id` is its declared primary key and `sha256` the digest of the whole row."""

    name: str
    columns: tuple[pa.Field, ...]

    @property
    def schema(self) -> pa.Schema:
        key = pa.field("id", TEXT, nullable=False)
        return pa.schema([key, *self.columns, pa.field("sha256", TEXT)])


CLIPS = TableSpec(
    "clips",
    (
        *_fields("kind", "caption", "scene", "split", "source_uri", "source_sha256", "licence", "author"),
        *(pa.field(name, pa.int32()) for name in ("frames", "height", "width")),
        *(pa.field(name, pa.float64()) for name in ("fps", "sharpness", "brightness", "contrast", "motion")),
        *(pa.field(name, pa.float64()) for name in ("black_share", "frozen_share", "cut")),
        *_fields("dhash"),
        _raw("media"),
        _raw("mask"),
        _raw("preview"),
    ),
)

EDIT_PAIRS = TableSpec(
    "edit_pairs",
    (
        *_fields("stage", "group", "kind", "task", "instruction", "source_caption", "target_caption", "scene", "split"),
        pa.field("latent_shape", pa.list_(pa.int32())),
        # Null for text-to-video rows: their source is the black video, stored once in `constants`.
        _raw("source_latents"),
        _raw("target_latents"),
        pa.field("text_states", pa.list_(BYTES)),
        _raw("edit_mask"),
        pa.field("edit_share", pa.float64()),
        *_fields("autoencoder", "text_encoder", "maker"),
        pa.field("clip_ids", pa.list_(TEXT)),
        _raw("preview"),
    ),
)

# Where the imported rows of `edit_pairs` came from, each under the id of its pair.
TRIPLES = TableSpec(
    "triples",
    tuple(_fields("source_uri", "source_sha256", "target_uri", "target_sha256", "licence", "author")),
)

# Which answered request the generated rows of `edit_pairs` were made from, each under the id of its pair.
GENERATED = TableSpec(
    "generated",
    tuple(_fields("request_id", "edit_id", "model", "model_digest")),
)

# How answered edits were judged, each under its own id: what a filter's thresholds are chosen by.
EDIT_SCORES = TableSpec(
    "edit_scores",
    (
        *_fields("request_id", "task", "split", "reasons"),
        *(
            pa.field(name, pa.float64())
            for name in (
                "change_share",
                "change_inside",
                "change_outside",
                "sharpness",
                "colour_drift",
                "flicker",
                "agreement",
                "direction",
                "resemblance",
                "consistency",
            )
        ),
    ),
)

CONSTANTS = TableSpec(
    "constants",
    (
        *_fields("kind"),
        pa.field("latent_shape", pa.list_(pa.int32())),
        _raw("latents"),
        pa.field("text_states", pa.list_(BYTES)),
        *_fields("autoencoder", "text_encoder"),
    ),
)

EDIT_REQUESTS = TableSpec(
    "edit_requests",
    (
        *_fields("purpose", "kind", "clip_uri", "instruction", "task", "settings", "scene"),
        # What a user calls the row, and where the edit is to go; both null for the pipeline's own requests.
        *_fields("name", "output_uri"),
        # What the media show, and what the edit should: of requests whose edits become pairs, null for all others.
        *_fields("caption", "output_caption", "split", "inverse_instruction", "inverse_task"),
        pa.field("seed", pa.int64()),
        # Encoded, or packed by `stores.frames`; packed frames know no rate of their own.
        _raw("media"),
        pa.field("fps", pa.float64()),
        pa.field("clip_ids", pa.list_(TEXT)),
    ),
)

CASES = TableSpec(
    "cases",
    (
        *_fields("kind", "task", "scene", "instruction", "wrong_instruction"),
        pa.field("fps", pa.float64()),
        *(pa.field(name, pa.int32()) for name in ("frames", "height", "width")),
        _raw("source"),
        _raw("truth"),
        pa.field("decoys", pa.list_(BYTES)),
        pa.field("clip_ids", pa.list_(TEXT)),
    ),
)

EDITS = TableSpec(
    "edits",
    (
        *_fields(
            "request_id", "purpose", "instruction", "task", "output_uri", "output_sha256", "model", "model_digest"
        ),
        *_fields("status", "error", "clip_uri", "clip_sha256", "settings"),
        pa.field("seed", pa.int64()),
        pa.field("seconds", pa.float64()),
        _raw("frames"),
        _raw("preview"),
        pa.field("clip_ids", pa.list_(TEXT)),
    ),
)

QUARANTINE = TableSpec(
    "quarantine",
    tuple(_fields("origin", "table", "row", "reason", "value")),
)


def content_id(*parts: str | bytes | int | float) -> str:
    """The identity of a row: sha256 over what determines its content, each part with its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()[:32]
