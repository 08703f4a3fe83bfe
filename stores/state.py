"""The state root: one folder under which everything a pipeline writes lies, and the lock of its one writer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout


class StateBusyError(RuntimeError):
    """Another pipeline is writing under the same state root."""


@dataclass(frozen=True)
class State:
    """Folders under a state root. `dvc repro` uses the checkout itself, deployments `var/deploy`, tests their own."""

    root: Path

    @classmethod
    def at(cls, root: Path | str) -> "State":
        return cls(Path(root).resolve())

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def packed(self) -> Path:
        """Copies of tables for fast reading, made anew when they are missing."""
        return self.store / "packed"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow"

    @property
    def receipts(self) -> Path:
        return self.root / "receipts"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the root's only writing right.

        Raises:
            StateBusyError: another pipeline holds it.
        """
        self.store.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.store / ".writer.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise StateBusyError(
                f"another pipeline is writing under {self.root}; wait for it, or give this one its own --state"
            ) from None
        try:
            yield
        finally:
            lock.release()
