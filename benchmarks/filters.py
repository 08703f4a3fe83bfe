"""What the filter of generated edits keeps, where the truth is known: `python -m benchmarks.filters`.

Judges the edits of held-out cases that `benchmarks.shipped` left in its state, without their truths, and then holds the
verdicts against the truths. Prints the report and writes `benchmarks/results/filters.json`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from features.cases import AS_ASKED, request_name
from features.edit_filter import score_edit
from features.filter_report import FilterReport, ScoredEdit, filter_report
from flows.evaluate import case_frames, case_rows, edits_by_name
from flows.inference import open_editor
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from models.scorers.build import build_scorer
from models.success import score_case

STAGE = "one"


def scored_edits(job: Job) -> Iterator[ScoredEdit]:
    """The edits of all cases, judged without and with their truths."""
    config = job.params.features.filter.scorer
    scorer = build_scorer(config) if config else None
    editor = open_editor(job, receipt=job.receipt(STAGE)).editor
    edits = edits_by_name(job, STAGE)
    for case in case_rows(job):
        frames = case_frames(case, editor, edits[request_name(AS_ASKED, case["id"])])
        found = score_case(frames)
        # Cases have no captions: what a scorer says of them would need some.
        scores = score_edit(frames.copy_ae, frames.edit, "", "", scorer)
        yield ScoredEdit(case["id"], scores, found.success, found.edit_psnr)


def figures_of(report: FilterReport) -> dict[str, float]:
    """Flat: what the thresholds keep together, how good that is, and how every score separates."""
    together = report.thresholds[-1]
    found = {
        "edits": report.edits,
        "kept": together.kept.edits,
        "success_of_kept": together.kept.success,
        "success_of_rejected": together.rejected.success,
        "edit_psnr_of_kept": together.kept.edit_psnr,
        "edit_psnr_of_rejected": together.rejected.edit_psnr,
    }
    found |= {f"separation/{line.score}": line.separation for line in report.scores}
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def main() -> None:
    """`python -m benchmarks.filters`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="What the filter of generated edits keeps.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "shipped", help="where benchmarks.shipped worked")
    parser.add_argument("--result", type=Path, default=RESULTS / "filters.json")
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    told = parser.parse_args()
    job = Job.open(told.params, told.state, tuple(told.overrides))
    report = filter_report(list(scored_edits(job)), job.params.features.filter.thresholds)
    print(report.text())
    print(json.dumps(write_record(told.result, {"overrides": told.overrides}, figures_of(report)), indent=1))


if __name__ == "__main__":
    main()
