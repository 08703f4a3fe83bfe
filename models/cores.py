"""Independent work on the cores of a CPU: one core each beats all cores on one after the other, where each is small."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_cores(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` of every item, in their order, on as many threads as torch may use here, each of one core.

    So the bits of a result depend neither on its neighbours nor on how many cores there are. The switches of torch
    (autocast, gradients, inference mode) are a thread's own: `work` sets those it needs. The first error is raised.
    """
    if not items:
        return []
    workers = min(torch.get_num_threads(), len(items))
    with ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1)) as pool:
        return list(pool.map(work, items))
