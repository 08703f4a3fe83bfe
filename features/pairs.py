"""Pair builders: planned rows to triples (c_img, c_instruct, x_img), rendered, encoded and written by shard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.encode import PairEncoder
from features.instructions import phrase
from features.plan import IMAGE_EDIT, TEXT_TO_VIDEO, PlannedRow
from features.setting import ComposeSetting
from features.tasks import add, global_look, identity, remove, replace
from features.tasks.draft import Draft, Materials, draw_scene
from models.text import with_frame_rate
from stores.clip_writer import encode_picture
from stores.feature_store import FeatureStore
from stores.schema import CONSTANTS, EDIT_PAIRS, content_id

Drawer = Callable[[np.random.Generator, Materials, int], Draft]
DRAWERS: dict[str, Drawer] = {
    "add": add.draw,
    "remove": remove.draw,
    "replace": replace.draw,
    "global": global_look.draw,
    "identity": identity.draw,
}
CHANGED = 8  # levels of 255: what counts as edited in the mask


@dataclass(frozen=True)
class PairSetting:
    """Everything the builders share."""

    stage: str
    compose: ComposeSetting
    encoder: PairEncoder

    def row_id(self, row: PlannedRow) -> str:
        """Known before the row is made, so that a rerun makes only what is missing."""
        who = (self.encoder.autoencoder, self.encoder.text_encoder, self.compose.code, self.compose.values())
        return content_id(self.stage, self.compose.seed, row.number, row.group, row.split, row.task, *who)


@dataclass(frozen=True)
class Triple:
    """One rendered example; `source` is None where the source is the black video."""

    task: str
    instruction: str
    source: np.ndarray | None
    target: np.ndarray
    source_caption: str
    target_caption: str
    clip_id: str
    scene: str


def build_shard(rows: Sequence[PlannedRow], setting: PairSetting, store: FeatureStore) -> int:
    """Make and write the rows of a shard that the store lacks; how many those were."""
    have = store.ids(EDIT_PAIRS)
    missing = [row for row in rows if setting.row_id(row) not in have]
    if not missing:
        return 0
    triples = [make_triple(row, setting) for row in missing]
    targets = setting.encoder.latents([triple.target for triple in triples])
    edited = [triple.source for triple in triples if triple.source is not None]
    sources = iter(setting.encoder.latents(edited))
    texts = setting.encoder.texts([_prompt(triple, setting.encoder) for triple in triples])
    records = [
        _record(row, triple, setting)
        | {
            "source_latents": None if triple.source is None else next(sources),
            "target_latents": target,
            "text_states": text,
        }
        for row, triple, target, text in zip(missing, triples, targets, texts, strict=True)
    ]
    return store.upsert(EDIT_PAIRS, records)


def make_triple(row: PlannedRow, setting: PairSetting) -> Triple:
    """Render one planned row: an image edit, or a captioned picture or clip with the black video as its source.

    Validation rows use test scenes and held-out wordings.
    """
    compose = setting.compose
    rng = row.generator(compose.seed)
    materials = compose.materials(rng, held_out=row.split != "train", moving=row.group == TEXT_TO_VIDEO)
    background = materials.background
    if row.group == IMAGE_EDIT:
        draft = DRAWERS[row.task](rng, materials, 1)
        choice = draft.choices[0]
        return Triple(
            row.task, choice.instruction, compose.draw(draft.source), compose.draw(choice.target),
            draft.source.caption, choice.target.caption, background.clip_id, background.scene,
        )  # fmt: skip
    # Half of them plain real material, half with objects, so that the base learns the nouns.
    scene = draw_scene(rng, materials, int(rng.integers(1, 3)) if rng.random() < 0.5 else 0)
    # The caption is rephrased as an instruction (Movie Gen Edit, section 5.1.2).
    told = phrase("text_to_video", rng, materials.held_out, caption=scene.caption)
    return Triple(row.task, told, None, compose.draw(scene), "", scene.caption, background.clip_id, background.scene)


def build_constants(groups: Sequence[str], setting: PairSetting, store: FeatureStore) -> list[str]:
    """Write what is stored once and not per row: the encoded black video of each geometry, and the empty text."""
    geometry, encoder = setting.compose.params.geometry, setting.encoder
    rows = [_constant(encoder, "null_text", [], None, encoder.texts([""])[0])]
    for frames in sorted({geometry.clip_frames if group == TEXT_TO_VIDEO else 1 for group in groups}):
        black = np.zeros((frames, geometry.resolution, geometry.resolution, 3), dtype=np.uint8)
        shape = encoder.latent_shape(frames, geometry.resolution)
        rows.append(_constant(encoder, "black", shape, encoder.latents([black])[0], []))
    store.upsert(CONSTANTS, rows)
    return [row["id"] for row in rows]


def _constant(
    encoder: PairEncoder, kind: str, shape: list[int], latents: bytes | None, text: list[bytes]
) -> dict[str, Any]:
    return {
        "id": content_id(kind, *shape, encoder.autoencoder, encoder.text_encoder),
        "kind": kind,
        "latent_shape": shape,
        "latents": latents,
        "text_states": text,
        "autoencoder": encoder.autoencoder,
        "text_encoder": encoder.text_encoder,
    }


def _prompt(triple: Triple, encoder: PairEncoder) -> str:
    return with_frame_rate(triple.instruction, len(triple.target), encoder.frame_rate_prefix)


def _record(row: PlannedRow, triple: Triple, setting: PairSetting) -> dict[str, Any]:
    frames, size = triple.target.shape[:2]
    mask = _edit_mask(triple)
    return {
        "id": setting.row_id(row),
        "stage": setting.stage,
        "group": row.group,
        "kind": "picture" if frames == 1 else "video",
        "task": triple.task,
        "instruction": triple.instruction,
        "source_caption": triple.source_caption,
        "target_caption": triple.target_caption,
        "scene": triple.scene,
        "split": row.split,
        "latent_shape": setting.encoder.latent_shape(frames, size),
        "edit_mask": None if mask is None else np.packbits(mask).tobytes(),
        "edit_share": None if mask is None else round(float(mask.mean()), 5),
        "autoencoder": setting.encoder.autoencoder,
        "text_encoder": setting.encoder.text_encoder,
        "maker": "composer",
        "clip_ids": [triple.clip_id],
        "preview": _preview(triple),
    }


def _edit_mask(triple: Triple) -> np.ndarray | None:
    if triple.source is None:
        return None
    difference = np.abs(triple.source.astype(np.int16) - triple.target).max(axis=-1)
    changed: np.ndarray = difference > CHANGED
    return changed


def _preview(triple: Triple) -> bytes:
    shown = [triple.target] if triple.source is None else [triple.source, triple.target]
    return encode_picture(np.concatenate([clip[0] for clip in shown], axis=1), quality=70)
