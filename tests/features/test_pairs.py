"""Plans and pairs: rows known beforehand, made once, alike wherever and whenever they are made."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from features.encode import PairEncoder
from features.pairs import PairSetting, build_constants, build_shard, make_triple
from features.params import PairsParams
from features.plan import PlannedRow, plan_pairs, shards
from models.build import AUTOENCODER, load_autoencoder
from models.weights import load_bundle
from stores.feature_store import FeatureStore
from stores.schema import CONSTANTS, EDIT_PAIRS
from tests.features.conftest import Made
from tests.world import FRAMES, ROOT, SIDE, pair_setting, text_encoder, tiny_autoencoder, tiny_params

WANTED = PairsParams(
    image_edit=10, text_to_image=7, text_to_video=3, validation_share=0.2, tasks={"add": 2, "remove": 1}, shard=4
)


def _counts(rows: list[PlannedRow]) -> Counter:
    return Counter((row.group, row.split) for row in rows)


def test_a_plan_has_the_counts_and_validation_on_top() -> None:
    rows = plan_pairs(WANTED)
    assert _counts(rows) == {
        ("image_edit", "train"): 10, ("image_edit", "validation"): 2, ("text_to_image", "train"): 7,
        ("text_to_image", "validation"): 1, ("text_to_video", "train"): 3, ("text_to_video", "validation"): 1,
    }  # fmt: skip
    assert len(set(rows)) == len(rows) == 24
    tasks = Counter(row.task for row in rows if row.group == "image_edit" and row.split == "train")
    assert tasks == {"add": 7, "remove": 3}
    assert {row.task for row in rows if row.group != "image_edit"} == {"text_to_video"}


def test_a_group_of_none_has_no_rows() -> None:
    rows = plan_pairs(WANTED.model_copy(update={"text_to_image": 0}))
    assert not [row for row in rows if row.group == "text_to_image"]


def test_shards_are_homogeneous_and_hold_every_row_once() -> None:
    rows = plan_pairs(WANTED)
    cut = shards(rows, WANTED.shard)
    assert sorted(map(str, rows)) == sorted(str(row) for shard in cut for row in shard)
    assert all(1 <= len(shard) <= WANTED.shard for shard in cut)
    assert all(len({(row.group, row.split) for row in shard}) == 1 for shard in cut)


def test_more_rows_leave_the_others_as_they_were(made: Made) -> None:
    few = plan_pairs(WANTED)
    many = plan_pairs(WANTED.model_copy(update={"image_edit": 30, "text_to_image": 0, "text_to_video": 9}))
    assert {row for row in few if row.group != "text_to_image"} <= set(many)
    row, other = few[3], few[4]
    alone = make_triple(row, made.setting.compose)
    make_triple(other, made.setting.compose)
    again = make_triple(row, made.setting.compose)
    assert alone.instruction == again.instruction and np.array_equal(alone.target, again.target)


def test_train_and_validation_rows_of_one_number_differ(made: Made) -> None:
    row = PlannedRow(0, "image_edit", "train", "add")
    one, other = (make_triple(replace(row, split=split), made.setting.compose) for split in ("train", "validation"))
    assert one.scene != other.scene and one.instruction != other.instruction


def test_the_table_holds_what_was_planned(made: Made) -> None:
    plan = plan_pairs(made.params.features.pairs["one"])
    rows = made.pair_rows
    assert {row["id"] for row in rows} == {made.setting.row_id(row) for row in plan}
    assert Counter((row["group"], row["split"]) for row in rows) == _counts(plan)


def test_the_mask_is_where_the_frames_differ(made: Made) -> None:
    stored = {row["id"]: row for row in made.pair_rows}
    for planned in plan_pairs(made.params.features.pairs["one"]):
        row, triple = stored[made.setting.row_id(planned)], make_triple(planned, made.setting.compose)
        assert row["instruction"] == triple.instruction and row["task"] == triple.task
        if triple.source is None:
            assert row["edit_mask"] is None and row["source_latents"] is None and row["task"] == "text_to_video"
            continue
        differs = np.abs(triple.source.astype(int) - triple.target).max(axis=-1) > 8
        mask = np.unpackbits(np.frombuffer(row["edit_mask"], np.uint8))[: differs.size].astype(bool)
        assert np.array_equal(mask.reshape(differs.shape), differs)
        assert row["edit_share"] == pytest.approx(differs.mean(), abs=1e-5) and differs.any()


def test_latents_are_of_the_rows_own_frames(made: Made) -> None:
    row, encoder = plan_pairs(made.params.features.pairs["one"])[0], made.setting.encoder
    (stored,) = [each for each in made.pair_rows if each["id"] == made.setting.row_id(row)]
    triple = make_triple(row, made.setting.compose)
    assert triple.source is not None
    assert stored["target_latents"] == encoder.latents([triple.target])[0]
    assert stored["source_latents"] == encoder.latents([triple.source])[0]
    for each in made.pair_rows:
        frames = 2 if each["kind"] == "video" else 1
        assert each["latent_shape"] == [4, frames, 8, 8]
        assert len(each["target_latents"]) == 2 * 4 * frames * 8 * 8


def test_text_states_are_trimmed(made: Made) -> None:
    width = text_encoder().widths[0]
    for row in made.pair_rows:
        together = text_encoder().encode([row["instruction"], "a much longer instruction " * 3])
        (part,) = row["text_states"]
        assert len(part) == 2 * width * int(together.parts[0].mask[0].sum())


def test_a_second_run_adds_nothing_and_a_lost_row_comes_back_the_same(made: Made, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "pairs")
    shard = plan_pairs(made.params.features.pairs["one"])[:6]
    assert build_shard(shard, made.setting, store) == 6
    first = store.publish(EDIT_PAIRS)
    assert build_shard(shard, made.setting, store) == 0
    kept = [made.setting.row_id(row) for row in shard if row is not shard[2]]
    store.retain(EDIT_PAIRS, kept)
    assert store.publish(EDIT_PAIRS).digest != first.digest
    assert build_shard(shard, made.setting, store) == 1
    assert store.publish(EDIT_PAIRS) == first


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_clips_latents_do_not_depend_on_what_is_encoded_with_it(precision) -> None:
    # The shipped weights: small random ones hardly show the last bit.
    bundle = load_bundle(ROOT / "weights" / "autoencoder.safetensors", AUTOENCODER)
    encoder = PairEncoder(load_autoencoder(bundle), "x", text_encoder(), precision, tiny_params().inference.tiling)
    clips = list(np.random.default_rng(4).integers(0, 256, (16, 1, 128, 128, 3), dtype=np.uint8))
    assert encoder.latents(clips) == [encoder.latents([clip])[0] for clip in clips]


def test_other_code_seed_or_encoder_gives_other_rows(made: Made) -> None:
    row = PlannedRow(0, "image_edit", "train", "add")
    own = made.setting
    others = [
        replace(own, compose=replace(own.compose, code="other")),
        replace(own, compose=replace(own.compose, seed=own.compose.seed + 1)),
        replace(own, stage="two"),
        pair_setting(made.state, made.clips, made.params, digest="other"),
        pair_setting(made.state, made.clips, tiny_params("features.compose.small_share=0.05")),
    ]
    ids = {setting.row_id(row) for setting in (own, *others)}
    assert len(ids) == len(others) + 1
    assert replace(own).row_id(row) == own.row_id(row)


def test_thresholds_of_the_checks_are_no_part_of_a_row(made: Made) -> None:
    other = pair_setting(made.state, made.clips, tiny_params("features.checks.max_abs_latent=7"))
    row = PlannedRow(0, "image_edit", "train", "add")
    assert other.row_id(row) == made.setting.row_id(row)


def _black(setting: PairSetting, frames: int) -> torch.Tensor:
    video = -torch.ones(1, 3, frames, SIDE, SIDE)
    return tiny_autoencoder(tiny_params()).encode(video)[0]


def test_the_black_video_is_encoded_and_stored_once_a_geometry(made: Made) -> None:
    black = [row for row in made.constants if row["kind"] == "black"]
    assert sorted(row["latent_shape"][1] for row in black) == [1, 2]
    for row in black:
        latents = np.frombuffer(row["latents"], "<f2").reshape(row["latent_shape"]).astype(np.float32)
        truth = _black(made.setting, FRAMES if row["latent_shape"][1] == 2 else 1)
        assert np.abs(latents).max() > 0.01
        np.testing.assert_allclose(latents, truth, atol=2e-3)


def test_the_empty_text_is_one_row_of_two_tokens(made: Made) -> None:
    (empty,) = [row for row in made.constants if row["kind"] == "null_text"]
    assert len(empty["text_states"][0]) == 2 * 2 * text_encoder().widths[0]
    assert empty["latents"] is None


def test_pictures_alone_need_one_black_row(made: Made, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "pairs")
    ids = build_constants(["image_edit", "text_to_image"], made.setting, store)
    assert ids == build_constants(["image_edit", "text_to_image"], made.setting, store)
    assert store.ids(CONSTANTS) == set(ids) and len(ids) == 2
