"""The evaluation pipeline: score the edits of a stage against truths and references, draw the sheet, ask the gate."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from features.cases import AS_ASKED, FRAMEWISE, TRUE_TASK, WRONG, request_name
from flows.inference import CANDIDATE, CHAMPION, open_editor
from flows.job import Job
from flows.steps import Steps
from inference.editor import Editor
from models.build import EDITOR
from models.metrics import CaseFrames, replace_edit, score_case, score_references
from stores.clip_writer import encode_clip, write_picture
from stores.frames import unpack_frames
from stores.model_registry.models import ModelRegistry
from stores.model_registry.tracking import TrackedRun, Tracking, lineage_tags
from stores.receipts import Receipt, save_receipt
from stores.schema import CASES, EDIT_REQUESTS, EDITS
from training.evaluate import Evaluation, ScoredCase, evaluate
from training.gate import GateDecision, GateFigures, decide
from training.previews import SheetRow, contact_sheet

EXPERIMENT = "evaluation"
STAGE = "evaluation"
CODE = ("models", "training")
CLIPS_SHOWN = 6


@dataclass(frozen=True)
class CaseResult:
    """One case with all that was scored of it, and its row on the sheet."""

    scored: tuple[ScoredCase, ...]
    row: SheetRow
    fps: float


def evaluate_stage(job: Job, steps: Steps, stage: str) -> Receipt:
    """Score a stage's edits on the held-out cases, write `metrics/evaluation.json`, ask the gate."""
    cases, edits = job.receipt("cases"), job.receipt(f"edits-{stage}")
    editor = steps.run("open editor", lambda: open_editor(job, receipt=job.receipt(stage)).editor)
    results = steps.run("score cases", lambda: list(_results(job, stage, editor)))
    scored = [case for result in results for case in result.scored]
    params = job.params.evaluation
    report = steps.run("summarise", lambda: evaluate(scored, seed=params.seed, resamples=params.resamples))
    decision = decide(_gate_figures(report, stage), job.params.training.gate)
    _write(job.state.metrics / "evaluation.json", report.to_json())
    sheet = job.state.outputs / STAGE / "sheet.png"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    write_picture(sheet, contact_sheet([result.row for result in results[: params.sheet_rows]]))
    parents = {
        "cases": cases.table(CASES.name).digest,
        "edits": edits.table(EDITS.name).digest,
        "editor": job.receipt(stage).model(EDITOR).digest,
    }
    figures = {"cases": len(results), "success": report.systems[stage].overall.success, "champion": decision.accepted}
    receipt = Receipt(stage=STAGE, parents=parents, figures=figures)
    key = job.key(STAGE, CODE, params.model_dump(), parents)
    with Tracking(job.state).run(EXPERIMENT, stage, key, params.model_dump()) as run:
        run.input(cases.table(CASES.name), "evaluation")
        run.input(edits.table(EDITS.name), "evaluation")
        _log(job, run, stage, report, decision, results, sheet)
        run.tags(lineage_tags(receipt))
        _promote(job, stage, decision)
        steps.note("evaluation", f"{verdict(report, stage, decision)}\n{run.link()}\n")
    save_receipt(receipt, job.state)
    return receipt


def verdict(report: Evaluation, stage: str, decision: GateDecision) -> str:
    """The main figures and the gate's answer as Markdown."""
    lines = [
        f"# Evaluation of stage `{stage}`",
        "",
        "| system | cases | success | edit PSNR | keep PSNR |",
        "|---|---|---|---|---|",
    ]
    for name, system in report.systems.items():
        shown = system.overall
        numbers = [_shown(value) for value in (shown.success, shown.edit_psnr, shown.keep_psnr)]
        lines.append(f"| {name} | {shown.cases} | {' | '.join(numbers)} |")
    answer = "accepted: it is now `champion`" if decision.accepted else "refused: it stays `candidate`"
    return "\n".join([*lines, "", f"The gate {answer}.", *[f"* {reason}" for reason in decision.reasons]]) + "\n"


def _results(job: Job, stage: str, editor: Editor) -> Iterator[CaseResult]:
    edits = _edits_by_name(job, stage)
    table = job.folder("cases").open(job.receipt("cases").table(CASES.name))
    for case in table.rows().to_pylist():
        yield _result(case, stage, editor, edits)


def _edits_by_name(job: Job, stage: str) -> Mapping[str, np.ndarray]:
    requests = job.folder("cases").open(job.receipt("cases").table(EDIT_REQUESTS.name)).rows(["id", "name"]).to_pylist()
    names = {row["id"]: row["name"] for row in requests}
    edits = job.folder(f"edits-{stage}").open(job.receipt(f"edits-{stage}").table(EDITS.name))
    rows = edits.rows(["request_id", "frames", "id"], where="status = 'ok'").to_pylist()
    return {names[row["request_id"]]: unpack_frames(row["frames"]) for row in rows}


def _result(case: Mapping[str, Any], stage: str, editor: Editor, edits: Mapping[str, np.ndarray]) -> CaseResult:
    source, truth = unpack_frames(case["source"]), unpack_frames(case["truth"])
    frames = CaseFrames(
        source=source,
        truth=truth,
        edit=edits[request_name(AS_ASKED, case["id"])],
        ceiling=editor.reconstruct(truth),
        copy_ae=editor.reconstruct(source),
        decoys=tuple(unpack_frames(decoy) for decoy in case["decoys"]),
    )
    own = score_case(frames)
    scores = {stage: own, **vars(score_references(frames))}
    scores[f"{stage}_true_task"] = score_case(replace_edit(frames, edits[request_name(TRUE_TASK, case["id"])]))
    scores["wrong_instruction"] = score_case(replace_edit(frames, edits[request_name(WRONG, case["id"])]))
    if request_name(FRAMEWISE, case["id"], 0) in edits:
        single = [edits[request_name(FRAMEWISE, case["id"], frame)] for frame in range(len(source))]
        scores[f"{stage}_framewise"] = score_case(replace_edit(frames, np.concatenate(single)))
    scored = tuple(
        ScoredCase(
            case_id=case["id"],
            system=name,
            task=case["task"],
            scene=case["scene"],
            kind="picture" if case["kind"] == "picture" else "clip",
            score=score,
        )
        for name, score in scores.items()
    )
    row = SheetRow(case["instruction"], case["task"], source, frames.edit, truth, frames.ceiling, own.success)
    return CaseResult(scored, row, case["fps"])


def _gate_figures(report: Evaluation, stage: str) -> GateFigures:
    systems = report.systems
    own, ceiling, wrong = (systems[name].overall for name in (stage, "ceiling", "wrong_instruction"))
    return GateFigures(own.success, wrong.success, own.keep_psnr, ceiling.keep_psnr, own.colour_drift)


def _log(
    job: Job, run: TrackedRun, stage: str, report: Evaluation, decision: GateDecision, results: list[CaseResult],
    sheet: Path,
) -> None:  # fmt: skip
    for name, system in report.systems.items():
        values = system.overall.model_dump(exclude={"failed"})
        run.metrics({f"{name}/{key}": value for key, value in values.items()})
    run.note(verdict(report, stage, decision))
    run.text(report.to_json(), "evaluation.json")
    run.file(sheet, "sheets")
    clips = [result for result in results if len(result.row.source) > 1][:CLIPS_SHOWN]
    for number, result in enumerate(clips):
        _log_clip(job, run, number, result)


def _log_clip(job: Job, run: TrackedRun, number: int, result: CaseResult) -> None:
    """Source, edit and truth side by side as one playable clip."""
    row = result.row
    together = np.concatenate([row.source, row.edit, row.truth], axis=2)
    path = job.state.outputs / STAGE / f"clip_{number:02d}_{row.task}.mp4"
    path.write_bytes(encode_clip(together, Fraction(result.fps).limit_denominator(1000)))
    run.file(path, "clips")


def _promote(job: Job, stage: str, decision: GateDecision) -> None:
    registry = ModelRegistry(Tracking(job.state))
    model = job.receipt(stage).model(EDITOR)
    verdict_tag = "accepted" if decision.accepted else "; ".join(decision.reasons)
    registry.annotate(model, {"gate": verdict_tag})
    registry.promote(model, CANDIDATE)
    if decision.accepted:
        registry.promote(model, CHAMPION)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text if text.endswith("\n") else text + "\n")
    os.replace(partial, path)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
