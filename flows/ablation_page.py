"""What ablations found: a dated record of figures, and the table in `docs/ablations.md`.

A run of some comparisons leaves those of others as they are; each says with how many seeds and at which commit it ran.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from flows.ablation_table import COMPARISONS
from flows.record import RESULTS, write_record
from flows.settings import ROOT
from training.compare import COMPARED, Difference

RESULT = RESULTS / "ablations.json"
PAGE = ROOT / "docs" / "ablations.md"
BEGIN, END = "<!-- ablations:begin -->", "<!-- ablations:end -->"
DECIMALS = 4

Found = Mapping[str, Mapping[str, Difference]]  # by comparison and score


def write_results(found: Found, run: Mapping[str, Any], result: Path = RESULT, page: Path = PAGE) -> str:
    """Add the differences to the record and the page; the table, as it is on the page now.

    `run` says how they were made: `seeds`, `params`, `values`, and the `commit` at the start, before files changed.
    """
    kept: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else {"params": {}, "figures": {}}
    known = {pair.name for pair in COMPARISONS}
    others = {key: value for key, value in kept["figures"].items() if key.partition("/")[0] in known - found.keys()}
    runs = {name: told for name, told in kept["params"].items() if name in known}
    runs |= {name: dict(run) for name in found}
    figures = others | figures_of(found)
    write_record(result, runs, figures, run["commit"])
    made = f"{BEGIN}\n{table(differences(figures), runs)}\n{END}"
    page.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: made, page.read_text(), flags=re.DOTALL))
    return made


def figures_of(found: Found) -> dict[str, float]:
    """Flat: `<comparison>/<score>/<figure>`; what is defined for no case is left out."""
    return {
        f"{name}/{score}/{key}": round(float(value), DECIMALS)
        for name, scores in found.items()
        for score, difference in scores.items()
        for key, value in vars(difference).items()
        if not np.isnan(value)
    }


def differences(figures: Mapping[str, float]) -> dict[str, dict[str, Difference]]:
    """The way back of `figures_of`."""
    names = list(dict.fromkeys(key.partition("/")[0] for key in figures))
    return {name: {score: _difference(figures, f"{name}/{score}") for score in COMPARED} for name in names}


def _difference(figures: Mapping[str, float], where: str) -> Difference:
    values = {field.name: figures.get(f"{where}/{field.name}", float("nan")) for field in fields(Difference)}
    return Difference(**values | {"cases": int(figures.get(f"{where}/cases", 0))})  # type: ignore[arg-type]


def table(found: Found, runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The comparisons as Markdown, in the order of the table of variants."""
    lines = [
        "A difference is new minus old, with its 95 % interval over scenes.",
        "",
        "| new over old | cases | seeds | success, new, old | difference | edit PSNR, dB | keep PSNR, dB | the paper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for pair in COMPARISONS:
        if pair.name in found:
            success = found[pair.name]["success"]
            shown = [_interval(found[pair.name][name]) for name in ("success", "edit_psnr", "keep_psnr")]
            rates, seeds = f"{success.new:.2f} {success.old:.2f}", runs[pair.name]["seeds"]
            lines.append(
                f"| {pair.question} | {success.cases} | {seeds} | {rates} | {' | '.join(shown)} | {pair.paper} |"
            )
    return "\n".join(lines)


def _interval(one: Difference) -> str:
    return "-" if np.isnan(one.value) else f"{one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"
