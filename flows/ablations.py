"""The paper's ablations in small: `python -m flows.ablations [COMPARISON ...]`.

Runs the chain, as far as it is needed, under a root of its own, then every variant of `flows/ablation_table.py` from
where it differs, with several seeds of training, and holds the edits of the same held-out cases together. Adds what it
finds, one comparison after another, to `benchmarks/results/ablations.json` and to the table in `docs/ablations.md`.
Killed, it goes on where it was as far as trainings go; edits that are scored are made again.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.cases import AS_ASKED, FRAMEWISE, request_name
from flows.ablation_page import PAGE, RESULT, write_results
from flows.ablation_table import COMPARISONS, Comparison, Shown, Variant
from flows.evaluate import case_frames, case_rows, edits_by_name, scored_case
from flows.inference import answer_cases, open_editor
from flows.job import Job
from flows.revision import commit
from flows.settings import ROOT, apply_environment
from flows.stages import BY_DEFAULT, CHAIN
from flows.steps import PlainSteps
from inference.editor import Editor, FramesRequest
from inference.params import Overrides, edit_settings
from models.success import CaseFrames, replace_edit, score_case
from stores.frames import pack_frames, unpack_frames
from stores.schema import EDIT_REQUESTS
from training.compare import Difference, paired_differences
from training.evaluate import ScoredCase

# The chain up to the last table: stage three is trained, and the cases are answered, by the variants.
NEEDED = tuple(
    stage.name for stage in CHAIN if stage.name in {*BY_DEFAULT["features"], *BY_DEFAULT["training"]} - {"three"}
)
NAMES = [stage.name for stage in CHAIN]
HALF = "half"


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


def run(bench: Bench, comparisons: Sequence[Comparison], seeds: int) -> Iterator[tuple[str, dict[str, Difference]]]:
    """Every comparison as soon as both of its sides are scored: its name, and its differences by score."""
    with bench.job().state.writing():
        bench.make(needed(comparisons), bench.job())
        chain, params = bench.receipts(), bench.job().params.evaluation
        cases = _cases(bench.job(), halves=any(pair.shown is Shown.HALVES for pair in comparisons))
        scored: dict[str, list[list[ScoredCase]]] = {}
        for pair in comparisons:
            for variant in (pair.old, pair.new):
                if variant.name not in scored:
                    print(f"variant {variant.name} ...", flush=True)
                    scored[variant.name] = _scored(bench, variant, cases, seeds)
                    restore(chain)
            new, old = (_shown(scored[side.name], pair.shown) for side in (pair.new, pair.old))
            yield pair.name, paired_differences(new, old, seed=params.seed, resamples=params.resamples)


def needed(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The stages of the chain that the variants of some comparisons begin after."""
    ends = [NAMES.index("one") + 1]  # references go through the autoencoder of its editor
    for side in (side for pair in comparisons for side in (pair.new, pair.old)):
        made = (*side.remade, *side.trained)
        ends.append(NAMES.index(made[0]) if made else NAMES.index(side.judged) + 1)
    return tuple(name for name in NEEDED if NAMES.index(name) < max(ends))


@dataclass(frozen=True)
class _Case:
    """A held-out case, or half of one, and its frames beside the references, the source standing in for an edit."""

    row: dict[str, Any]
    seed: int
    is_half: bool
    frames: CaseFrames

    @property
    def name(self) -> str:
        """What it is scored as."""
        return f"{HALF}/{self.row['id']}" if self.is_half else str(self.row["id"])


def _cases(job: Job, halves: bool) -> list[_Case]:
    editor: Editor = open_editor(job, receipt=job.receipt("one")).editor
    store, receipt = job.folder("cases"), job.receipt("cases")
    requests = store.open(receipt.table(EDIT_REQUESTS.name)).rows(["name", "seed"]).to_pylist()
    seeds = {request["name"]: request["seed"] for request in requests}
    found = []
    for row in case_rows(job):
        seed = seeds[request_name(AS_ASKED, row["id"])]
        found.append(_case(row, seed, False, editor))
        if halves and row["frames"] > 1:
            found.append(_case(halved(row), seed, True, editor))
    return found


def _case(row: Mapping[str, Any], seed: int, is_half: bool, editor: Editor) -> _Case:
    kept = ("id", "task", "scene", "kind", "instruction")
    frames = case_frames(row, editor, unpack_frames(row["source"]))
    return _Case({name: row[name] for name in kept}, seed, is_half, frames)


def halved(case: Mapping[str, Any]) -> dict[str, Any]:
    """The first half of a clip's case."""

    def cut(packed: bytes) -> bytes:
        frames = unpack_frames(packed)
        return pack_frames(frames[: len(frames) // 2])

    return {
        **case,
        **{name: cut(case[name]) for name in ("source", "truth")},
        "decoys": [cut(decoy) for decoy in case["decoys"]],
    }


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
        editor = open_editor(job, receipt=job.receipt(variant.judged)).editor
        drawn = [(case, _edit(case, variant, edits, editor)) for case in cases]
        found.append([_score(case, variant.name, edit) for case, edit in drawn if edit is not None])
    return found


def _edit(case: _Case, variant: Variant, edits: Mapping[str, np.ndarray], editor: Editor) -> np.ndarray | None:
    """What a variant made of a case, None where it was not asked to. Halves have no request: they are drawn here."""
    key = case.row["id"]
    if variant.framewise:
        names = [request_name(FRAMEWISE, key, frame) for frame in range(len(case.frames.source))]
        asked = not case.is_half and names[0] in edits
        return np.concatenate([edits[name] for name in names]) if asked else None
    if case.is_half:
        settings = edit_settings(editor.params, Overrides.checked(seed=case.seed))
        return editor.edit_batch([FramesRequest(case.frames.source, case.row["instruction"], settings)])[0].frames
    return edits[request_name(AS_ASKED, key)]


def _score(case: _Case, system: str, edit: np.ndarray) -> ScoredCase:
    return scored_case(case.row | {"id": case.name}, system, score_case(replace_edit(case.frames, edit)))


def _shown(seeds: Sequence[Sequence[ScoredCase]], shown: Shown) -> list[list[ScoredCase]]:
    return [[case for case in cases if _is_shown(case, shown)] for cases in seeds]


def _is_shown(case: ScoredCase, shown: Shown) -> bool:
    if case.case_id.startswith(f"{HALF}/"):
        return shown is Shown.HALVES
    return (
        shown is Shown.ALL
        or (shown is Shown.CLIPS and case.kind == "clip")
        or (shown is Shown.PICTURES and case.kind == "picture")
    )


def main() -> None:
    """`python -m flows.ablations`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="The paper's ablations in small.")
    names = [pair.name for pair in COMPARISONS]
    parser.add_argument("comparisons", nargs="*", metavar="COMPARISON", help=f"all of {', '.join(names)} by default")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "ablations", help="where it works; resumes there")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--result", type=Path, default=RESULT, help="the record that is added to")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page with the table")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="values")
    told = parser.parse_args()
    unknown = sorted(set(told.comparisons) - set(names))
    if unknown:
        parser.error(f"unknown comparisons {unknown}; known: {', '.join(names)}")
    if told.seeds < 1:
        parser.error("at least one seed")
    if told.state.resolve() == ROOT:
        parser.error("variants take the place of the chain's receipts while they run: give them a state of their own")
    clips = Job.open(told.params, told.state, tuple(told.values)).params.features.cases.clips
    bench = Bench(told.params, told.state, (*told.values, f"features.cases.framewise_clips={clips}"))
    chosen = [pair for pair in COMPARISONS if pair.name in (told.comparisons or names)]
    how = {"seeds": told.seeds, "params": told.params.name, "values": told.values, "commit": commit()}
    for name, differences in run(bench, chosen, told.seeds):
        print(write_results({name: differences}, how, told.result, told.page), flush=True)


if __name__ == "__main__":
    main()
