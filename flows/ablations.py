"""The paper's ablations in small: `python -m flows.ablations [COMPARISON ...]`.

Runs the chain once under a root of its own, then every variant of `flows/ablation_table.py` from where it differs, with
several seeds of training, and holds the edits of the same held-out cases together. Writes
`benchmarks/results/ablations.json` and the table in `docs/ablations.md`. Killed, it goes on where it was: rows,
checkpoints and edits are kept under their ids.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.cases import AS_ASKED, FRAMEWISE, request_name
from flows.ablation_table import COMPARISONS, Comparison, Variant
from flows.evaluate import case_frames, edits_by_name
from flows.inference import answer_cases, open_editor
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from flows.stages import BY_DEFAULT, CHAIN
from flows.steps import PlainSteps
from inference.editor import Editor
from models.metrics import CaseFrames, replace_edit, score_case
from stores.frames import unpack_frames
from stores.schema import CASES
from training.compare import Difference, paired_difference
from training.evaluate import ScoredCase

SCORES = ("success", "edit_psnr", "keep_psnr", "flicker")
# The chain up to the last table: stage three is trained, and the cases are answered, by the variants.
NEEDED = tuple(
    stage.name for stage in CHAIN if stage.name in {*BY_DEFAULT["features"], *BY_DEFAULT["training"]} - {"three"}
)
BEGIN, END = "<!-- ablations:begin -->", "<!-- ablations:end -->"
PAGE = ROOT / "docs" / "ablations.md"


@dataclass(frozen=True)
class Bench:
    """Where variants are run: parameters, a state root, and what the uninterrupted chain left there."""

    params: Path
    root: Path
    values: tuple[str, ...]

    def job(self, *values: str) -> Job:
        return Job.open(self.params, self.root, (*self.values, *values))

    def make(self, stages: Sequence[str], job: Job) -> None:
        """Make some stages of the chain."""
        makers = {stage.name: stage.make for stage in CHAIN}
        for name in stages:
            makers[name](job, PlainSteps())

    def receipts(self) -> dict[Path, str]:
        """What later stages would read now."""
        return {path: path.read_text() for path in sorted(self.job().state.receipts.glob("*.json"))}


def restore(receipts: Mapping[Path, str]) -> None:
    """Let later stages read these again: tables and models keep every version that was published."""
    for path, text in receipts.items():
        path.write_text(text)


def run(bench: Bench, comparisons: Sequence[Comparison], seeds: int) -> dict[str, dict[str, Difference]]:
    """The differences of every comparison, by score."""
    with bench.job().state.writing():
        bench.make(NEEDED, bench.job())
        chain, params = bench.receipts(), bench.job().params.evaluation
        cases = list(_cases(bench.job()))
        scored: dict[str, list[list[ScoredCase]]] = {}
        for variant in {one.name: one for pair in comparisons for one in (pair.old, pair.new)}.values():
            print(f"variant {variant.name} ...", flush=True)
            restore(chain)
            scored[variant.name] = _scored(bench, variant, cases, seeds)
        restore(chain)
    found = {}
    for pair in comparisons:
        new, old = (_shown(scored[side.name], pair) for side in (pair.new, pair.old))
        found[pair.name] = {
            name: paired_difference(new, old, name, seed=params.seed, resamples=params.resamples) for name in SCORES
        }
    return found


@dataclass(frozen=True)
class _Case:
    """A held-out case, and its frames beside the references, with the source standing in for an edit."""

    row: Mapping[str, Any]
    frames: CaseFrames


def _cases(job: Job) -> list[_Case]:
    editor: Editor = open_editor(job, receipt=job.receipt("one")).editor
    rows = job.folder("cases").open(job.receipt("cases").table(CASES.name)).rows().to_pylist()
    found = [(row, case_frames(row, editor, unpack_frames(row["source"]))) for row in rows]
    kept = ("id", "task", "scene", "kind")
    return [_Case({name: row[name] for name in kept}, frames) for row, frames in found]


def _scored(bench: Bench, variant: Variant, cases: Sequence[_Case], seeds: int) -> list[list[ScoredCase]]:
    """The scores of a variant, once a seed; what is not trained has one."""
    bench.make(variant.remade, bench.job(*variant.values))
    remade, asked = bench.receipts(), (FRAMEWISE if variant.framewise else AS_ASKED,)
    found = []
    for seed in range(seeds if variant.trained else 1):
        restore(remade)
        # The seed of the training alone: all seeds learn from the same rows.
        job = bench.job(*variant.values, f"seed={seed}")
        bench.make(variant.trained, job)
        answer_cases(job, PlainSteps(), variant.judged, asked)
        edits = edits_by_name(job, variant.judged)
        found.append([one for case in cases if (one := _score(case, variant, edits))])
    return found


def _score(case: _Case, variant: Variant, edits: Mapping[str, np.ndarray]) -> ScoredCase | None:
    key = case.row["id"]
    if variant.framewise:
        names = [request_name(FRAMEWISE, key, frame) for frame in range(len(case.frames.source))]
        if names[0] not in edits:
            return None
        edit = np.concatenate([edits[name] for name in names])
    else:
        edit = edits[request_name(AS_ASKED, key)]
    return ScoredCase(
        case_id=key,
        system=variant.name,
        task=case.row["task"],
        scene=case.row["scene"],
        kind="picture" if case.row["kind"] == "picture" else "clip",
        score=score_case(replace_edit(case.frames, edit)),
    )


def _shown(seeds: Sequence[Sequence[ScoredCase]], pair: Comparison) -> list[list[ScoredCase]]:
    return [[case for case in cases if case.kind == "clip" or not pair.clips_only] for cases in seeds]


def figures_of(found: Mapping[str, Mapping[str, Difference]]) -> dict[str, float]:
    """Flat: `<comparison>/<score>/<figure>`; what is defined for no case is left out."""
    return {
        f"{name}/{score}/{key}": round(float(value), 4)
        for name, scores in found.items()
        for score, difference in scores.items()
        for key, value in vars(difference).items()
        if not np.isnan(value)
    }


def table(found: Mapping[str, Mapping[str, Difference]], seeds: int) -> str:
    """The comparisons as Markdown."""
    lines = [
        f"{seeds} seeds of training a side. A difference is new minus old, with its 95 % interval over scenes.",
        "",
        "| new over old | cases | success, new and old | difference | edit PSNR, dB | keep PSNR, dB | the paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for pair in COMPARISONS:
        if pair.name in found:
            success = found[pair.name]["success"]
            shown = [_interval(found[pair.name][name]) for name in ("success", "edit_psnr", "keep_psnr")]
            rates = f"{success.new:.2f} {success.old:.2f}"
            lines.append(f"| {pair.question} | {success.cases} | {rates} | {' | '.join(shown)} | {pair.paper} |")
    return "\n".join(lines)


def _interval(one: Difference) -> str:
    return "-" if np.isnan(one.value) else f"{one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"


def main() -> None:
    """`python -m flows.ablations`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="The paper's ablations in small.")
    names = [pair.name for pair in COMPARISONS]
    parser.add_argument("comparisons", nargs="*", metavar="COMPARISON", help=f"all of {', '.join(names)} by default")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "ablations", help="where it works; resumes there")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="values")
    told = parser.parse_args()
    unknown = sorted(set(told.comparisons) - set(names))
    if unknown:
        parser.error(f"unknown comparisons {unknown}; known: {', '.join(names)}")
    if told.state.resolve() == ROOT:
        parser.error("variants take the place of the chain's receipts while they run: give them a state of their own")
    clips = Job.open(told.params, told.state, tuple(told.values)).params.features.cases.clips
    bench = Bench(told.params, told.state, (*told.values, f"features.cases.framewise_clips={clips}"))
    chosen = [pair for pair in COMPARISONS if pair.name in (told.comparisons or names)]
    found = run(bench, chosen, told.seeds)
    write_record(RESULTS / "ablations.json", {"seeds": told.seeds, "values": told.values}, figures_of(found))
    made = f"{BEGIN}\n{table(found, told.seeds)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: made, PAGE.read_text(), flags=re.DOTALL))
    print(made)


if __name__ == "__main__":
    main()
