"""The evaluation pipeline: score the edits of a stage against truths and references, draw the sheet, ask the gate."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from features.cases import AS_ASKED, FRAMEWISE, TRUE_TASK, WRONG, request_name
from flows.inference import CANDIDATE, CHAMPION, open_editor
from flows.job import Job
from flows.steps import Steps
from inference.editor import Editor
from models.build import EDITOR
from models.cores import on_cores
from models.success import CaseFrames, CaseScore, replace_edit, score_case, score_references
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
    """One case with all that was scored of it, and its row on the sheet of every stage."""

    scored: tuple[ScoredCase, ...]
    rows: Mapping[str, SheetRow]
    fps: float


def evaluate_stages(job: Job, steps: Steps, stages: Sequence[str]) -> Receipt:
    """Score the edits of some stages on the held-out cases, write `metrics/evaluation.json`, ask the gate of each.

    Of those that are accepted, the one that succeeds most often becomes champion, the later one of two alike.
    """
    cases = job.receipt("cases").table(CASES.name)
    edits = {stage: job.receipt(f"edits-{stage}").table(EDITS.name) for stage in stages}
    editor = steps.run("open editor", lambda: open_editor(job, receipt=job.receipt(stages[-1])).editor)
    results = steps.run("score cases", lambda: list(_results(job, stages, editor)))
    scored = [case for result in results for case in result.scored]
    params = job.params.evaluation
    report = steps.run("summarise", lambda: evaluate(scored, seed=params.seed, resamples=params.resamples))
    decisions = {stage: decide(_gate_figures(report, stage, stages), job.params.training.gate) for stage in stages}
    _write(job.state.metrics / "evaluation.json", report.to_json())
    parents = {"cases": cases.digest} | {f"edits-{stage}": table.digest for stage, table in edits.items()}
    parents |= {f"editor-{stage}": job.receipt(stage).model(EDITOR).digest for stage in stages}
    accepted = [stage for stage in stages if decisions[stage].accepted]
    # Scored on the same cases, so they compare: a later stage need not be a better one.
    champion = max(reversed(accepted), key=lambda stage: report.systems[stage].overall.success or 0.0, default=None)
    figures = {
        "cases": len(results),
        "success": report.systems[stages[-1]].overall.success,
        "champion": champion,
    }
    receipt = Receipt(stage=STAGE, parents=parents, figures=figures)
    key = job.key(STAGE, CODE, params.model_dump(), parents)
    with Tracking(job.state).run(EXPERIMENT, stages[-1], key, params.model_dump()) as run:
        for table in (cases, *edits.values()):
            run.input(table, "evaluation")
        told = verdict(report, decisions)
        _log(job, run, report, told, results)
        run.tags(lineage_tags(receipt))
        for stage in stages:
            _promote(job, stage, decisions[stage], is_champion=stage == champion)
        steps.note("evaluation", f"{told}\n{run.link()}\n")
    save_receipt(receipt, job.state)
    return receipt


def verdict(report: Evaluation, decisions: Mapping[str, GateDecision]) -> str:
    """The main figures and the gate's answers as Markdown."""
    lines = [
        f"# Evaluation of {', '.join(f'`{stage}`' for stage in decisions)}",
        "",
        "| system | cases | success | edit PSNR | keep PSNR |",
        "|---|---|---|---|---|",
    ]
    for name, system in report.systems.items():
        shown = system.overall
        numbers = [_shown(value) for value in (shown.success, shown.edit_psnr, shown.keep_psnr)]
        lines.append(f"| {name} | {shown.cases} | {' | '.join(numbers)} |")
    for stage, decision in decisions.items():
        answer = "accepted: it may be `champion`" if decision.accepted else "refused: it stays a candidate"
        lines += ["", f"Gate, stage `{stage}`: {answer}.", *[f"* {reason}" for reason in decision.reasons]]
    return "\n".join(lines) + "\n"


def _results(job: Job, stages: Sequence[str], editor: Editor) -> Iterator[CaseResult]:
    edits = {stage: edits_by_name(job, stage) for stage in stages}
    for case in case_rows(job):
        yield _result(case, editor, edits)


def case_rows(job: Job) -> list[dict[str, Any]]:
    """The held-out cases, all columns."""
    rows: list[dict[str, Any]] = job.folder("cases").open(job.receipt("cases").table(CASES.name)).rows().to_pylist()
    return rows


def case_frames(case: Mapping[str, Any], editor: Editor, edit: np.ndarray) -> CaseFrames:
    """An edit beside all that it is judged by."""
    source, truth = unpack_frames(case["source"]), unpack_frames(case["truth"])
    ceiling, copy_ae = on_cores(editor.reconstruct, [truth, source])
    return CaseFrames(
        source=source,
        truth=truth,
        edit=edit,
        ceiling=ceiling,
        copy_ae=copy_ae,
        decoys=tuple(unpack_frames(decoy) for decoy in case["decoys"]),
    )


def edits_by_name(job: Job, stage: str) -> Mapping[str, np.ndarray]:
    """The frames that a stage answered the cases with, by the names of the requests.

    Raises:
        ValueError: some of them failed.
    """
    requests = job.folder("cases").open(job.receipt("cases").table(EDIT_REQUESTS.name)).rows(["id", "name"]).to_pylist()
    names = {row["id"]: row["name"] for row in requests}
    edits = job.folder(f"edits-{stage}").open(job.receipt(f"edits-{stage}").table(EDITS.name))
    failed = edits.rows(["error", "id"], where="status != 'ok'").to_pylist()
    if failed:
        told = f"{len(failed)} cases were not edited by stage {stage}, the first for: {failed[0]['error']}"
        raise ValueError(f"{told}. Run edits-{stage} again, or look at that editor")
    rows = edits.rows(["request_id", "frames", "id"]).to_pylist()
    return {names[row["request_id"]]: unpack_frames(row["frames"]) for row in rows}


def _result(case: Mapping[str, Any], editor: Editor, edits: Mapping[str, Mapping[str, np.ndarray]]) -> CaseResult:
    last = list(edits)[-1]
    frames = case_frames(case, editor, edits[last][request_name(AS_ASKED, case["id"])])
    scores, rows = dict(vars(score_references(frames))), {}
    for stage, own in edits.items():
        found = _stage_scores(stage, case["id"], frames, own)
        scores |= {wrong_name(stage, edits) if name == WRONG else name: score for name, score in found.items()}
        edit = own[request_name(AS_ASKED, case["id"])]
        success = scores[stage].success
        rows[stage] = SheetRow(
            case["instruction"], case["task"], frames.source, edit, frames.truth, frames.ceiling, success
        )
    return CaseResult(tuple(scored_case(case, name, score) for name, score in scores.items()), rows, case["fps"])


def scored_case(case: Mapping[str, Any], system: str, score: CaseScore) -> ScoredCase:
    """The score of one system's edit of a row of `cases`."""
    kind: Literal["picture", "clip"] = "picture" if case["kind"] == "picture" else "clip"
    return ScoredCase(case_id=case["id"], system=system, task=case["task"], scene=case["scene"], kind=kind, score=score)


def _stage_scores(stage: str, case: str, frames: CaseFrames, edits: Mapping[str, np.ndarray]) -> dict[str, CaseScore]:
    """What a stage's editor did as asked, with the true task, frame by frame where that was tried, and wrongly told."""
    asked = {stage: AS_ASKED, f"{stage}_true_task": TRUE_TASK, WRONG: WRONG}
    shown = {name: edits[request_name(kind, case)] for name, kind in asked.items()}
    if request_name(FRAMEWISE, case, 0) in edits:
        single = [edits[request_name(FRAMEWISE, case, frame)] for frame in range(len(frames.source))]
        shown[f"{stage}_framewise"] = np.concatenate(single)
    distinct = {edit.tobytes(): edit for edit in shown.values()}  # with the true task, most come out alike
    scores = {told: score_case(replace_edit(frames, edit)) for told, edit in distinct.items()}
    return {name: scores[edit.tobytes()] for name, edit in shown.items()}


def wrong_name(stage: str, stages: Collection[str]) -> str:
    """The system that answers another instruction: the last stage's has no stage in its name."""
    return "wrong_instruction" if stage == list(stages)[-1] else f"{stage}_wrong_instruction"


def _gate_figures(report: Evaluation, stage: str, stages: Sequence[str]) -> GateFigures:
    systems = report.systems
    own, ceiling, wrong = (systems[name].overall for name in (stage, "ceiling", wrong_name(stage, stages)))
    return GateFigures(own.success, wrong.success, own.keep_psnr, ceiling.keep_psnr, own.colour_drift)


def _log(job: Job, run: TrackedRun, report: Evaluation, told: str, results: Sequence[CaseResult]) -> None:
    for name, system in report.systems.items():
        values = system.overall.model_dump(exclude={"failed"})
        run.metrics({f"{name}/{key}": value for key, value in values.items()})
    run.note(told)
    run.text(report.to_json(), "evaluation.json")
    for sheet in _sheets(job, results):
        run.file(sheet, "sheets")
    clips = [result for result in results if _length(result) > 1][:CLIPS_SHOWN]
    for number, result in enumerate(clips):
        _log_clip(job, run, number, result)


def _sheets(job: Job, results: Sequence[CaseResult]) -> list[Path]:
    """The first cases of every stage; `sheet.png` is that of the last."""
    folder = job.state.outputs / STAGE
    folder.mkdir(parents=True, exist_ok=True)
    stages = list(results[0].rows)
    paths = []
    for stage in stages:
        path = folder / ("sheet.png" if stage == stages[-1] else f"sheet-{stage}.png")
        shown = results[: job.params.evaluation.sheet_rows]
        write_picture(path, contact_sheet([result.rows[stage] for result in shown]))
        paths.append(path)
    return paths


def _length(result: CaseResult) -> int:
    return len(next(iter(result.rows.values())).source)


def _log_clip(job: Job, run: TrackedRun, number: int, result: CaseResult) -> None:
    rows = list(result.rows.values())
    path = job.state.outputs / STAGE / f"clip_{number:02d}_{rows[0].task}.mp4"
    path.write_bytes(side_by_side([rows[0].source, *(row.edit for row in rows), rows[0].truth], result.fps))
    run.file(path, "clips")


def side_by_side(panels: Sequence[np.ndarray], fps: float) -> bytes:
    """Source, the edit of every stage, and truth, each [f h w 3], as one playable clip."""
    return encode_clip(np.concatenate(panels, axis=2), Fraction(fps).limit_denominator(1000))


def _promote(job: Job, stage: str, decision: GateDecision, is_champion: bool) -> None:
    registry = ModelRegistry(Tracking(job.state))
    model = job.receipt(stage).model(EDITOR)
    verdict_tag = "accepted" if decision.accepted else "; ".join(decision.reasons)
    registry.annotate(model, {"gate": verdict_tag})
    registry.promote(model, CANDIDATE)
    if is_champion:
        registry.promote(model, CHAMPION)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text if text.endswith("\n") else text + "\n")
    os.replace(partial, path)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
