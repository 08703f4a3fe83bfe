"""How a pipeline's steps are run: called plainly, or as tasks of a Prefect flow. Same order, same result."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


class Steps(Protocol):
    """What a composing function needs to run its parts."""

    def run(self, name: str, work: Callable[[], T]) -> T:
        """One step."""
        ...

    def each(self, name: str, work: Callable[[Item], T], items: Sequence[Item], at_once: int = 1) -> list[T]:
        """One step an item, begun in order, so many at once: a shard each, never a row each."""
        ...

    def note(self, key: str, markdown: str) -> None:
        """Tell a person what came out."""
        ...


class PlainSteps:
    """Plain calls; notes go to the terminal."""

    def run(self, name: str, work: Callable[[], T]) -> T:
        print(f"{name} ...", flush=True)
        return work()

    def each(self, name: str, work: Callable[[Item], T], items: Sequence[Item], at_once: int = 1) -> list[T]:
        def told(number: int) -> T:
            print(f"{name} {number}/{len(items)} ...", flush=True)
            return work(items[number - 1])

        return _all([partial(told, number) for number in range(1, len(items) + 1)], at_once)

    def note(self, key: str, markdown: str) -> None:
        print(markdown, flush=True)


class PrefectSteps:
    """Tasks of the current flow run; notes are artifacts. Prefect caches nothing: DVC decides what is up to date."""

    def __init__(self) -> None:
        from prefect.runtime import flow_run

        # MLflow runs carry these as tags, also those of a training's own process.
        os.environ["MOVIEGEN_FLOW_RUN_ID"] = str(flow_run.id or "")
        os.environ["MOVIEGEN_FLOW_RUN_URL"] = str(flow_run.ui_url or "")

    def run(self, name: str, work: Callable[[], T]) -> T:
        found: T = self._task(name, work)()
        return found

    def each(self, name: str, work: Callable[[Item], T], items: Sequence[Item], at_once: int = 1) -> list[T]:
        names = (f"{name} {number}/{len(items)}" for number in range(1, len(items) + 1))
        return _all([self._task(told, partial(work, item)) for told, item in zip(names, items, strict=True)], at_once)

    def note(self, key: str, markdown: str) -> None:
        from prefect.artifacts import create_markdown_artifact

        create_markdown_artifact(markdown=markdown, key=key.replace("_", "-").lower())

    @staticmethod
    def _task(name: str, work: Callable[[], T]) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        # A closure without parameters: Prefect would walk through models and stores given as arguments.
        return task(lambda: work(), name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)


def _all(calls: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """Results in order; after an error nothing more is begun. Threads know the flow run that they work for."""
    if at_once == 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(at_once) as threads:
        begun = [threads.submit(copy_context().run, call) for call in calls]
        try:
            return [future.result() for future in begun]
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
