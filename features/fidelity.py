"""decode(encode(x)): stored latents, decoded again, against frames that are rendered anew; all that pairs must meet."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.check_tables import PairChecks
from features.encode import PairEncoder
from features.pairs import PairSetting, make_triple
from features.plan import GROUPS, PlannedRow
from models.metrics import psnr
from stores.feature_store import FeatureStore
from stores.schema import EDIT_PAIRS


def pair_checks(rows: Sequence[PlannedRow], setting: PairSetting, store: FeatureStore, imported: int = 0) -> PairChecks:
    """What the pairs of a plan must agree with, with so many imported ones beside; some of the plan's are decoded."""
    geometry, encoder = setting.compose.params.geometry, setting.encoder
    lengths = {"picture": 1, "video": geometry.clip_frames}
    return PairChecks(
        rows=len(rows) + imported,
        shapes={kind: encoder.latent_shape(frames, geometry.resolution) for kind, frames in lengths.items()},
        text_widths=encoder.text_widths,
        decoded=decoded_psnr(sampled(rows, setting, setting.compose.params.checks.decoded_rows), setting, store),
        sides=setting.compose.sides(),
    )


def sampled(rows: Sequence[PlannedRow], setting: PairSetting, per_group: int) -> list[PlannedRow]:
    """Rows to be decoded: of every group those whose ids come first.

    Ids are hashes, so the sample is as good as drawn, and the same however often a run was interrupted.
    """
    found = []
    for group in GROUPS:
        chosen = [row for row in rows if row.group == group]
        found += sorted(chosen, key=setting.row_id)[:per_group]
    return found


def decoded_psnr(rows: Sequence[PlannedRow], setting: PairSetting, store: FeatureStore) -> dict[str, float]:
    """By id, the PSNR in dB of a row's decoded source and target, whichever is lower; 0 where they cannot be decoded.

    Rows that the store lacks are left out.
    """
    planned = {setting.row_id(row): row for row in rows}
    listed = ", ".join(f"'{key}'" for key in planned)
    columns = ["id", "latent_shape", "source_latents", "target_latents"]
    stored = store.draft(EDIT_PAIRS, columns, where=f"id IN ({listed})").to_pylist() if planned else []
    return {row["id"]: _worse(row, planned[row["id"]], setting) for row in stored}


def _worse(stored: dict[str, Any], row: PlannedRow, setting: PairSetting) -> float:
    triple = make_triple(row, setting.compose)
    found = [_psnr(stored["target_latents"], triple.target, setting.encoder)]
    if triple.source is not None:
        found.append(_psnr(stored["source_latents"], triple.source, setting.encoder))
    return round(min(found), 2)


def _psnr(latents: bytes | None, truth: np.ndarray, encoder: PairEncoder) -> float:
    frames, size = truth.shape[:2]
    values = int(np.prod(encoder.latent_shape(frames, size)))
    if latents is None or len(latents) != 2 * values:
        return 0.0
    return psnr(truth, encoder.frames(latents, frames, size))
