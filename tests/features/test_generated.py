"""Pairs that no composer made: made once, under ids known before, and what cannot be made is set aside once."""

from pathlib import Path

import numpy as np
import pytest

from features.animated import plan_frames
from features.fidelity import decoded_psnr, pair_checks, sampled
from features.generated import build_makings, set_aside
from features.maskers.protocol import MaskRejected, MaskTrack
from features.params import SegmentationParams
from features.plan import SEGMENTATION, PlannedRow
from features.segmentation import SegmentSetting, marked_makings, plan_marked
from stores.feature_store import FeatureStore
from stores.schema import EDIT_PAIRS, QUARANTINE
from tests.features.conftest import Made
from tests.world import SIDE


class Picky:
    """Marks the middle of a clip, but refuses every other one; counts how often it was asked."""

    revision = "picky"

    def __init__(self) -> None:
        self.asked = 0

    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        self.asked += 1
        if int(frames.sum()) % 2:
            return MaskRejected(thing, "confidence below", 0.25)
        alpha = np.zeros(frames.shape[:3], np.uint8)
        alpha[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 255
        return MaskTrack(thing, alpha, 1.0)


def segment_setting(made: Made, masker: Picky) -> SegmentSetting:
    return SegmentSetting("two", "code", made.setting.compose, masker, composed_share=0.0)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path, "pairs-two")


def test_plans_have_validation_rows_on_top_and_tasks_by_weight(made: Made) -> None:
    animated = made.params.features.multi_frame.animated.model_copy(update={"requests": 40, "tasks": {"a": 3, "b": 1}})
    rows = plan_frames(animated, 0.1)
    train = [row for row in rows if row.split == "train"]
    assert len(train) == 40 and len(rows) == 44
    assert sum(row.task == "a" for row in train) == 30
    marked = made.params.features.multi_frame.segmentation
    assert {row.task for row in plan_marked(marked, 0.1)} == {"segment"}
    assert plan_marked(SegmentationParams.model_validate(marked.model_dump() | {"clips": 0}), 0.1) == []


def test_rows_are_made_once_and_refusals_are_remembered(made: Made, store: FeatureStore) -> None:
    masker = Picky()
    rows = [PlannedRow(number, SEGMENTATION, "train", "segment") for number in range(8)]
    makings = marked_makings(rows, segment_setting(made, masker))
    build_makings(makings[:3], made.setting.encoder, store)
    build_makings(makings, made.setting.encoder, store)
    assert masker.asked == len(makings)
    built, refused = store.ids(EDIT_PAIRS), store.draft(QUARANTINE).to_pylist()
    assert built and refused and len(built) + len(refused) == len(makings)
    assert built | {row["row"] for row in refused} == {making.id for making in makings}
    for row in refused:
        assert row["origin"] == SEGMENTATION and row["reason"] == "main object: confidence below"
        assert row["value"] == "0.25" and row["table"] == EDIT_PAIRS.name
    build_makings(makings, made.setting.encoder, store)
    assert masker.asked == len(makings) and store.ids(EDIT_PAIRS) == built


def test_a_row_that_the_audit_set_aside_is_made_anew(made: Made, store: FeatureStore) -> None:
    rows = [PlannedRow(number, SEGMENTATION, "train", "segment") for number in range(8)]
    makings = marked_makings(rows, segment_setting(made, Picky()))
    build_makings(makings, made.setting.encoder, store)
    whole = {row["id"]: row["sha256"] for row in store.draft(EDIT_PAIRS).to_pylist()}
    (spoilt, *others) = sorted(whole)
    store.retain(EDIT_PAIRS, others)
    told = {"id": "x", "origin": "checks", "table": EDIT_PAIRS.name, "row": spoilt, "reason": "finite", "value": ""}
    store.quarantine([told])
    build_makings(makings, made.setting.encoder, store)
    assert {row["id"]: row["sha256"] for row in store.draft(EDIT_PAIRS).to_pylist()} == whole


def test_generated_rows_are_decoded_again_like_composed_ones(made: Made, store: FeatureStore) -> None:
    rows = [PlannedRow(number, SEGMENTATION, "train", "segment") for number in range(6)]
    makings = marked_makings(rows, segment_setting(made, Picky()))
    build_makings(makings, made.setting.encoder, store)
    kept = [making for making in makings if making.id in store.ids(EDIT_PAIRS)]
    chosen = sampled([], made.setting, 2, kept)
    assert list(chosen) == sorted(making.id for making in kept)[:2]
    assert set(decoded_psnr(chosen, made.setting.encoder, store)) == set(chosen)
    assert pair_checks([], made.setting, store, generated=kept).rows == len(kept)
    refused = next(making for making in makings if making not in kept)
    with pytest.raises(ValueError, match=f"{refused.id} is set aside"):
        refused.triple()


def test_an_origin_looks_after_its_own_rows_of_the_quarantine(store: FeatureStore) -> None:
    def row(key: str, origin: str) -> dict[str, str]:
        return {"id": key, "origin": origin, "table": "edits", "row": f"row-{key}", "reason": "poor", "value": ""}

    set_aside(store, "animated", ())
    assert not store.has(QUARANTINE)
    store.quarantine([row("a", "animated"), row("b", "animated"), row("c", "checks")])
    set_aside(store, "animated", [row("d", "animated")], keep=["row-b"])
    assert store.ids(QUARANTINE) == {"b", "c", "d"}
