"""Where the checkout is, and the environment that every command of the project runs in."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_environment(root: Path = ROOT) -> dict[str, str]:
    """The variables of `project.env` with `${ROOT}` filled in; FileNotFoundError outside a checkout."""
    path = root / "project.env"
    if not path.is_file():
        raise FileNotFoundError(f"no project.env in {root}: install the project with `pip install -e .` in a checkout")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key: value.replace("${ROOT}", str(root)) for key, _, value in pairs}


def apply_environment(root: Path = ROOT) -> None:
    """Set what the process environment does not already say. Call it before the first heavy import."""
    for key, value in read_environment(root).items():
        os.environ.setdefault(key, value)


def processes() -> int:
    """How many processes build shards of a table: MOVIEGEN_PROCESSES, one if it is not said.

    Raises:
        ValueError: it is no whole number from 1 on.
    """
    told = os.environ.get("MOVIEGEN_PROCESSES", "1")
    if not told.isdecimal() or int(told) < 1:
        raise ValueError(f"MOVIEGEN_PROCESSES is {told!r}, but must be a whole number from 1 on")
    return int(told)
