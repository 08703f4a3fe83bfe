"""Triples (c_img, c_instruct, x_img) to rows of `edit_pairs`, whoever made them: encoded, with mask and preview."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.encode import PairEncoder
from models.text import with_frame_rate
from stores.clip_writer import encode_picture

COMPOSER = "composer"  # the maker of rows whose instructions come from the grammar
CHANGED = 8  # levels of 255: what counts as edited in the mask


@dataclass(frozen=True)
class Triple:
    """One example at the pair's geometry; `source` is None where the source is the black video."""

    task: str
    instruction: str
    source: np.ndarray | None
    target: np.ndarray
    source_caption: str
    target_caption: str
    clip_ids: list[str]
    scene: str


@dataclass(frozen=True)
class PairRow:
    """A triple with its place in a stage's table, and who made it."""

    id: str
    stage: str
    group: str
    split: str
    maker: str
    triple: Triple


def encoded(rows: Sequence[PairRow], encoder: PairEncoder) -> list[dict[str, Any]]:
    """Rows as the table has them, latents and text states included."""
    triples = [row.triple for row in rows]
    targets = encoder.latents([triple.target for triple in triples])
    sources = iter(encoder.latents([triple.source for triple in triples if triple.source is not None]))
    texts = encoder.texts([_prompt(triple, encoder) for triple in triples])
    return [
        _record(row, encoder)
        | {
            "source_latents": None if row.triple.source is None else next(sources),
            "target_latents": target,
            "text_states": text,
        }
        for row, target, text in zip(rows, targets, texts, strict=True)
    ]


def changed(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Which pixels of frames [f h w 3] uint8 an edit changes, as [f h w] bool."""
    found: np.ndarray = np.abs(source.astype(np.int16) - target).max(axis=-1) > CHANGED
    return found


def share_of(mask: np.ndarray) -> float:
    """The share of changed pixels, as the table has it."""
    return round(float(mask.mean()), 5)


def _prompt(triple: Triple, encoder: PairEncoder) -> str:
    return with_frame_rate(triple.instruction, len(triple.target), encoder.frame_rate_prefix)


def _record(row: PairRow, encoder: PairEncoder) -> dict[str, Any]:
    triple = row.triple
    frames, size = triple.target.shape[:2]
    mask = None if triple.source is None else changed(triple.source, triple.target)
    return {
        "id": row.id,
        "stage": row.stage,
        "group": row.group,
        "kind": "picture" if frames == 1 else "video",
        "task": triple.task,
        "instruction": triple.instruction,
        "source_caption": triple.source_caption,
        "target_caption": triple.target_caption,
        "scene": triple.scene,
        "split": row.split,
        "latent_shape": encoder.latent_shape(frames, size),
        "edit_mask": None if mask is None else np.packbits(mask).tobytes(),
        "edit_share": None if mask is None else share_of(mask),
        "autoencoder": encoder.autoencoder,
        "text_encoder": encoder.text_encoder,
        "maker": row.maker,
        "clip_ids": triple.clip_ids,
        "preview": _preview(triple),
    }


def _preview(triple: Triple) -> bytes:
    shown = [triple.target] if triple.source is None else [triple.source, triple.target]
    return encode_picture(np.concatenate([clip[0] for clip in shown], axis=1), quality=70)
