"""Training rows from the feature store, batch by batch, in the order the mix prescribes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from models.conditioning import Condition, NullCondition
from models.shapes import Latent, TaskIds
from models.tasks import parse_task
from models.text import TextContext, pad_texts
from stores.feature_store import PublishedTable
from stores.packed_rows import Cells
from training.mixing import Mix, ShuffledRows
from training.params import GroupParams
from training.schedule import step_generator

TRAIN, VALIDATION = "train", "validation"
HALF = np.dtype("<f2")
COLUMNS = ("task", "latent_shape", "source_latents", "target_latents", "text_states")


@dataclass(frozen=True)
class PairBatch:
    """A homogeneous batch of triples: source latents (c_img), instruction states (c_instruct), target latents (x_img).

    `step` is the number of the optimizer's micro-step, from which every random number of the step is drawn.
    """

    step: int
    group: str
    source: Latent
    target: Latent
    text: TextContext
    task: TaskIds

    def __len__(self) -> int:
        return self.target.shape[0]

    def condition(self) -> Condition:
        """The whole condition, nothing dropped, at the first temporal position."""
        offsets = torch.zeros(len(self), dtype=torch.long, device=self.target.device)
        return Condition(self.source, self.text, self.task, offsets)

    def fixed_noise(self, seed: int) -> Latent:
        """The same noise whenever this batch is validated, so that two points of a run, and two runs, compare."""
        return torch.randn(self.target.shape, generator=step_generator(seed, self.step)).to(self.target.device)

    def to(self, device: torch.device | str) -> "PairBatch":
        moved = (self.source.to(device), self.target.to(device), self.text.to(device), self.task.to(device))
        return PairBatch(self.step, self.group, *moved)


def latents_of(data: bytes, shape: Sequence[int]) -> Tensor:
    """Latents [c l h w] in fp32 from their stored float16 bytes."""
    return torch.from_numpy(np.frombuffer(data, dtype=HALF).reshape(tuple(shape)).astype(np.float32))


def states_of(parts: Sequence[Any], widths: Sequence[int]) -> tuple[Tensor, ...]:
    """Trimmed text states, one [s e] an encoder, in fp16 as they are stored; padding makes them fp32."""
    arrays = (np.frombuffer(part, dtype=HALF).reshape(-1, e) for part, e in zip(parts, widths, strict=True))
    return tuple(torch.from_numpy(array.copy()) for array in arrays)


@dataclass(frozen=True)
class NullConditions:
    """The empty text, and the encoded black video of every geometry [c l h w] that a table holds."""

    text: TextContext
    black: Mapping[tuple[int, ...], Tensor]

    def of(self, shape: Sequence[int]) -> NullCondition:
        """The null condition for latents of this shape.

        Raises:
            KeyError: the store holds no black video of this geometry.
        """
        return NullCondition(self.text, self.black[tuple(shape)][None])


class PairTable:
    """A published `edit_pairs` table with its constants, read by id.

    What batches are made of is read from a copy below the folder `packed`, see `stores/packed_rows.py`.
    """

    def __init__(
        self, pairs: PublishedTable, constants: PublishedTable, text_widths: Sequence[int], packed: Path
    ) -> None:
        self._pairs = pairs
        self._widths = tuple(text_widths)
        self._rows = pairs.packed(packed, COLUMNS)
        self._sources, self._targets = (self._rows.binaries(f"{name}_latents") for name in ("source", "target"))
        self._texts = self._rows.binary_lists("text_states")
        self._shapes = [tuple(shape) for shape in self._rows.values("latent_shape")]
        self._tasks = torch.tensor([int(parse_task(task)) for task in self._rows.values("task")])
        index = pairs.rows(["id", "group", "split", "kind", "task"])
        self._index = index.to_pandas()
        self.nulls = self._read_constants(constants.rows())
        self._black = {shape: black.flatten().half().numpy() for shape, black in self.nulls.black.items()}

    def ids(self, group: str, split: str) -> list[str]:
        """Ids of a group's rows in a split, in id order."""
        rows = self._index
        found: list[str] = rows[(rows["group"] == group) & (rows["split"] == split)]["id"].tolist()
        return found

    def spread(self, split: str, most: int) -> Float[Tensor, " c"]:
        """Standard deviation of each latent channel over the targets of the first rows of a split."""
        ids = self._index[self._index["split"] == split]["id"][:most].tolist()
        values = [self._latents(self._targets, [place])[0].flatten(1) for place in self._rows.places(ids)]
        return torch.cat(values, dim=1).std(1).clamp(min=1e-3)

    def groups(self) -> list[str]:
        return sorted(self._index["group"].unique())

    def batch(self, ids: Sequence[str], step: int, group: str) -> PairBatch:
        """The rows of these ids, in this order."""
        places = self._rows.places(ids)
        texts = [states_of(self._texts[place], self._widths) for place in places]
        return PairBatch(
            step=step,
            group=group,
            source=self._latents(self._sources, places),
            target=self._latents(self._targets, places),
            text=pad_texts(texts),
            task=self._tasks[places],
        )

    def instructions(self, split: str) -> tuple[TextContext, TaskIds]:
        """Text states and tasks of all editing rows of a split, for the task predictor."""
        table = self._pairs.rows(["id", "task", "text_states"], where=f"split = '{split}' AND task != 'text_to_video'")
        rows = table.to_pylist()
        text = pad_texts([states_of(row["text_states"], self._widths) for row in rows])
        return text, torch.tensor([int(parse_task(row["task"])) for row in rows])

    def _latents(self, cells: Cells, places: Sequence[int]) -> Latent:
        """Latents of rows of one shape, those of the black video where there are none."""
        (shape, *others) = {self._shapes[place] for place in places}
        if others:
            raise ValueError(f"a batch is of one shape of latents, not of {sorted([shape, *others])}")
        found = (cells[place] for place in places)
        halves = [self._black[shape] if cell is None else cell.view(HALF) for cell in found]
        return torch.from_numpy(np.stack(halves)).float().view(-1, *shape)

    def _read_constants(self, table: pa.Table) -> NullConditions:
        rows = table.to_pylist()
        texts = [states_of(row["text_states"], self._widths) for row in rows if row["kind"] == "null_text"]
        if len(texts) != 1:
            raise ValueError(f"the constants of this store hold {len(texts)} empty texts, not one")
        black = [row for row in rows if row["kind"] == "black"]
        latents = {tuple(row["latent_shape"]): latents_of(row["latents"], row["latent_shape"]) for row in black}
        return NullConditions(pad_texts(texts), latents)


class StepLoader:
    """One batch a micro-step, from any step on; Lightning saves and restores its position with the checkpoint.

    Every rank takes its slice of the same global batch, so the order of rows does not depend on the world size.
    """

    def __init__(
        self, table: PairTable, groups: dict[str, GroupParams], steps: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        for name, group in groups.items():
            # Uneven slices would weigh rows unevenly, and an empty one cannot be read.
            if group.batch % world:
                raise ValueError(f"batch {group.batch} of group {name!r} is not a multiple of {world} devices")
        self._table, self._groups, self._steps = table, groups, steps
        self._rank, self._world = rank, world
        self._mix = Mix({name: group.weight for name, group in groups.items()})
        self._rows = {name: ShuffledRows(table.ids(name, TRAIN), seed, name) for name in groups}
        self.position = 0

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[PairBatch]:
        while self.position < self._steps:
            step = self.position
            # Moved before the yield: code after the last yield of a loader never runs.
            self.position += 1
            yield self.at(step)

    def at(self, step: int) -> PairBatch:
        """The batch of one step."""
        draw = self._mix.at(step)
        ids = self._rows[draw.group].batch(draw.earlier, self._groups[draw.group].batch)
        return self._table.batch(ids[self._rank :: self._world], step, draw.group)

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = state["position"]


class ValidationLoader:
    """Rows of a split in fixed order, in homogeneous batches, at most so many batches a group."""

    def __init__(
        self, table: PairTable, groups: Mapping[str, GroupParams], most_batches: int, split: str = VALIDATION
    ) -> None:
        self._batches: list[tuple[str, list[str]]] = []
        self._table = table
        for name, group in groups.items():
            ids = table.ids(name, split)[: group.batch * most_batches]
            self._batches += [(name, ids[i : i + group.batch]) for i in range(0, len(ids), group.batch)]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[PairBatch]:
        for number, (group, ids) in enumerate(self._batches):
            yield self._table.batch(ids, number, group)
