"""decode(encode(x)) of stored rows: near their frames, and far from them where latents are another row's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.encode import PairEncoder
from features.fidelity import decoded_psnr, pair_checks, sampled
from features.pairs import PairSetting, build_shard
from features.plan import PlannedRow, plan_pairs
from models.build import AUTOENCODER, load_autoencoder
from models.metrics import psnr
from models.weights import load_bundle
from stores.feature_store import FeatureStore
from stores.schema import EDIT_PAIRS
from tests.features.conftest import Made
from tests.world import FRAMES, ROOT, SIDE, text_encoder

BOUND = 15.0  # dB, as in params.yaml
ROWS = [PlannedRow(number, "image_edit", "train", "add") for number in range(4)] + [
    PlannedRow(number, "text_to_video", "train", "text_to_video") for number in range(2)
]


@pytest.fixture(scope="module")
def setting(made: Made) -> PairSetting:
    """The builders with the shipped autoencoder: a random one decodes to nothing."""
    bundle = load_bundle(ROOT / "weights" / "autoencoder.safetensors", AUTOENCODER)
    tiling = made.params.inference.tiling
    return replace(
        made.setting, encoder=PairEncoder(load_autoencoder(bundle), "shipped", text_encoder(), "fp32", tiling)
    )


@pytest.fixture
def store(setting: PairSetting, tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path, "pairs-one")
    build_shard(ROWS[:4], setting, store)
    build_shard(ROWS[4:], setting, store)
    return store


def test_latents_decode_to_a_likeness_of_what_was_encoded(setting: PairSetting) -> None:
    steps = np.linspace(0, 255, SIDE)
    smooth = np.stack([np.broadcast_to(steps[:, None], (SIDE, SIDE))] * 3, axis=-1).astype(np.uint8)
    for frames in (1, FRAMES):
        clip = smooth[None].repeat(frames, axis=0)
        decoded = setting.encoder.frames(setting.encoder.latents([clip])[0], frames, SIDE)
        assert decoded.shape == clip.shape and decoded.dtype == np.uint8 and psnr(clip, decoded) > 25


def test_stored_rows_are_near_their_frames_and_alike_however_often_they_are_asked(
    setting: PairSetting, store: FeatureStore
) -> None:
    found = decoded_psnr(sampled(ROWS, setting, len(ROWS)), setting.encoder, store)
    assert set(found) == {setting.row_id(row) for row in ROWS} and min(found.values()) > BOUND
    assert decoded_psnr(sampled(ROWS[::-1], setting, len(ROWS)), setting.encoder, store) == found


def test_latents_of_another_row_are_far_and_damaged_ones_are_nothing(setting: PairSetting, store: FeatureStore) -> None:
    rows = {row["id"]: row for row in store.draft(EDIT_PAIRS).to_pylist()}
    one, other, third = (rows[setting.row_id(row)] for row in ROWS[:3])
    store.upsert(
        EDIT_PAIRS,
        [
            one | {"target_latents": other["target_latents"]},
            other | {"source_latents": one["source_latents"]},
            third | {"target_latents": third["target_latents"][:-2]},
        ],
        replace=True,
    )
    found = decoded_psnr(sampled(ROWS, setting, len(ROWS)), setting.encoder, store)
    assert found[one["id"]] < BOUND and found[other["id"]] < BOUND and found[third["id"]] == 0
    assert sum(value > BOUND for value in found.values()) == len(ROWS) - 3


def test_the_sample_is_drawn_from_every_group_whatever_order_rows_have(made: Made) -> None:
    rows = plan_pairs(made.params.features.pairs["one"])
    few = sampled(rows, made.setting, 2)
    groups = {made.setting.row_id(row): row.group for row in rows}
    assert [groups[key] for key in few] == ["image_edit", "image_edit", "text_to_video", "text_to_video"]
    assert list(few) == list(sampled(rows[::-1], made.setting, 2)) and not sampled(rows, made.setting, 0)
    assert set(sampled(rows, made.setting, 1)) <= set(few)


def test_rows_that_are_not_there_are_left_out(setting: PairSetting, tmp_path: Path) -> None:
    every = sampled(ROWS, setting, len(ROWS))
    assert decoded_psnr(every, setting.encoder, FeatureStore(tmp_path, "none")) == {}
    assert pair_checks([], setting, FeatureStore(tmp_path, "none")).decoded == {}
