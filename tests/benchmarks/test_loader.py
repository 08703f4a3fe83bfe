"""The loader benchmark runs at a tiny size and says all it promises; how fast anything was is never asked here."""

import builtins
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import loader
from benchmarks.loader_peers import write_peers
from benchmarks.loader_rows import Loaded, Read, Rows, Side, write_table
from benchmarks.step_sides import TEXT_WIDTH
from flows.settings import apply_environment
from tests.world import TINY, tiny_params
from training.data import PairTable

apply_environment()  # Hugging Face's cache lies in the checkout
PEERS = {
    "datasets_torch", "datasets_numpy", "datasets_bytes", "webdataset_npy", "webdataset_bin", "files_safetensors",
    "files_npy",
}  # fmt: skip
FIGURES = {"loader_vs_best_peer", "loader_share_of_step", "milliseconds_per_batch", "milliseconds_per_step"}
FIGURES |= {"seconds_to_pack", "bytes_per_row", *(f"loader_vs_{name}" for name in PEERS)}
FIGURES |= {f"{kind}rows_per_second_{name}" for kind in ("", "cold_") for name in ("ours", *PEERS)}
ROWS, BATCH = 11, 4


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Rows.random(ROWS, tiny_params().models, 32, seed=1)


@pytest.fixture(scope="module")
def peers(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    return {side.name: side for side in write_peers(rows, tmp_path_factory.mktemp("peers"))}


@pytest.fixture(scope="module")
def table(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> PairTable:
    folder = tmp_path_factory.mktemp("table")
    return PairTable(*write_table(rows, folder), (TEXT_WIDTH,), folder / "packed")


def test_the_record_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["loader", "--rows", "11", "--rounds", "1", "--steps", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*told, "--result", str(tmp_path / "loader.json"), *TINY])
    loader.main()
    record = json.loads((tmp_path / "loader.json").read_text())
    assert record["name"] == "loader" and set(record["figures"]) == FIGURES
    assert all(math.isfinite(value) and value > 0 for value in record["figures"].values())
    assert [path.name for path in tmp_path.iterdir()] == ["loader.json"], "what was measured on is removed"


@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_peer_gives_the_batches_that_our_table_holds(
    rows: Rows, peers: dict[str, Side], table: PairTable, name: str
) -> None:
    side = peers[name]
    loader.check_equal(side, table, ROWS, BATCH)
    order = np.random.default_rng(3).permutation(ROWS).tolist()
    given = [key for loaded in side.open()(order, BATCH) for key in loaded.ids]
    assert len(set(given)) == 8
    if side.random_access:
        assert given == [rows.ids[place] for place in order[:8]]


def test_a_side_that_gives_other_rows_is_refused(peers: dict[str, Side], table: PairTable) -> None:
    side = peers["files_npy"]

    def opened(spoil: Any) -> Side:
        def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
            return (spoil(loaded) for loaded in side.open()(order, size))

        def opener() -> Read:
            return read

        return replace(side, open=opener)

    def brightened(loaded: Loaded) -> Loaded:
        return Loaded(loaded.ids, replace(loaded.batch, target=loaded.batch.target + 1e-3))

    with pytest.raises(ValueError, match="files_npy gave another content"):
        loader.check_equal(opened(brightened), table, ROWS, BATCH)
    first = next(side.open()(range(ROWS), BATCH))
    with pytest.raises(ValueError, match="files_npy gave 8 rows, 4 of them different"):
        loader.check_equal(opened(lambda _: first), table, ROWS, BATCH)


@pytest.mark.parametrize("package", ["datasets", "webdataset"])
def test_a_peer_that_is_not_installed_is_told_with_the_command(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    real = builtins.__import__

    def without(name: str, *told: Any, **more: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(name)
        return real(name, *told, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ModuleNotFoundError, match=rf"package {package}: pip install -c constraints.txt -e '.\[bench\]'"
    ):
        write_peers(rows, tmp_path)
