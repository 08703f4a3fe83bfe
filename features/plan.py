"""Plans: which rows a table shall hold, decided before anything is rendered, as a function of params and seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.params import PairsParams

IMAGE_EDIT, TEXT_TO_IMAGE, TEXT_TO_VIDEO = "image_edit", "text_to_image", "text_to_video"
ANIMATED, SEGMENTATION, BACKTRANSLATED = "animated", "segmentation", "backtranslated"
# Only appended to: seeds depend on the order.
GROUPS = (IMAGE_EDIT, TEXT_TO_IMAGE, TEXT_TO_VIDEO, ANIMATED, SEGMENTATION, BACKTRANSLATED)
MOVING = (TEXT_TO_VIDEO, ANIMATED, SEGMENTATION, BACKTRANSLATED)  # groups of clips; the others are of pictures


@dataclass(frozen=True)
class PlannedRow:
    """One row to be made. Its random numbers depend on `number`, `group` and `split` alone, not on other rows."""

    number: int
    group: str
    split: str
    task: str

    def generator(self, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, self.number, GROUPS.index(self.group), self.split == "train"])


def plan_pairs(params: PairsParams) -> list[PlannedRow]:
    """The composed rows of a stage's table; validation rows come on top of the counts."""
    wanted = {IMAGE_EDIT: params.image_edit, TEXT_TO_IMAGE: params.text_to_image, TEXT_TO_VIDEO: params.text_to_video}
    rows = []
    for group, count in wanted.items():
        tasks = params.tasks if group == IMAGE_EDIT else {"text_to_video": 1}
        rows += plan_group(group, count, params.validation_share, tasks)
    return rows


def plan_group(group: str, count: int, validation_share: float, tasks: Mapping[str, int]) -> list[PlannedRow]:
    """Rows of one group, their tasks in turn by whole-number weights; at least one of validation if any."""
    wheel = [task for task, weight in tasks.items() for _ in range(weight)]
    held_out = max(1, round(count * validation_share)) if count else 0
    return [
        PlannedRow(number, group, split, wheel[number % len(wheel)])
        for split, size in (("train", count), ("validation", held_out))
        for number in range(size)
    ]


def shards(rows: list[PlannedRow], size: int) -> list[list[PlannedRow]]:
    """Rows cut into shards of one group and split each, so that a shard has one geometry."""
    found = []
    for group in GROUPS:
        for split in ("train", "validation"):
            chosen = [row for row in rows if row.group == group and row.split == split]
            found += [chosen[start : start + size] for start in range(0, len(chosen), size)]
    return found
