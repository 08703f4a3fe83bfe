"""Which rows a step trains on: exact shares, every row once an epoch, and the same after any restart."""

from collections import Counter

import numpy as np
import pytest
import torch

from models.text import pad_texts
from stores.feature_store import FeatureStore
from stores.media_rows import WorkingSize
from tests.training import runs
from tests.world import World, limits, text_encoder
from training.autoencoder_module import CropLoader, random_crop
from training.data import PairBatch, PairTable, StepLoader, ValidationLoader
from training.fit_autoencoder import measured_side
from training.fit_stage import open_pairs
from training.material import load_media
from training.mixing import Mix, ShuffledRows
from training.params import GroupParams

WEIGHTS = ({"a": 5, "b": 1}, {"a": 1, "b": 3, "c": 1}, {"a": 2, "b": 2}, {"a": 7}, {"a": 3, "b": 5, "c": 11})
GROUPS = {"image_edit": GroupParams(weight=5, batch=6), "text_to_video": GroupParams(weight=1, batch=2)}


@pytest.fixture(scope="module")
def table(world: World) -> PairTable:
    store, pairs = FeatureStore(world.state.store, "pairs-one"), world.pairs
    opened = (store.open(pairs.table(name)) for name in ("edit_pairs", "constants"))
    return PairTable(*opened, text_encoder().widths, world.state.packed)


def _same(one: PairBatch, other: PairBatch) -> bool:
    tensors = [(batch.source, batch.target, batch.task, batch.text.parts[0].states) for batch in (one, other)]
    alike = (one.step, one.group) == (other.step, other.group)
    return alike and all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_round_has_the_exact_shares(weights: dict[str, int]) -> None:
    mix, total = Mix(weights), sum(weights.values())
    for start in (0, total, 41 * total):
        assert Counter(mix.at(start + i).group for i in range(total)) == weights


@pytest.mark.parametrize("weights", WEIGHTS)
def test_groups_are_spread_evenly(weights: dict[str, int]) -> None:
    mix, total = Mix(weights), sum(weights.values())
    taken = Counter[str]()
    for step in range(2 * total):
        taken[mix.at(step).group] += 1
        assert all(abs(taken[name] - weights[name] * (step + 1) / total) < 1 for name in weights)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_draw_is_a_pure_function_of_its_step(weights: dict[str, int]) -> None:
    mix, earlier = Mix(weights), Counter[str]()
    for step in range(100):
        draw = mix.at(step)
        assert draw == Mix(weights).at(step) and draw.earlier == earlier[draw.group]
        earlier[draw.group] += 1


@pytest.mark.parametrize("size", [1, 3, 4, 10, 25])
def test_every_row_is_seen_once_an_epoch(size: int) -> None:
    ids = [f"row{i}" for i in range(10)]
    rows = ShuffledRows(ids, 1, "a")
    seen = [key for number in range(60) for key in rows.batch(number, size)]
    for start in range(0, len(seen) // 10 * 10, 10):
        assert sorted(seen[start : start + 10]) == ids
    assert seen[:10] != seen[10:20]


def test_batches_do_not_depend_on_what_was_read_before() -> None:
    ids = [f"row{i}" for i in range(10)]
    rows = ShuffledRows(ids, 1, "a")
    forward = [rows.batch(number, 4) for number in range(20)]
    assert [rows.batch(number, 4) for number in reversed(range(20))] == forward[::-1]
    # Batch two spans two epochs.
    assert len(set(forward[2])) >= 2 and set(forward[0] + forward[1] + forward[2][:2]) == set(ids)
    assert ShuffledRows(ids, 2, "a").batch(0, 10) != rows.batch(0, 10) != ShuffledRows(ids, 1, "b").batch(0, 10)


def test_a_group_without_rows_is_named(table: PairTable) -> None:
    with pytest.raises(ValueError, match="group 'nothing' has no rows"):
        ShuffledRows([], 0, "nothing")
    with pytest.raises(ValueError, match="'text_to_image' has no rows"):
        StepLoader(table, {"text_to_image": GroupParams(weight=1, batch=2)}, 3, 0)


@pytest.mark.parametrize("stop", [0, 3, 7, 9])
def test_a_restored_loader_gives_the_batches_that_were_left(table: PairTable, stop: int) -> None:
    whole = list(StepLoader(table, GROUPS, 9, seed=4))
    loader = StepLoader(table, GROUPS, 9, seed=4)
    stream = iter(loader)
    for _ in range(stop):
        next(stream)
    fresh = StepLoader(table, GROUPS, 9, seed=4)
    fresh.load_state_dict(loader.state_dict())
    rest = list(fresh)
    assert len(rest) == 9 - stop and len(whole) == len(loader) == 9
    assert all(_same(one, other) for one, other in zip(rest, whole[stop:], strict=True))


def test_ranks_share_one_global_batch(table: PairTable) -> None:
    alone = StepLoader(table, GROUPS, 6, seed=4)
    ranks = [StepLoader(table, GROUPS, 6, seed=4, rank=rank, world=2) for rank in range(2)]
    for step in range(6):
        together, parts = alone.at(step), [rank.at(step) for rank in ranks]
        assert {part.group for part in parts} == {together.group}
        assert {len(part) for part in parts} == {len(together) // 2}
        for rank, part in enumerate(parts):
            assert torch.equal(part.target, together.target[rank::2])


def test_a_batch_that_ranks_cannot_share_evenly_is_refused(table: PairTable) -> None:
    with pytest.raises(ValueError, match=r"batch 2 of group 'text_to_video' is not a multiple of 3 devices"):
        StepLoader(table, GROUPS, 6, seed=4, rank=0, world=3)


def test_rows_come_in_the_order_they_are_asked_for(table: PairTable) -> None:
    ids = table.ids("image_edit", "train")
    asked = [ids[5], ids[0], ids[5], ids[3]]
    batch = table.batch(asked, 0, "image_edit")
    for place, key in enumerate(asked):
        alone = table.batch([key], 0, "image_edit")
        assert torch.equal(batch.target[place], alone.target[0]) and torch.equal(batch.source[place], alone.source[0])
        trimmed, single = batch.text.trimmed(place), alone.text.trimmed(0)
        assert all(torch.equal(one, other) for one, other in zip(trimmed, single, strict=True))


def test_a_captioned_clip_has_the_black_video_as_its_source(table: PairTable) -> None:
    batch = table.batch(table.ids("text_to_video", "train")[:2], 0, "text_to_video")
    black = table.nulls.of(batch.target.shape[1:]).black
    assert batch.target.shape[2] == 2 and black.abs().max() > 0.01
    assert all(torch.equal(source, black[0]) for source in batch.source)
    assert torch.equal(
        table.nulls.text.parts[0].mask, pad_texts([text_encoder().encode([""]).trimmed(0)]).parts[0].mask
    )
    with pytest.raises(KeyError):
        table.nulls.of((4, 7, 8, 8))


def test_validation_rows_are_fixed_and_never_trained_on(table: PairTable) -> None:
    one, other = (list(ValidationLoader(table, GROUPS, 2)) for _ in range(2))
    assert len(one) == len(ValidationLoader(table, GROUPS, 2)) == 2
    assert all(_same(a, b) for a, b in zip(one, other, strict=True))
    for group in GROUPS:
        assert not set(table.ids(group, "train")) & set(table.ids(group, "validation"))


def test_instructions_are_of_edits_alone(table: PairTable) -> None:
    text, tasks = table.instructions("train")
    assert len(text) == len(tasks) == len(table.ids("image_edit", "train"))
    assert set(tasks.tolist()) == {3, 4, 5, 8}


def test_pairs_of_another_text_encoder_are_refused(world: World) -> None:
    told = runs.spec(world)
    config = told.models.base_config(text_encoder())
    other = config.model_copy(update={"text_revision": "another"})
    assert open_pairs(told, world.state, config).groups() == ["image_edit", "text_to_video"]
    with pytest.raises(ValueError, match=r"encoded by text encoder minilm.*reads another"):
        open_pairs(told, world.state, other)


def test_crops_are_a_pure_function_of_seed_and_step(world: World) -> None:
    params = runs.spec(world).training.autoencoder
    clips = FeatureStore(world.state.store, "clips").open(world.clips.table("clips"))
    media = load_media(
        [clips],
        "train",
        params.picture_side,
        WorkingSize(params.clip_side, 8.0, 4),
        measured_side(params),
        limits(world.params),
    )
    loader, again = CropLoader(media, params, 1), CropLoader(media, params, 1)
    again.load_state_dict({"position": 4})
    whole, rest = list(loader), list(again)
    assert len(whole) == 6 and [batch.step for batch in rest] == [4, 5]
    assert all(torch.equal(one.video, other.video) for one, other in zip(rest, whole[4:], strict=True))
    assert {batch.group: tuple(batch.video.shape) for batch in whole} == {
        "pictures": (2, 3, 1, 32, 32),
        "clips": (1, 3, 4, 32, 32),
    }
    assert not torch.equal(CropLoader(media, params, 2).at(0).video, whole[0].video)
    assert random_crop(media.clips[0], 4, 40, 1.0, np.random.default_rng(0)).shape == (4, 40, 40, 3)


def test_a_crop_shows_more_of_a_picture_the_smaller_its_scale_and_never_less_than_its_size() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, :, None], (1, 64, 64, 3))
    shown = [np.ptp(random_crop(ramp, 1, 32, 0.5, np.random.default_rng(seed))) for seed in range(40)]
    assert min(shown) >= 30 and max(shown) > 48
    unscaled = random_crop(ramp, 1, 32, 1.0, np.random.default_rng(0))
    assert np.ptp(unscaled) == 31
    assert random_crop(ramp[:, :40, :40], 1, 32, 0.1, np.random.default_rng(0)).shape == (1, 32, 32, 3)
