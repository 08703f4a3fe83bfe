"""Ingest: every item is accepted or quarantined with its reason, and a second run changes nothing."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features.ingest import IngestResult, ingest, split_of
from features.params import SplitParams
from features.raw import RawDataError, read_cutouts, read_raw
from stores.feature_store import FeatureStore
from stores.schema import CLIPS, QUARANTINE
from tests.features.conftest import Made
from tests.media import BAD_INPUTS, bad_input, encode_picture
from tests.world import ROOT, limits, raw_folder, tiny_params

PARAMS = tiny_params()
GOOD = "bbb_00.mp4"


def _run(raw: Path, store: FeatureStore) -> IngestResult:
    return ingest(read_raw(raw), store, PARAMS.features, limits(PARAMS))


def _store(folder: Path) -> FeatureStore:
    return FeatureStore(folder / "store", "clips")


def _listed(raw: Path, rows: Sequence[dict[str, object]]) -> None:
    lines = (raw / "clips" / "metadata.jsonl").read_text().splitlines()
    text = "\n".join([*lines, *(json.dumps(row) for row in rows)])
    (raw / "clips" / "metadata.jsonl").write_text(text + "\n\n")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return raw_folder(tmp_path / "raw", photos=1, clips=(GOOD,))


def _quarantined(store: FeatureStore) -> dict[str, dict[str, str]]:
    return {row["row"]: row for row in store.draft(QUARANTINE).to_pylist()}


def test_good_material_is_accepted_with_what_is_known_of_it(made: Made) -> None:
    rows = made.rows(CLIPS.name).to_pylist()
    assert sorted({row["kind"] for row in rows}) == ["picture", "video"]
    for row in rows:
        assert row["caption"] and row["scene"] and row["licence"] and row["source_uri"]
        assert len(row["source_sha256"]) == 64 and row["frames"] >= 1 and row["height"] > 0 and row["fps"] > 0
        assert row["sharpness"] > 0 and (row["motion"] > 0) == (row["kind"] == "video")
        assert Image.open(io.BytesIO(row["preview"])).size[0] > 0


def test_each_piece_of_the_bad_corpus_is_quarantined_and_the_rest_goes_on(raw: Path, tmp_path: Path) -> None:
    for kind in BAD_INPUTS:
        bad_input(raw / "clips", kind)
    names = [name for name, _ in BAD_INPUTS.values()]
    _listed(raw, [{"file_name": name, "caption": "a clip", "source": name} for name in names])
    store = _store(tmp_path)
    result = _run(raw, store)
    found = _quarantined(store)
    assert set(found) == {f"clips/{name}" for name in names}
    assert all(row["reason"] and row["value"] and row["origin"] == "ingest" for row in found.values())
    assert result.rejected == len(names) and len(result.ids) == 2
    assert store.ids(CLIPS) == set(result.ids)


def test_what_lies_outside_the_folder_is_never_read(raw: Path, tmp_path: Path) -> None:
    outside = raw / "secret.mp4"
    outside.write_bytes((raw / "clips" / GOOD).read_bytes())
    (raw / "clips" / "link.mp4").symlink_to(outside)
    names = ["../secret.mp4", str(outside), "link.mp4"]
    _listed(raw, [{"file_name": name, "caption": "another clip"} for name in names])
    store = _store(tmp_path)
    assert len(_run(raw, store).ids) == 2
    assert {row["reason"] for row in _quarantined(store).values()} == {"path leads outside its folder"}


def test_a_copy_counts_once(raw: Path, tmp_path: Path) -> None:
    first = json.loads((raw / "clips" / "metadata.jsonl").read_text().splitlines()[0])
    (raw / "clips" / "copy.mp4").write_bytes((raw / "clips" / GOOD).read_bytes())
    _listed(raw, [first | {"file_name": "copy.mp4"}])
    store = _store(tmp_path)
    result = _run(raw, store)
    (rejected,) = store.draft(QUARANTINE).to_pylist()
    assert (rejected["row"], rejected["reason"]) == ("clips/copy.mp4", "near-duplicate")
    assert rejected["value"] == f"0 of 64 bits from clips/{GOOD} (train)" and len(result.ids) == 2


@pytest.mark.parametrize(
    ("caption", "reason"), [("", "caption is empty"), ("  ", "caption is empty"), ("word " * 200, "caption length")]
)
def test_a_caption_must_be_there_and_short(raw: Path, tmp_path: Path, caption: str, reason: str) -> None:
    (raw / "clips" / "metadata.jsonl").write_text(json.dumps({"file_name": GOOD, "caption": caption}))
    store = _store(tmp_path)
    assert len(_run(raw, store).ids) == 1
    (rejected,) = store.draft(QUARANTINE).to_pylist()
    assert reason in rejected["reason"]


def test_every_threshold_missed_is_told(raw: Path, tmp_path: Path) -> None:
    (raw / "clips" / "dark.png").write_bytes(encode_picture(np.full((20, 20, 3), 3, dtype=np.uint8), "png"))
    _listed(raw, [{"file_name": "dark.png", "caption": ""}])
    store = _store(tmp_path)
    assert _run(raw, store).rejected == 1
    rejected = [row for row in store.draft(QUARANTINE).to_pylist() if row["row"] == "clips/dark.png"]
    told = " ".join(row["reason"] for row in rejected)
    assert all(word in told for word in ("side", "sharpness", "brightness below", "contrast", "caption"))
    assert {row["value"] for row in rejected} >= {"20", "3.0", "0.0"}


def test_a_second_run_adds_nothing(raw: Path, tmp_path: Path) -> None:
    _listed(raw, [{"file_name": "gone.mp4", "caption": "a clip"}])
    store = _store(tmp_path)
    first = _run(raw, store)
    one, bad = store.publish(CLIPS), store.publish(QUARANTINE)
    assert _run(raw, store) == first
    assert store.publish(CLIPS) == one and store.publish(QUARANTINE) == bad


def test_what_was_repaired_leaves_the_quarantine(raw: Path, tmp_path: Path) -> None:
    (raw / "clips" / "late.mp4").write_bytes(b"")
    _listed(raw, [{"file_name": "late.mp4", "caption": "a rabbit", "source": "late"}])
    store = _store(tmp_path)
    assert _run(raw, store).rejected == 1
    (raw / "clips" / "late.mp4").write_bytes((ROOT / "data" / "clips" / "bbb_04.mp4").read_bytes())
    result = _run(raw, store)
    assert result.rejected == 0 and len(result.ids) == 3
    assert store.draft(QUARANTINE).num_rows == 0


def test_what_is_no_longer_listed_leaves_the_table(raw: Path, tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert len(_run(raw, store).ids) == 2
    (raw / "clips" / "metadata.jsonl").write_text("\n")
    assert len(_run(raw, store).ids) == store.draft(CLIPS).num_rows == 1


@pytest.mark.parametrize("line", ["{", "[1]", "7", '{"caption": "x"}', '{"file_name": 5}', '{"file_name": null}'])
def test_a_line_that_is_no_clip_is_set_aside_by_its_number(raw: Path, tmp_path: Path, line: str) -> None:
    path = raw / "clips" / "metadata.jsonl"
    path.write_text(path.read_text() + line + "\n")
    store = _store(tmp_path)
    result = _run(raw, store)
    assert (len(result.ids), result.rejected) == (2, 1)
    assert list(_quarantined(store)) == ["clips/metadata.jsonl:2"]


def test_a_split_that_changed_reaches_the_rows_that_are_there(raw: Path, tmp_path: Path) -> None:
    store, before = _store(tmp_path), PARAMS.features
    _run(raw, store)
    split = before.split.model_copy(update={"test_scenes": ("bunny-bird",)})
    after = before.model_copy(update={"split": split})
    ingest(read_raw(raw), store, after, limits(PARAMS))
    rows = {row["scene"]: row["split"] for row in store.draft(CLIPS).to_pylist()}
    assert rows["bunny-bird"] == "test" and len(rows) == 2


def test_a_mask_must_fit_its_picture(raw: Path, tmp_path: Path) -> None:
    path = raw / "photos" / "photos.parquet"
    schema, rows = pq.read_schema(path), pq.read_table(path).to_pylist()
    mask = {"bytes": encode_picture(np.zeros((8, 9, 3), np.uint8), "png"), "path": None}
    pq.write_table(pa.Table.from_pylist([row | {"mask": mask} for row in rows], schema=schema), path)
    store = _store(tmp_path)
    assert len(_run(raw, store).ids) == 1
    (rejected,) = store.draft(QUARANTINE).to_pylist()
    assert "its mask is 9 x 8, the picture" in rejected["value"]


def test_odd_values_beside_the_media_do_not_stop_the_rest(raw: Path, tmp_path: Path) -> None:
    (raw / "clips" / "other.mp4").write_bytes((ROOT / "data" / "clips" / "bbb_04.mp4").read_bytes())
    _listed(raw, [{"file_name": "other.mp4", "caption": 5, "source": 7, "licence": None}])
    path = raw / "photos" / "photos.parquet"
    row = pq.read_table(path).to_pylist()[0]
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_pylist([row, row | {"id": "void", "image": None}], schema=schema), path)
    store = _store(tmp_path)
    assert len(_run(raw, store).ids) == 3
    assert _quarantined(store)["photos/photos.parquet#void"]["reason"] == "names no file"


def test_no_data_at_all_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="dvc pull"):
        list(read_raw(tmp_path))
    with pytest.raises(RawDataError, match="dvc pull"):
        read_cutouts(tmp_path, ("owl",))


def test_a_noun_without_a_cutout_is_named() -> None:
    with pytest.raises(RawDataError, match="no cut-out named flying pig, wet dog"):
        read_cutouts(ROOT / "data", ("owl", "wet dog", "flying pig"))


def test_a_cutout_is_trimmed_to_what_is_visible() -> None:
    picture = read_cutouts(ROOT / "data", ("owl",))["owl"]
    visible = picture[..., 3] > 8
    assert picture.dtype == np.uint8 and picture.shape[2] == 4
    assert all(edge.any() for edge in (visible[0], visible[-1], visible[:, 0], visible[:, -1]))


def test_explicit_lists_win_over_the_hash_of_a_scene() -> None:
    names = [f"scene {number}" for number in range(200)]
    for share in (0.0, 0.5, 1.0):
        split = SplitParams(test_share=share, test_scenes=("scene 0",), train_scenes=("scene 1",))
        assert (split_of("scene 0", split), split_of("scene 1", split)) == ("test", "train")
        tests = sum(split_of(name, split) == "test" for name in names[2:])
        assert tests == 198 * share if share != 0.5 else 70 < tests < 130


def test_a_scene_is_on_one_side(made: Made) -> None:
    scenes = made.rows(CLIPS.name).to_pandas().groupby("scene")["split"].nunique()
    assert (scenes == 1).all()
    pairs = made.rows("edit_pairs").to_pandas()
    train, held_out = (set(pairs[pairs["split"] == split]["scene"]) for split in ("train", "validation"))
    assert train and held_out and not train & held_out
