"""decode(encode(x)): stored latents, decoded again, against frames that are rendered anew; all that pairs must meet."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from features.check_tables import PairChecks
from features.encode import PairEncoder
from features.generated import Making
from features.pair_rows import Triple
from features.pairs import PairSetting, make_triple
from features.plan import GROUPS, PlannedRow
from models.cores import on_cores
from models.metrics import psnr
from stores.feature_store import FeatureStore
from stores.schema import EDIT_PAIRS

Triples = Mapping[str, Callable[[], Triple]]  # by the id of their row, made when they are asked for


def pair_checks(
    rows: Sequence[PlannedRow], setting: PairSetting, store: FeatureStore, taken: int = 0,
    generated: Sequence[Making] = (),
) -> PairChecks:  # fmt: skip
    """What pairs must agree with: those of a plan, generated ones, and so many that were taken over as they are.

    Some of those made here are decoded again.
    """
    geometry, encoder = setting.compose.params.geometry, setting.encoder
    lengths = {"picture": 1, "video": geometry.clip_frames}
    per_group = setting.compose.params.checks.decoded_rows
    return PairChecks(
        rows=len(rows) + taken + len(generated),
        shapes={kind: encoder.latent_shape(frames, geometry.resolution) for kind, frames in lengths.items()},
        text_widths=encoder.text_widths,
        decoded=decoded_psnr(sampled(rows, setting, per_group, generated), encoder, store),
        sides=setting.compose.sides(),
    )


def sampled(
    rows: Sequence[PlannedRow], setting: PairSetting, per_group: int, generated: Sequence[Making] = ()
) -> Triples:
    """Rows to be decoded: of every group those whose ids come first.

    Ids are hashes, so the sample is as good as drawn, and the same however often a run was interrupted.
    """
    known: dict[str, dict[str, Callable[[], Triple]]] = {group: {} for group in GROUPS}
    for row in rows:
        known[row.group][setting.row_id(row)] = partial(make_triple, row, setting.compose)
    for making in generated:
        known[making.group][making.id] = making.triple
    return {key: made[key] for made in known.values() for key in sorted(made)[:per_group]}


def decoded_psnr(triples: Triples, encoder: PairEncoder, store: FeatureStore) -> dict[str, float]:
    """By id, the PSNR in dB of a row's decoded source and target, whichever is lower; 0 where they cannot be decoded.

    Rows that the store lacks are left out.
    """
    listed = ", ".join(f"'{key}'" for key in triples)
    columns = ["id", "latent_shape", "source_latents", "target_latents"]
    stored = store.draft(EDIT_PAIRS, columns, where=f"id IN ({listed})").to_pylist() if triples else []
    return {row["id"]: _worse(row, triples[row["id"]](), encoder) for row in stored}


def _worse(stored: dict[str, Any], triple: Triple, encoder: PairEncoder) -> float:
    pairs = [(stored["target_latents"], triple.target)]
    if triple.source is not None:
        pairs.append((stored["source_latents"], triple.source))
    return round(min(on_cores(lambda pair: _psnr(*pair, encoder), pairs)), 2)


def _psnr(latents: bytes | None, truth: np.ndarray, encoder: PairEncoder) -> float:
    frames, size = truth.shape[:2]
    values = int(np.prod(encoder.latent_shape(frames, size)))
    if latents is None or len(latents) != 2 * values:
        return 0.0
    return psnr(truth, encoder.frames(latents, frames, size))
