"""Work shared among processes: each opens what it needs by itself, works with one thread, and ends with this one."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

import torch

T = TypeVar("T")
Item = TypeVar("Item")


class WorkerLostError(RuntimeError):
    """A worker process was killed, or ran out of memory."""


@contextmanager
def at_work(processes: int, begin: Callable[[], Callable[[Item], T]]) -> Iterator[Callable[[Item], T]]:
    """Call what `begin` returned in one of these processes; for as many threads at once as there are processes.

    Processes are started anew, not forked, since LanceDB survives no fork; so `begin`, items and results are pickled.

    Raises:
        WorkerLostError: at a call, if a process is gone. Errors of the work come through as they are.
    """
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (begin,))
    try:
        yield lambda item: _result(pool, item)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """This process computes with as many threads; digests are promised equal for equal numbers of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _result(pool: ProcessPoolExecutor, item: Item) -> Any:
    try:
        return pool.submit(_work, item).result()
    except BrokenProcessPool as error:
        raise WorkerLostError(
            "a worker process was killed or ran out of memory; what is done is kept: run again, with a smaller "
            "MOVIEGEN_PROCESSES if memory is short"
        ) from error


@dataclass
class _Worker:
    """What this process does, if it is a worker."""

    begin: Callable[[], Callable[[Any], Any]] | None = None
    work: Callable[[Any], Any] | None = None


_WORKER = _Worker()


def _prepare(begin: Callable[[], Callable[[Any], Any]]) -> None:
    torch.set_num_threads(1)
    _WORKER.begin = begin
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed flow must not leave workers that go on writing."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(item: Any) -> Any:
    if _WORKER.work is None:
        # Here and not in `_prepare`, whose errors would reach nobody.
        assert _WORKER.begin is not None
        _WORKER.work = _WORKER.begin()
    return _WORKER.work(item)
