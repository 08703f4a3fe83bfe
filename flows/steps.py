"""How a pipeline's steps are run: called plainly, or as tasks of a Prefect flow. Same order, same result."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


class Steps(Protocol):
    """What a composing function needs to run its parts."""

    def run(self, name: str, work: Callable[[], T]) -> T:
        """One step."""
        ...

    def each(self, name: str, work: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        """One step an item, in order: a shard each, never a row each."""
        ...

    def note(self, key: str, markdown: str) -> None:
        """Tell a person what came out."""
        ...


class PlainSteps:
    """Plain calls; notes go to the terminal."""

    def run(self, name: str, work: Callable[[], T]) -> T:
        print(f"{name} ...", flush=True)
        return work()

    def each(self, name: str, work: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        found = []
        for number, item in enumerate(items, start=1):
            print(f"{name} {number}/{len(items)} ...", flush=True)
            found.append(work(item))
        return found

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

    def each(self, name: str, work: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        names = (f"{name} {number}/{len(items)}" for number in range(1, len(items) + 1))
        return [self._task(told, partial(work, item))() for told, item in zip(names, items, strict=True)]

    def note(self, key: str, markdown: str) -> None:
        from prefect.artifacts import create_markdown_artifact

        create_markdown_artifact(markdown=markdown, key=key.replace("_", "-").lower())

    @staticmethod
    def _task(name: str, work: Callable[[], T]) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        # A closure without parameters: Prefect would walk through models and stores given as arguments.
        return task(lambda: work(), name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)
