"""Our training loader beside Hugging Face datasets, WebDataset and plain files: `python -m benchmarks.loader`.

Image edits of the default geometry, random values of the true shapes, read for one epoch a side and round in shuffled
batches of stage one, which must come out equal. A round also times training steps on such a batch; ratios are taken
within a round, and their medians are kept. One process, no workers; every side is opened once, and opening and writing
are no part of a rate. Rates called cold are of one epoch after the kernel was asked to drop the files of a side from
its cache. Writes `benchmarks/results/loader.json`.
"""

import argparse
import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from benchmarks.loader_peers import write_peers
from benchmarks.loader_rows import Loaded, Read, Rows, Side, chunks, write_table
from benchmarks.step import Stepper
from benchmarks.step_sides import SIDES, TEXT_WIDTH, build_sides, sample
from features.plan import IMAGE_EDIT
from flows.params import Params
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from stores.feature_store import PublishedTable
from training.data import PairBatch, PairTable

OURS, STEP = "ours", "step"


@dataclass(frozen=True)
class LoaderSize:
    """How much is read, how often, and how many steps a round times."""

    rows: int
    rounds: int
    steps: int


def measure(params: Params, size: LoaderSize, folder: Path) -> dict[str, float]:
    """All figures: rows a second of every side, what ours is beside each, and beside a training step.

    Raises:
        ModuleNotFoundError: a peer's package is not installed.
        ValueError: a side gave other rows, or another content, than our table holds.
    """
    torch.manual_seed(params.seed)
    resolution, batch = params.features.geometry.resolution, params.training.stages["one"].groups[IMAGE_EDIT].batch
    rows = Rows.random(size.rows, params.models, resolution, params.seed)
    tables = write_table(rows, folder / "store")
    begun = perf_counter()
    table = _open(tables, folder / OURS)
    figures = {"seconds_to_pack": perf_counter() - begun, "bytes_per_row": _bytes(rows) / len(rows)}
    sides = [Side(OURS, folder / OURS, lambda: _reader(_open(tables, folder / OURS), rows.ids))]
    sides += write_peers(rows, folder)
    for side in sides:
        check_equal(side, table, len(rows), batch)
    del table
    step, readers = _step(params, batch), {side.name: side.open() for side in sides}
    rounds = []
    for seed in range(size.rounds + 1):
        rates = {name: _rate(read, len(rows), batch, seed) for name, read in readers.items()}
        rounds.append(rates | {STEP: median(step() for _ in range(size.steps))})
    del readers  # what they have mapped the kernel would not drop
    figures |= {f"cold_rows_per_second_{side.name}": _cold_rate(side, len(rows), batch) for side in sides}
    # The first round warms up.
    return figures | _figures_of(rounds[1:], [side.name for side in sides[1:]], batch)


def check_equal(side: Side, table: PairTable, rows: int, batch: int) -> None:
    """That an epoch of a side has every row once and the content that our table has.

    Raises:
        ValueError: it has not.
    """
    seen: list[str] = []
    for loaded in side.open()(range(rows), batch):
        ours = table.batch(loaded.ids, 0, IMAGE_EDIT)
        if not _same(ours, loaded.batch):
            raise ValueError(f"{side.name} gave another content for the rows {loaded.ids}")
        seen += loaded.ids
    if len(seen) != rows // batch * batch or len(set(seen)) != len(seen):
        raise ValueError(f"{side.name} gave {len(seen)} rows, {len(set(seen))} of them different, of {rows}")


def _same(one: PairBatch, other: PairBatch) -> bool:
    pairs = [(one.source, other.source), (one.target, other.target), (one.task, other.task)]
    for ours, theirs in zip(one.text.parts, other.text.parts, strict=True):
        pairs += [(ours.states, theirs.states), (ours.mask, theirs.mask)]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def _open(tables: tuple[PublishedTable, PublishedTable], packed: Path) -> PairTable:
    return PairTable(*tables, (TEXT_WIDTH,), packed)


def _reader(table: PairTable, ids: Sequence[str]) -> Read:
    def read(order: Sequence[int], size: int) -> Iterator[Loaded]:
        for asked in chunks(order, size):
            keys = [ids[i] for i in asked]
            yield Loaded(keys, table.batch(keys, 0, IMAGE_EDIT))

    return read


def _bytes(rows: Rows) -> int:
    return rows.sources.nbytes + rows.targets.nbytes + sum(text.nbytes for text in rows.texts)


def _step(params: Params, batch: int) -> Callable[[], float]:
    """A training step of stage one on a batch of pictures; a call gives its seconds."""
    network, velocity = build_sides(params.models)[SIDES[0]]
    stepper = Stepper.of(network, velocity, params.training.stages["one"].optimizer, "bf16")
    given = sample(params.models, batch, 1, params.features.geometry.resolution)
    return lambda: sum(stepper(given))


def _rate(read: Read, rows: int, batch: int, seed: int) -> float:
    """Rows a second of one epoch."""
    order, count = np.random.default_rng(seed).permutation(rows).tolist(), 0
    begun = perf_counter()
    for loaded in read(order, batch):
        count += len(loaded.ids)
    return count / (perf_counter() - begun)


def _cold_rate(side: Side, rows: int, batch: int) -> float:
    gc.collect()
    for path in side.folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file, suppress(AttributeError):  # not on every system
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return _rate(side.open(), rows, batch, 0)


def _figures_of(rounds: Sequence[dict[str, float]], peers: Sequence[str], batch: int) -> dict[str, float]:
    figures = {f"rows_per_second_{name}": median(each[name] for each in rounds) for name in (OURS, *peers)}
    figures |= {f"loader_vs_{name}": median(each[OURS] / each[name] for each in rounds) for name in peers}
    figures["loader_vs_best_peer"] = median(each[OURS] / max(each[name] for name in peers) for each in rounds)
    figures["milliseconds_per_batch"] = 1e3 * median(batch / each[OURS] for each in rounds)
    figures["milliseconds_per_step"] = 1e3 * median(each[STEP] for each in rounds)
    figures["loader_share_of_step"] = median(batch / each[OURS] / each[STEP] for each in rounds)
    return figures


def main() -> None:
    """`python -m benchmarks.loader`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="Our training loader beside those of others.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--result", type=Path, default=RESULTS / "loader.json")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="training steps timed a round")
    parser.add_argument(
        "--folder", type=Path, default=None, help="disk to measure on; default: that of temporary files"
    )
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    told = parser.parse_args()
    size = LoaderSize(rows=told.rows, rounds=told.rounds, steps=told.steps)
    load = round(os.getloadavg()[0], 2)  # what else the machine did
    with TemporaryDirectory(dir=told.folder) as folder:
        figures = measure(Params.read(told.params, tuple(told.overrides)), size, Path(folder))
    record = write_record(told.result, asdict(size) | {"overrides": told.overrides, "load": load}, figures)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
