"""Write the results block of the README from metrics/evaluation.json: `python -m flows.results`."""

import json
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.settings import ROOT
from flows.stages import STAGES

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
COLUMNS = {"success": "success", "edit_psnr": "edit PSNR (dB)", "keep_psnr": "keep PSNR (dB)", "colour_drift": "drift"}


def block(evaluation: Path, commit: str) -> str:
    """The table of systems as Markdown, dated, with its commit."""
    systems = json.loads(evaluation.read_text())["systems"]
    lines = [
        "## Results",
        "",
        f"Held-out scenes and wordings, {datetime.now(UTC):%Y-%m-%d}, commit `{commit}`, default `params.yaml`,",
        "two CPU cores. Definitions: [docs/evaluation.md](docs/evaluation.md).",
        "",
        f"| system | cases | {' | '.join(COLUMNS.values())} |",
        _rule(),
    ]
    lines += [_line(name, system["overall"]) for name, system in systems.items()]
    for stage in (name for name in STAGES if name in systems):
        lines += ["", f"| `{stage}`, by task | cases | {' | '.join(COLUMNS.values())} |", _rule()]
        lines += [_line(task, figures) for task, figures in systems[stage]["tasks"].items()]
    return "\n".join(lines)


def _rule() -> str:
    return f"|---|---|{'---|' * len(COLUMNS)}"


def _line(name: str, figures: Mapping[str, Any]) -> str:
    values = [_number(figures.get(column)) for column in COLUMNS]
    return f"| `{name}` | {figures['cases']} | {' | '.join(values)} |"


def filled(readme: str, table: str) -> str:
    """The README with its results block replaced."""
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table}\n{END}", readme, flags=re.DOTALL)


def main() -> None:
    """Rewrite README.md in place."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(), block(ROOT / "metrics" / "evaluation.json", told.stdout.strip())))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
