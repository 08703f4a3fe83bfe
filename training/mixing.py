"""Which rows a step trains on: a pure function of seed and step, so resuming needs no more than the step.

Batches are homogeneous, as in Movie Gen Edit (section 5.1.2): every step draws from one group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draw:
    """The group a step draws from, and how many batches that group gave before."""

    group: str
    earlier: int


class Mix:
    """Groups taken in proportion to whole-number weights, spread as evenly as they go."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = dict(weights)
        self._pattern = _even_pattern(self._weights)

    def at(self, step: int) -> Draw:
        """What step number `step`, counted from 0, draws."""
        rounds, place = divmod(step, len(self._pattern))
        group = self._pattern[place]
        return Draw(group, rounds * self._weights[group] + self._pattern[:place].count(group))


def _even_pattern(weights: Mapping[str, int]) -> tuple[str, ...]:
    """One round: at each place the group that lags most behind its share, the first named where several do."""
    total = sum(weights.values())
    taken = dict.fromkeys(weights, 0)
    pattern = []
    for place in range(1, total + 1):
        group = max(weights, key=lambda name: weights[name] * place / total - taken[name])
        taken[group] += 1
        pattern.append(group)
    return tuple(pattern)


class ShuffledRows:
    """An endless shuffled sequence over a group's rows: one permutation an epoch, batches may span two epochs."""

    def __init__(self, ids: Sequence[str], seed: int, group: str) -> None:
        if not ids:
            raise ValueError(f"group {group!r} has no rows to train on")
        self._ids: list[str] = list(ids)
        self._seed = [seed, *group.encode()]
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def batch(self, number: int, size: int) -> list[str]:
        """Ids of batch `number`, counted from 0."""
        return [self._at(number * size + i) for i in range(size)]

    def _at(self, place: int) -> str:
        epoch, index = divmod(place, len(self._ids))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([*self._seed, epoch]).permutation(len(self._ids))
        return self._ids[int(self._order[index])]
