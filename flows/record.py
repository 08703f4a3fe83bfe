"""The dated record of a measurement: `benchmarks/results/<name>.json`."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from flows.revision import commit
from flows.settings import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def record_of(
    name: str, params: Mapping[str, Any], figures: Mapping[str, float], code: str | None = None
) -> dict[str, Any]:
    """The figures with what they were measured on; `code` is the commit, by default that of now."""
    return {
        "name": name,
        "commit": code or commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "params": dict(params),
        "figures": dict(figures),
    }


def write_record(
    path: Path, params: Mapping[str, Any], figures: Mapping[str, float], code: str | None = None
) -> dict[str, Any]:
    """Write a record, named like its file."""
    record = record_of(path.stem, params, figures, code)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return record


def machine() -> str:
    """Processor, threads and torch, in words."""
    return f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
