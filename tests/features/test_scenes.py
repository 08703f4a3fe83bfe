"""Composed scenes: known beforehand, made once, real media of their split."""

from pathlib import Path

import numpy as np

from features.scenes import build_scenes, plan_scenes, scene_id
from stores.feature_store import FeatureStore
from stores.media_rows import COLUMNS, WorkingSize, decode_row
from stores.schema import CLIPS
from tests.features.conftest import Made
from tests.world import FRAMES, SIDE, compose_setting, composed, limits

HELD_OUT = {"city_00", "renewable-windmill15"}


def test_held_out_scenes_come_on_top_of_the_counts(made: Made) -> None:
    plan = plan_scenes(made.params.features)
    counts = [(row.split, row.moving) for row in plan]
    assert [counts.count(kind) for kind in (("train", False), ("test", False), ("train", True), ("test", True))] == [
        4, 2, 2, 1,
    ]  # fmt: skip
    assert len(set(plan)) == len(plan)


def test_scenes_are_media_that_decode_to_the_geometry_and_stay_on_their_side_of_the_split(made: Made) -> None:
    setting = made.setting.compose
    receipt = composed(made.state, setting)
    rows = FeatureStore(made.state.store, "scenes").open(receipt.table(CLIPS.name)).rows().to_pylist()
    assert len(rows) == 9
    for row in rows:
        frames = decode_row({key: row[key] for key in COLUMNS}, WorkingSize(SIDE, 8.0, FRAMES), limits(made.params))
        assert frames.shape == (row["frames"], SIDE, SIDE, 3) and row["frames"] in (1, FRAMES)
        assert (row["scene"] in HELD_OUT) == (row["split"] == "test")
        assert row["caption"] and frames.std() > 5


def test_a_rerun_makes_nothing_and_what_is_missing_comes_back_the_same(made: Made, tmp_path: Path) -> None:
    setting, plan = made.setting.compose, plan_scenes(made.params.features)
    whole, parts = FeatureStore(tmp_path / "a", "scenes"), FeatureStore(tmp_path / "b", "scenes")
    assert build_scenes(plan, setting, whole) == len(plan)
    assert build_scenes(plan, setting, whole) == 0
    assert build_scenes(plan[5:], setting, parts) == len(plan) - 5
    assert build_scenes(plan, setting, parts) == 5
    assert whole.publish(CLIPS) == parts.publish(CLIPS)


def test_other_code_is_another_scene(made: Made) -> None:
    settings = [compose_setting(made.state, made.clips, made.params, code) for code in ("one", "two")]
    plan = plan_scenes(made.params.features)
    ids = [{scene_id(row, setting) for row in plan} for setting in settings]
    assert len(ids[0]) == len(plan) and not ids[0] & ids[1]


def test_objects_of_a_moving_scene_move(made: Made) -> None:
    receipt = composed(made.state, made.setting.compose)
    table = FeatureStore(made.state.store, "scenes").open(receipt.table(CLIPS.name))
    moving = [row for row in table.rows().to_pylist() if row["kind"] == "video"]
    assert moving and np.mean([row["motion"] for row in moving]) > 0
