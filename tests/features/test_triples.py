"""A user's own triples: every row becomes a pair, or a quarantined row with its reason; a pair like any other."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.checks import check
from features.fidelity import pair_checks
from features.imports import Imports, import_table, require_both_sides, settled
from features.listings import RawDataError
from features.pairs import make_triple
from features.plan import plan_pairs
from features.triple_intake import ImportSetting
from stores.clip_files import read_clip
from stores.clip_writer import encode_clip, encode_picture
from stores.feature_store import FeatureStore, PublishedTable
from stores.schema import CLIPS, EDIT_PAIRS, TRIPLES
from tests.features.conftest import Made
from tests.features.corpus import clip, image, saved
from tests.features.triples_corpus import Cells, edited, good_rows, row, write_corpus, write_lines
from tests.media import WIDE
from tests.world import SIDE, limits, tiny_params

LOOSE = ["features.quality.min_side=1", "features.quality.min_sharpness=0", "features.quality.min_contrast=0"]


def _setting(made: Made, *overrides: str, code: str = "code") -> ImportSetting:
    params = tiny_params(*overrides)
    return ImportSetting("one", code, params.features, limits(params), made.setting.encoder)


def _clips(made: Made) -> PublishedTable:
    return FeatureStore(made.state.store, "clips").open(made.clips.table(CLIPS.name))


def _import(
    made: Made, store: FeatureStore, *paths: Path, overrides: Sequence[str] = (), code: str = "code"
) -> Imports:
    """As the stage does it, but for the composed rows."""
    setting = _setting(made, *overrides, code=code)
    read = [import_table(path, f"own/{path.name}", setting, store) for path in paths]
    found = settled(read, _clips(made), setting.params.quality)
    for spec in (EDIT_PAIRS, TRIPLES):
        store.retain(spec, found.ids)
    return found


def _rows(store: FeatureStore) -> dict[str, dict[str, Any]]:
    return {cells["id"]: cells for cells in store.draft(EDIT_PAIRS).to_pylist()}


def _reasons(found: Imports) -> dict[str, list[str]]:
    return {refused.address: [each.reason for each in refused.rejections] for refused in found.refused}


def test_nothing_of_the_corpus_is_lost_and_each_fault_has_its_reason(made: Made, tmp_path: Path) -> None:
    offered = write_corpus(tmp_path / "own")
    store = FeatureStore(tmp_path / "store", "pairs-one")
    found = _import(made, store, tmp_path / "own" / "edits.jsonl")
    reasons = _reasons(found)
    assert len(found.accepted) + len(found.refused) == len(offered)
    for number, one in enumerate(offered, start=1):
        told = reasons.get(f"own/edits.jsonl:{number}", [])
        assert bool(told) == (one.reason is not None), (number, told)
        assert one.reason is None or any(reason.startswith(one.reason) for reason in told), (number, one.line, told)
    assert set(_rows(store)) == set(found.ids) == store.ids(TRIPLES)
    quarantined = found.quarantined()
    assert len({cells["id"] for cells in quarantined}) == len(quarantined) >= len(found.refused)
    assert {cells["row"] for cells in quarantined} == set(reasons)


def test_what_is_imported_passes_the_checks_of_every_pair(made: Made, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", "pairs-one")
    good = good_rows(tmp_path / "own")
    found = _import(made, store, write_lines(tmp_path / "own" / "edits.jsonl", good))
    store.upsert(EDIT_PAIRS, made.pair_rows)
    plan = plan_pairs(made.params.features.pairs["one"])
    audit = check(pair_checks(plan, made.setting, store, len(good)), store, made.params.features.checks)
    assert not audit.failed and audit.rows == len(good) + len(made.pair_rows) and not found.refused


def test_a_row_says_what_the_table_said(made: Made, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", "pairs-one")
    _import(made, store, write_lines(tmp_path / "own" / "edits.jsonl", good_rows(tmp_path / "own")))
    rows = list(_rows(store).values())
    assert {cells["maker"] for cells in rows} == {"imported"} and {cells["group"] for cells in rows} == {"image_edit"}
    assert {cells["kind"] for cells in rows} == {"picture"}, "of two clips the middle frames"
    assert all(cells["latent_shape"] == [4, 1, 8, 8] for cells in rows)
    told = {cells["instruction"]: cells for cells in rows}
    kitchen, held_out, plain = (told[f"add block number {seed}"] for seed in (2, 3, 1))
    assert (kitchen["task"], kitchen["scene"], kitchen["split"]) == ("replace", "kitchen", "train")
    assert (held_out["task"], held_out["split"]) == ("add", "validation")
    assert plain["scene"] == told["put a yellow block there"]["scene"] != held_out["scene"], "edits of one source"
    assert (told["change nothing"]["task"], told["change nothing"]["edit_share"]) == ("identity", 0)
    assert told["add block number 4"]["target_caption"] == "a wall with a block"
    origins = {cells["id"]: cells for cells in store.draft(TRIPLES).to_pylist()}
    origin = origins[kitchen["id"]]
    assert (origin["source_uri"], origin["target_uri"]) == ("own/2_before.jpg", "own/2_after.jpg")
    assert (origin["licence"], origin["author"], len(origin["source_sha256"])) == ("CC0-1.0", "someone", 64)


def test_an_imported_composed_pair_is_the_composed_pair(made: Made, tmp_path: Path) -> None:
    stored = {cells["id"]: cells for cells in made.pair_rows}
    plan = [each for each in plan_pairs(made.params.features.pairs["one"]) if each.group == "image_edit"][:6]
    triples = [make_triple(each, made.setting.compose) for each in plan]
    media = [
        {name: {"bytes": encode_picture(frames[0], "png"), "path": None} for name, frames in pair.items()}
        for pair in ({"input_image": triple.source, "edited_image": triple.target} for triple in triples)
    ]
    table = [{**each, "edit_prompt": triple.instruction} for each, triple in zip(media, triples, strict=True)]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "edits.parquet")
    store = FeatureStore(tmp_path / "store", "pairs-one")
    found = import_table(tmp_path / "edits.parquet", "edits.parquet", _setting(made, *LOOSE), store)
    rows = _rows(store)
    assert not found.refused
    for planned, key in zip(plan, found.ids, strict=True):
        own, imported = stored[made.setting.row_id(planned)], rows[key]
        same = ("source_latents", "target_latents", "text_states", "edit_mask", "edit_share", "task", "latent_shape")
        assert {name: imported[name] for name in same} == {name: own[name] for name in same}
        assert imported["preview"] == own["preview"]


def test_a_second_import_adds_nothing_and_a_lost_row_comes_back_the_same(made: Made, tmp_path: Path) -> None:
    table = write_lines(tmp_path / "own" / "edits.jsonl", good_rows(tmp_path / "own"))
    store = FeatureStore(tmp_path / "store", "pairs-one")
    first = _import(made, store, table)
    receipts = store.publish(EDIT_PAIRS), store.publish(TRIPLES)
    assert _import(made, store, table) == first
    assert (store.publish(EDIT_PAIRS), store.publish(TRIPLES)) == receipts
    store.retain(EDIT_PAIRS, first.ids[2:])
    assert _import(made, store, table) == first
    assert (store.publish(EDIT_PAIRS), store.publish(TRIPLES)) == receipts


def test_the_order_of_rows_and_tables_changes_nothing(made: Made, tmp_path: Path) -> None:
    rows = good_rows(tmp_path / "own")
    straight = write_lines(tmp_path / "own" / "edits.jsonl", rows)
    random.Random(1).shuffle(rows)
    halves = [write_lines(tmp_path / "own" / f"{i}.jsonl", rows[i::2]) for i in range(2)]
    digests = []
    for folder, tables in (("one", [straight]), ("two", halves), ("three", halves[::-1])):
        store = FeatureStore(tmp_path / folder, "pairs-one")
        _import(made, store, *tables)
        digests.append((store.publish(EDIT_PAIRS).digest, store.publish(TRIPLES).digest))
    assert len(set(digests)) == 1


def test_a_table_that_breaks_off_is_an_error_and_goes_on_where_it_was(made: Made, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [row(seed, own, source_caption="x" * 9000) for seed in range(1, 7)]
    whole = pa.Table.from_pylist(rows).to_pandas().to_csv(index=False).encode()
    (own / "edits.csv").write_bytes(whole + b"\xff\xff")
    store, shard = FeatureStore(tmp_path / "store", "pairs-one"), "features.pairs.one.shard=2"
    with pytest.raises(RawDataError, match=r"edits.csv: cannot be read as CSV"):
        _import(made, store, own / "edits.csv", overrides=[shard])
    assert 2 <= len(store.ids(EDIT_PAIRS)) <= 6, "whole shards are kept"
    (own / "edits.csv").write_bytes(whole)
    assert len(_import(made, store, own / "edits.csv", overrides=[shard]).ids) == 6
    other = FeatureStore(tmp_path / "other", "pairs-one")
    _import(made, other, own / "edits.csv")
    assert store.publish(EDIT_PAIRS).digest == other.publish(EDIT_PAIRS).digest


def test_the_id_says_all_that_a_row_is_made_from(made: Made, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    base = row(1, own)
    (own / "again.png").write_bytes(saved(image(1), "PNG", compress_level=1))
    changes: list[Cells] = [
        {}, {"source": "again.png"}, {"instruction": "add it"}, {"task": "local"}, {"scene": "s"},
        {"split": "dev"}, {"source_caption": "s"}, {"target_caption": "t"},
    ]  # fmt: skip
    setting, store = _setting(made), FeatureStore(tmp_path / "store", "pairs-one")
    found = import_table(write_lines(own / "edits.jsonl", [base | change for change in changes]), "x", setting, store)
    others = [
        _setting(made, code="other"),
        _setting(made, "features.geometry.resolution=48"),
        replace(setting, stage="base"),
    ]
    write_lines(own / "one.jsonl", [base])
    for number, other in enumerate(others):
        elsewhere = FeatureStore(tmp_path / str(number), "pairs")
        found_ids = import_table(own / "one.jsonl", "x", other, elsewhere).ids
        assert not set(found_ids) & set(found.ids)
    assert len(set(found.ids)) == len(changes)
    licensed = [{**base, "licence": "CC0-1.0"}]
    assert import_table(write_lines(own / "edits.jsonl", licensed), "y", setting, store).ids == found.ids[:1]


def test_the_square_that_is_kept_shows_the_edit(made: Made, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    wide = np.asarray(image(5, 64, 200))
    block = wide.copy()
    block[20:40, 170:195] = (250, 230, 20)
    for name, frame in (("a.png", wide), ("b.png", block)):
        (own / name).write_bytes(encode_picture(frame, "png"))
    cells = {"source": "a.png", "target": "b.png", "instruction": "add a block at the right"}
    store = FeatureStore(tmp_path / "store", "pairs-one")
    found = _import(made, store, write_lines(own / "edits.jsonl", [cells]))
    (kept,) = _rows(store).values()
    assert not found.refused and kept["edit_share"] == pytest.approx(20 * 25 / 64**2, abs=0.03)
    shown = read_clip(kept["preview"], WIDE).frames
    assert shown.shape == (1, SIDE, 2 * SIDE, 3)


def test_of_two_clips_the_middle_frames_are_a_pair(made: Made, tmp_path: Path) -> None:
    own, around = tmp_path / "own", range(13, 18)
    own.mkdir()
    square = clip(9, width=90)
    for part, frames in (("before", square), ("after", edited(square))):
        (own / f"{part}_clip").write_bytes(encode_clip(frames, Fraction(24)))
        for index in around:
            (own / f"{part}_{index}").write_bytes(encode_picture(frames[index], "png"))
    rows = [{"source": f"before_{x}", "target": f"after_{x}", "instruction": "add it"} for x in ("clip", *around)]
    store = FeatureStore(tmp_path / "store", "pairs-one")
    ids = import_table(write_lines(own / "x.jsonl", rows), "x", _setting(made), store).ids
    for name in ("source_latents", "target_latents"):
        moving, *stills = (np.frombuffer(_rows(store)[key][name], "<f2").astype(float) for key in ids)
        assert around[int(np.argmin([np.abs(still - moving).mean() for still in stills]))] == 15


def _leaky(made: Made, folder: Path) -> dict[str, Cells]:
    """Triples of a picture of a held-out scene, of one of a training scene, and of one that is nowhere else."""
    folder.mkdir()
    clips = made.rows(CLIPS.name).to_pylist()
    found = {}
    for split in ("train", "test"):
        media = next(cells["media"] for cells in clips if cells["split"] == split and cells["kind"] == "picture")
        frame = read_clip(media, WIDE).frames
        for part, shown in (("before", frame), ("after", edited(frame))):
            (folder / f"{split}_{part}.jpg").write_bytes(encode_picture(shown[0], "jpeg"))
        found[split] = {"source": f"{split}_before.jpg", "target": f"{split}_after.jpg", "instruction": "add a block"}
    return {**found, "own": row(1, folder)}


def test_no_held_out_picture_is_trained_on_and_no_training_picture_is_held_out(made: Made, tmp_path: Path) -> None:
    leaky = _leaky(made, tmp_path / "own")
    sides = [(shown, split) for shown in ("train", "test") for split in ("train", "dev")]
    rows = [leaky[shown] | {"split": split, "scene": f"{shown} {split}"} for shown, split in sides]
    store = FeatureStore(tmp_path / "store", "pairs-one")
    found = _import(made, store, write_lines(tmp_path / "own" / "edits.jsonl", rows))
    assert [accepted.shows.name for accepted in found.accepted] == ["own/edits.jsonl:1", "own/edits.jsonl:4"]
    assert _reasons(found) == {f"own/edits.jsonl:{i}": ["near-duplicate across the splits"] for i in (2, 3)}
    assert all("of 64 bits from" in refused.rejections[0].value for refused in found.refused)


@pytest.mark.parametrize("reverse", [False, True])
def test_of_rows_on_both_sides_those_of_training_are_set_aside(made: Made, tmp_path: Path, reverse: bool) -> None:
    own = _leaky(made, tmp_path / "own")["own"]
    rows = [own | {"split": "train"}, own | {"instruction": "put a block there", "split": "test"}]
    rows += [row(seed, tmp_path / "own", scene="hall", split=split) for seed, split in ((2, "train"), (3, "val"))]
    store = FeatureStore(tmp_path / "store", "pairs-one")
    found = _import(made, store, write_lines(tmp_path / "own" / "edits.jsonl", rows[:: -1 if reverse else 1]))
    assert {accepted.shows.split for accepted in found.accepted} == {"test"} and len(found.refused) == 2
    assert Counter(reason for reasons in _reasons(found).values() for reason in reasons) == {
        "scene on the other side of the split": 2
    }


def test_the_parameters_decide_over_the_table(made: Made, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [row(1, own, scene="hall", split="train"), row(2, own, scene="attic", split="test")]
    store = FeatureStore(tmp_path / "store", "pairs-one")
    sides = ["features.split={test_share: 0.0, test_scenes: [hall], train_scenes: [attic]}"]
    found = _import(made, store, write_lines(own / "edits.jsonl", rows), overrides=sides)
    assert [accepted.shows.split for accepted in found.accepted] == ["test", "train"]


def test_triples_alone_need_some_of_either_side(made: Made, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    store = FeatureStore(tmp_path / "store", "pairs-one")
    splits = {1: "train", 2: "test"}
    tables = {s: write_lines(own / f"{s}.jsonl", [row(s, own, split=split)]) for s, split in splits.items()}
    require_both_sides(_import(made, store, *tables.values()))
    for seed, missing in ((1, "that is held out"), (2, "to train on")):
        with pytest.raises(RawDataError, match=f"no usable triple {missing}"):
            require_both_sides(_import(made, store, tables[seed]))
