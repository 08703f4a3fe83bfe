"""Rows of the true shapes and random values, a table of ours that holds them, and the batch that every side makes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.step_sides import TEXT_WIDTH
from features.plan import IMAGE_EDIT
from models.build import ModelParams
from models.tasks import TASK_COUNT, Task
from models.text import pad_texts
from stores.feature_store import FeatureStore, PublishedTable
from stores.schema import CONSTANTS, EDIT_PAIRS, content_id
from training.data import TRAIN, PairBatch

SHARD = 128
SHORTEST, LONGEST = 8, 24  # tokens of an instruction


@dataclass(frozen=True)
class Rows:
    """Image edits: latents [n c 1 h w] and trimmed text states [s e], all fp16."""

    ids: list[str]
    tasks: list[int]
    sources: np.ndarray
    targets: np.ndarray
    texts: list[np.ndarray]

    @staticmethod
    def random(count: int, models: ModelParams, resolution: int, seed: int) -> "Rows":
        """Noise: what is in them makes no reader faster, for none compresses."""
        rng = np.random.default_rng(seed)
        shape = (count, *models.autoencoder.latent_shape(1, resolution, resolution).as_tuple())
        sources, targets = (rng.standard_normal(shape, np.float32).astype("<f2") for _ in range(2))
        lengths = rng.integers(SHORTEST, LONGEST, count)
        texts = [rng.standard_normal((length, TEXT_WIDTH), np.float32).astype("<f2") for length in lengths]
        ids = [content_id("loader", number) for number in range(count)]
        return Rows(ids, rng.integers(0, TASK_COUNT, count).tolist(), sources, targets, texts)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the latents of one row."""
        return tuple(self.sources.shape[1:])


@dataclass(frozen=True)
class Loaded:
    """A batch, and which rows it is of."""

    ids: list[str]
    batch: PairBatch


Read = Callable[[Sequence[int], int], Iterator[Loaded]]


@dataclass(frozen=True)
class Side:
    """A way to read the rows: `open` gives a reader of them in an order, so many at once; its files lie in `folder`.

    Where a format has no random access the reader shuffles in its own way.
    """

    name: str
    folder: Path
    open: Callable[[], Read]
    random_access: bool = True


@dataclass(frozen=True)
class Arrays:
    """The fp16 arrays of some rows: latents [c 1 h w] and text states [s e]."""

    sources: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]
    texts: Sequence[np.ndarray]


def collate(ids: Sequence[str], arrays: Arrays, tasks: Sequence[int]) -> Loaded:
    """The batch of a training step, for the peers: made as our own loader makes it."""
    source, target = (torch.from_numpy(np.stack(latents)).float() for latents in (arrays.sources, arrays.targets))
    text = pad_texts([(torch.from_numpy(states),) for states in arrays.texts])
    return Loaded(list(ids), PairBatch(0, IMAGE_EDIT, source, target, text, torch.tensor(tasks)))


def chunks(order: Sequence[int], size: int) -> Iterator[list[int]]:
    """Whole batches of an order."""
    for start in range(0, len(order) - size + 1, size):
        yield list(order[start : start + size])


def write_table(rows: Rows, root: Path) -> tuple[PublishedTable, PublishedTable]:
    """`edit_pairs` and `constants`, written by shards as the feature pipeline does, published and opened."""
    store = FeatureStore(root, "loader")
    for start in range(0, len(rows), SHARD):
        store.upsert(EDIT_PAIRS, [_row(rows, i) for i in range(start, min(start + SHARD, len(rows)))])
    store.upsert(CONSTANTS, [{"id": "text", "kind": "null_text", "text_states": [rows.texts[0].tobytes()]}])
    pairs, constants = (store.open(store.publish(spec)) for spec in (EDIT_PAIRS, CONSTANTS))
    return pairs, constants


def _row(rows: Rows, number: int) -> dict[str, Any]:
    return {
        "id": rows.ids[number],
        "stage": "one",
        "group": IMAGE_EDIT,
        "kind": "picture",
        "task": Task(rows.tasks[number]).label,
        "split": TRAIN,
        "latent_shape": list(rows.shape),
        "source_latents": rows.sources[number].tobytes(),
        "target_latents": rows.targets[number].tobytes(),
        "text_states": [rows.texts[number].tobytes()],
    }
