"""Pair builders: planned rows to triples (c_img, c_instruct, x_img), rendered, encoded and written by shard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.encode import PairEncoder
from features.instructions import phrase
from features.pair_rows import COMPOSER, PairRow, Triple, encoded
from features.plan import IMAGE_EDIT, MOVING, TEXT_TO_VIDEO, PlannedRow
from features.setting import ComposeSetting
from features.tasks import (
    add,
    background,
    detect,
    global_look,
    identity,
    recolour,
    remove,
    replace,
    segment,
    style,
)
from features.tasks.draft import Draft, Materials, draw_scene
from stores.feature_store import FeatureStore
from stores.schema import CONSTANTS, EDIT_PAIRS, content_id

Drawer = Callable[[np.random.Generator, Materials, int], Draft]
DRAWERS: dict[str, Drawer] = {
    "add": add.draw,
    "remove": remove.draw,
    "replace": replace.draw,
    "recolour": recolour.draw,
    "background": background.draw,
    "global": global_look.draw,
    "style": style.draw,
    "segment": segment.draw,
    "detect": detect.draw,
    "identity": identity.draw,
}


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


def build_shard(rows: Sequence[PlannedRow], setting: PairSetting, store: FeatureStore) -> int:
    """Make and write the rows of a shard that the store lacks; how many those were."""
    have = store.ids(EDIT_PAIRS)
    missing = [row for row in rows if setting.row_id(row) not in have]
    if not missing:
        return 0
    made = [
        PairRow(setting.row_id(row), setting.stage, row.group, row.split, COMPOSER, make_triple(row, setting.compose))
        for row in missing
    ]
    return store.upsert(EDIT_PAIRS, encoded(made, setting.encoder))


def make_triple(row: PlannedRow, compose: ComposeSetting) -> Triple:
    """Render one planned row: an image edit, or a captioned picture or clip with the black video as its source.

    Validation rows use test scenes and held-out wordings.
    """
    rng = row.generator(compose.seed)
    materials = compose.materials(rng, held_out=row.split != "train", moving=row.group == TEXT_TO_VIDEO)
    ground = materials.background
    if row.group == IMAGE_EDIT:
        draft = DRAWERS[row.task](rng, materials, 1)
        choice = draft.choices[0]
        return Triple(
            row.task, choice.instruction, compose.draw(draft.source), compose.draw(choice.target),
            draft.source.caption, choice.target.caption, compose.clip_ids(choice.target), ground.scene,
        )  # fmt: skip
    # Half of them plain real material, half with objects, so that the base learns the nouns.
    scene = draw_scene(rng, materials, int(rng.integers(1, 3)) if rng.random() < 0.5 else 0)
    # The caption is rephrased as an instruction (Movie Gen Edit, section 5.1.2).
    told = phrase("text_to_video", rng, materials.held_out, caption=scene.caption)
    return Triple(row.task, told, None, compose.draw(scene), "", scene.caption, compose.clip_ids(scene), ground.scene)


def build_constants(groups: Sequence[str], setting: PairSetting, store: FeatureStore) -> list[str]:
    """Write what is stored once and not per row: the encoded black video of each geometry, and the empty text."""
    geometry, encoder = setting.compose.params.geometry, setting.encoder
    rows = [_constant(encoder, "null_text", [], None, encoder.texts([""])[0])]
    for frames in sorted({geometry.clip_frames if group in MOVING else 1 for group in groups}):
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
