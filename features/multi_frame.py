"""The pairs of stage two beside captioned clips: animated frames and marked clips, each under an id known before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from features.animated import AskedEdit, MotionSetting
from features.encode import PairEncoder
from features.maskers.protocol import Masker, MaskRejected
from features.pair_rows import PairRow, Triple, encoded
from features.params import AnimatedParams, SegmentationParams
from features.plan import ANIMATED, SEGMENTATION, PlannedRow, plan_group
from features.segmentation import TASK, marked_clip
from features.setting import ComposeSetting
from stores.feature_store import FeatureStore
from stores.schema import EDIT_PAIRS, QUARANTINE, content_id


@dataclass(frozen=True)
class Making:
    """A pair that can be made, again and again alike, whenever it is asked for; some turn out to be unusable."""

    id: str
    group: str
    make: Callable[[], PairRow | MaskRejected]

    def triple(self) -> Triple:
        """ValueError for one that is set aside."""
        made = self.make()
        if isinstance(made, MaskRejected):
            raise ValueError(f"pair {self.id} is set aside: {made.reason}")
        return made.triple


@dataclass(frozen=True)
class SegmentSetting:
    """What clips are marked with; `made_with` is a digest of code and encoders."""

    stage: str
    made_with: str
    compose: ComposeSetting
    masker: Masker
    composed_share: float

    def row_id(self, row: PlannedRow) -> str:
        who = (self.made_with, self.masker.revision, self.composed_share, self.compose.values())
        return content_id(SEGMENTATION, self.stage, self.compose.seed, row.number, row.split, *who)

    def row(self, row: PlannedRow) -> PairRow | MaskRejected:
        made = marked_clip(row, self.compose, self.masker, self.composed_share)
        if isinstance(made, MaskRejected):
            return made
        return PairRow(self.row_id(row), self.stage, SEGMENTATION, row.split, self.masker.revision, made)


def plan_requests(params: AnimatedParams, validation_share: float) -> list[PlannedRow]:
    """Which frames an editor is asked to edit; those of test scenes come on top, for validation."""
    return plan_group(ANIMATED, params.requests, validation_share, params.tasks)


def plan_marked(params: SegmentationParams, validation_share: float) -> list[PlannedRow]:
    """Which clips have a thing marked."""
    return plan_group(SEGMENTATION, params.clips, validation_share, {TASK: 1})


def animated_makings(edits: Iterable[AskedEdit], setting: MotionSetting, motions: int) -> list[Making]:
    """Every accepted edit under so many motions."""
    return [
        Making(setting.row_id(edit, number), ANIMATED, partial(setting.row, edit, number))
        for edit in edits
        for number in range(motions)
    ]


def marked_makings(rows: Iterable[PlannedRow], setting: SegmentSetting) -> list[Making]:
    """Every planned clip, marked if the masker finds its thing."""
    return [Making(setting.row_id(row), SEGMENTATION, partial(setting.row, row)) for row in rows]


def build_makings(makings: Sequence[Making], encoder: PairEncoder, store: FeatureStore) -> None:
    """Make, encode and write what the store lacks; what cannot be made is set aside with the reason."""
    known = store.ids(EDIT_PAIRS) | set(store.draft(QUARANTINE, ["row"])["row"].to_pylist())
    made = [(one, one.make()) for one in makings if one.id not in known]
    pairs = [row for _, row in made if isinstance(row, PairRow)]
    if pairs:
        store.upsert(EDIT_PAIRS, encoded(pairs, encoder))
    refused = [_aside(one, row) for one, row in made if isinstance(row, MaskRejected)]
    store.quarantine(refused)


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
