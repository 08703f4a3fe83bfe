"""How far the small scorer agrees with the truth: `python -m benchmarks.scorers`.

Trains it on composed drafts, measures it on drafts of held-out scenes, and writes `benchmarks/results/scorers.json`.
With `--save FILE` the scorer is kept, for `features.filter.scorer: {kind: towers, weights: FILE}`.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from features.scorer_drafts import ScorerDraft, agreement_with_truth, draw_drafts, examples
from flows.audits import CODE
from flows.features import build_clips, compose_setting
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.settings import ROOT, apply_environment
from flows.steps import PlainSteps
from models.scorers.protocol import Scorer
from models.scorers.towers import Towers, TowersScorer, TowersShape, save_towers
from models.scorers.towers_fit import fit_towers
from models.text_encoders.config import TextEncoderConfig
from models.text_encoders.frozen import FrozenEncoder

TEXT = TextEncoderConfig(kind="minilm", source=None, max_tokens=48, dtype="float32")
EDITS = 2  # of every source: the true one, and another
BATCH = 32


def tower_shape(encoder: FrozenEncoder) -> TowersShape:
    """The shape whose figures are in docs/filters.md."""
    return TowersShape(
        side=64, width=32, hidden=512, embedding=128, text=TEXT, text_width=encoder.widths[0],
        text_revision=encoder.revision,
    )  # fmt: skip


def figures_of(scorer: Scorer, drafts: Sequence[ScorerDraft]) -> dict[str, float]:
    """Flat: the agreement over all drafts, and the direction by task."""
    found = {name: float(value) for name, value in asdict(agreement_with_truth(scorer, drafts)).items()}
    for task in sorted({draft.task for draft in drafts}):
        own = [draft for draft in drafts if draft.task == task]
        found[f"direction/{task}"] = agreement_with_truth(scorer, own).direction
    return {name: round(value, 4) for name, value in found.items()}


def trained(job: Job, told: argparse.Namespace, encoder: FrozenEncoder, shape: TowersShape) -> Towers:
    """Towers trained on drafts of training scenes."""
    setting = compose_setting(job, job.params.seed, CODE)
    tasks = job.params.features.pairs["one"].tasks
    drafts = draw_drafts(setting, tasks, told.drafts, edits=EDITS, held_out=False)
    return fit_towers(examples(drafts, shape, encoder), shape, told.steps, BATCH, job.params.seed)


def main() -> None:
    """`python -m benchmarks.scorers`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="The small scorer, trained and held against the truth.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "scorers")
    parser.add_argument("--drafts", type=int, default=2400)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--result", type=Path, default=RESULTS / "scorers.json")
    told = parser.parse_args()
    job = Job.open(told.params, told.state)
    with job.state.writing():
        build_clips(job, PlainSteps())
    encoder = FrozenEncoder(TEXT)
    shape = tower_shape(encoder)
    towers = trained(job, told, encoder, shape)
    if told.save:
        save_towers(towers, shape, told.save)
    setting = compose_setting(job, job.params.seed, CODE)
    held_out = draw_drafts(setting, job.params.features.pairs["one"].tasks, told.held_out, edits=EDITS, held_out=True)
    size = {"drafts": told.drafts, "steps": told.steps, "edits": EDITS, "batch": BATCH}
    found = figures_of(TowersScorer(towers, shape, encoder), held_out)
    print(json.dumps(write_record(told.result, size, found), indent=1))


if __name__ == "__main__":
    main()
