"""The shipped editor as it is, on more held-out cases than a demo has time for: `python -m benchmarks.shipped`.

Pictures alone by default: stage one has never seen an edited clip. Writes `benchmarks/results/shipped.json` and, in the
state it works in, the sheet of the first cases, none picked.
"""

import json
from typing import Any

from benchmarks.held_out import case_parser, case_values
from flows.evaluate import evaluate_stages
from flows.features import build_clips, build_evaluation_cases
from flows.inference import answer_cases
from flows.job import Job
from flows.record import write_record
from flows.settings import apply_environment
from flows.steps import PlainSteps
from flows.training import adopt_weights
from models.build import EDITOR
from stores.receipts import Receipt, save_receipt

STAGE = "one"
SYSTEMS = (STAGE, f"{STAGE}_true_task", "wrong_instruction", "ceiling", "copy_ae", "mean_fill")
FIGURES = ("success", "success_low", "success_high", "edit_psnr", "keep_psnr", "colour_drift")


def measure(job: Job) -> dict[str, float]:
    """Edit and score: the figures of all systems, and of the editor by task."""
    prepare(job)
    answer_cases(job, PlainSteps(), STAGE)
    evaluate_stages(job, PlainSteps(), (STAGE,))
    return figures_of(json.loads((job.state.metrics / "evaluation.json").read_text())["systems"])


def prepare(job: Job) -> None:
    """Adopt the shipped editor in the place of stage one's, and compose the cases."""
    steps = PlainSteps()
    build_clips(job, steps)
    adopted = adopt_weights(job, steps)
    build_evaluation_cases(job, steps)
    # What the chain would hand over had it trained for no step.
    save_receipt(Receipt(stage=STAGE, models={EDITOR: adopted.model(EDITOR)}), job.state)


def figures_of(systems: dict[str, Any]) -> dict[str, float]:
    """Flat: `cases`, `<system>/<figure>`, `<task>/success`; what is defined for no case is left out."""
    found = {"cases": systems[STAGE]["overall"]["cases"], "scenes": systems[STAGE]["overall"]["scenes"]}
    for system in SYSTEMS:
        found |= {f"{system}/{name}": systems[system]["overall"][name] for name in FIGURES}
    for task, figures in systems[STAGE]["tasks"].items():
        found |= {f"{task}/{name}": figures[name] for name in ("success", "edit_psnr", "keep_psnr")}
    return {name: value for name, value in found.items() if value is not None}


def main() -> None:
    """`python -m benchmarks.shipped`."""
    apply_environment()
    parser = case_parser("shipped", "The shipped editor on held-out cases.", pictures=306, clips=0, state="shipped")
    told = parser.parse_args()
    job = Job.open(told.params, told.state, case_values(told, parser))
    with job.state.writing():
        figures = measure(job)
    size = {"pictures": told.pictures, "clips": told.clips, "values": told.values}
    print(json.dumps(write_record(told.result, size, figures), indent=1))


if __name__ == "__main__":
    main()
