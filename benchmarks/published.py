"""Edits a published benchmark and scores the edits: `python -m benchmarks.published tgve|emu-edit TABLE --output DIR`.

TGVE+ wants `--media`, the folder of TGVE's videos. Run again, it edits only what is missing. Into the folder go
`scores.csv`, a line a row with its scores or the reason why it has none, and `scores.json`, means of all and by task.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError

from flows.inference import NoEditorError, edit_many, open_editor
from flows.job import Job
from flows.record import record_of
from flows.settings import ROOT, apply_environment
from flows.steps import PlainSteps
from inference.answers import OK, located
from inference.manifest import ManifestError
from inference.many import ManifestRun
from inference.params import plain_message
from inference.published import Published, PublishedRow, read_emu_edit, read_tgve, write_manifest
from models.scorers.protocol import ScorerError
from models.scorers.published import PublishedJudge, PublishedScorers, PublishedScores
from stores.clip_files import read_clip
from stores.clip_types import MediaError
from stores.model_registry.tracking import Tracking
from stores.schema import EDITS, content_id

FIGURES = tuple(field.name for field in fields(PublishedScores))
EXPERIMENT = "published"


@dataclass(frozen=True)
class ScoredRow:
    """A row of the benchmark with its scores, or why it has none."""

    name: str
    task: str
    instruction: str
    scores: PublishedScores | None
    problem: str = ""

    def flat(self) -> dict[str, Any]:
        """As a line of a table."""
        told = {"name": self.name, "task": self.task, "instruction": self.instruction, "problem": self.problem}
        return told | (asdict(self.scores) if self.scores else dict.fromkeys(FIGURES))


def edited(job: Job, published: Published, outputs: Path, alias: str | None) -> list[tuple[PublishedRow, Path | str]]:
    """Every good row with its edit, or the reason why there is none."""
    if not published.rows:
        return []
    done = edit_many(job, PlainSteps(), write_manifest(published, outputs / "manifest.jsonl"), outputs, alias)
    found = _answers(job, done, outputs)
    return [(row, found[row.name]) for row in published.rows]


def _answers(job: Job, done: ManifestRun, outputs: Path) -> dict[str, Path | str]:
    columns = ["id", "status", "error", "output_uri"]
    rows = {row["id"]: row for row in job.folder("user").draft(EDITS, columns).to_pylist()}
    answered = zip(done.manifest.rows, (rows[key] for key in done.answered.ids), strict=True)
    found: dict[str, Path | str] = {problem.name: problem.reason for problem in done.problems}
    for asked, row in answered:
        path = located(outputs, row)
        found[asked.name] = path if row["status"] == OK and path else str(row["error"])
    return found


def scored(
    job: Job, published: Published, edits: Sequence[tuple[PublishedRow, Path | str]], judge: PublishedJudge
) -> Iterator[ScoredRow]:
    """All rows of the benchmark: none is lost."""
    limits = job.params.inference.limits.media()
    for row, edit in edits:
        if isinstance(edit, str):
            yield ScoredRow(row.name, row.task, row.instruction, None, edit)
            continue
        try:
            source, made = (read_clip(path, limits).frames for path in (row.clip, edit))
            scores = judge(source, made, row.caption, row.edited_caption)
        except (MediaError, ValueError) as error:
            yield ScoredRow(row.name, row.task, row.instruction, None, str(error))
        else:
            yield ScoredRow(row.name, row.task, row.instruction, scores)
    for problem in published.problems:
        task = problem.name.partition("-")[2]
        yield ScoredRow(problem.name, task, problem.instruction, None, problem.reason)


def figures_of(rows: Sequence[ScoredRow]) -> dict[str, float]:
    """Flat: counts, `<figure>` as the mean over rows, as the papers do, and `<task>/<figure>`."""
    by_task: dict[str, list[ScoredRow]] = defaultdict(list)
    for row in rows:
        by_task[row.task or "no task"].append(row)
    found: dict[str, float] = {"rows": len(rows), "scored": sum(row.scores is not None for row in rows)}
    found |= _means(rows)
    for task, own in sorted(by_task.items()):
        found |= {f"{task}/rows": len(own)} | {f"{task}/{name}": value for name, value in _means(own).items()}
    return found


def _means(rows: Sequence[ScoredRow]) -> dict[str, float]:
    told = {name: [getattr(row.scores, name) for row in rows if row.scores] for name in FIGURES}
    known = {name: [value for value in values if value is not None] for name, values in told.items()}
    return {name: round(float(np.mean(values)), 4) for name, values in known.items() if values}


def read_scorers(path: Path | None) -> PublishedScorers:
    """The scorers of a file; without one, none.

    Raises:
        ScorerError: the file is not as `benchmarks/published.yaml`.
    """
    if path is None:
        return PublishedScorers(clips=None, frames=None, preference=None)
    try:
        return PublishedScorers.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ScorerError(f"{path}: {error}") from error
    except ValidationError as error:
        raise ScorerError(f"{path}: {plain_message(error)}") from error


def measure(job: Job, published: Published, told: argparse.Namespace) -> dict[str, Any]:
    """Edit, score, write; the record."""
    judge = PublishedJudge(read_scorers(told.scorers))  # first: a missing scorer is not found after hours of editing
    model = open_editor(job, alias=told.alias).editor.model
    told.output.mkdir(parents=True, exist_ok=True)
    with job.state.writing():
        rows = list(scored(job, published, edited(job, published, told.output, told.alias), judge))
        pd.DataFrame([row.flat() for row in rows]).to_csv(told.output / "scores.csv", index=False)
        used = {
            "benchmark": told.benchmark,
            "table": told.table.name,
            "model": told.alias,
            "model_digest": model.digest,
            "values": told.values,
            "scorers": judge.revisions,
        }
        record = record_of(f"published-{told.benchmark}", used, figures_of(rows))
        (told.output / "scores.json").write_text(json.dumps(record, indent=1) + "\n")
        _log(job, told, used, record["figures"])
    return record


def _log(job: Job, told: argparse.Namespace, used: Mapping[str, Any], figures: Mapping[str, float]) -> None:
    key = content_id(EXPERIMENT, json.dumps(used, sort_keys=True), str(told.output.resolve()))
    with Tracking(job.state).run(EXPERIMENT, told.benchmark, key, used) as run:
        run.metrics(figures)
        for path in (told.output / name for name in ("scores.csv", "scores.json", "report.html")):
            if path.is_file():  # without a row to edit there is no report
                run.file(path, "scores")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Edit and score a published benchmark of instruction editing.")
    parser.add_argument("benchmark", choices=["tgve", "emu-edit"])
    parser.add_argument("table", type=Path, help="its table, or the folder of them: parquet, csv, jsonl or json")
    parser.add_argument("--media", type=Path, help="tgve: the folder of its videos")
    parser.add_argument("--split", default="test", help="emu-edit: which rows, where the table has a column `split`")
    parser.add_argument("--output", "-o", type=Path, required=True, help="folder for edits and scores")
    parser.add_argument("--scorers", type=Path, help="for instance benchmarks/published.yaml; default: none, only l1")
    parser.add_argument("--alias", help="of the editor; default: champion, else the shipped one")
    parser.add_argument("--state", type=Path, default=ROOT)
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", dest="values")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    told = parser.parse_args()
    if (told.benchmark == "tgve") != (told.media is not None):
        parser.error("tgve needs --media" if told.media is None else "emu-edit has its pictures in the table")
    return told


def main() -> None:
    """`python -m benchmarks.published`."""
    apply_environment()
    told = _arguments()
    try:
        job = Job.open(told.params, told.state, tuple(told.values))
        if told.benchmark == "tgve":
            published = read_tgve(told.table, told.media)
        else:
            published = read_emu_edit(told.table, told.output / "sources", told.split)
        record = measure(job, published, told)
    except (ManifestError, ScorerError, NoEditorError) as error:
        sys.exit(f"benchmarks.published: {error}")
    print(json.dumps(record, indent=1))
    if record["figures"]["scored"] < record["figures"]["rows"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
