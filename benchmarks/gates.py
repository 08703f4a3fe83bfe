"""Two gates before any tuning: an editor can overfit 64 pairs, and an instruction to change nothing changes nothing.

`python -m benchmarks.gates` trains the shipped editor, or with `--start base` one from the shipped base, on 64 composed
image edits and half as many identities.
Gate one: asked again, the edits come back as near to their truths as the autoencoder allows, but for 3 dB.
Gate two: on held-out pictures, in a wording never trained on and with the predicted task, an identity comes back within
2 dB of the copy through the autoencoder. A fault anywhere between composer and sampler shows here first. Writes
`benchmarks/results/gates.json`; the exit status is 1 if a gate is closed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.gate_editor import GateEditor, GateSize, Material, source_of
from features.pair_rows import Triple
from flows.job import Job
from flows.record import RESULTS, write_record
from flows.revision import code_digest
from flows.settings import ROOT, apply_environment
from flows.training import SHIPPED, WEIGHTS
from models.build import AUTOENCODER, BASE, EDITOR
from models.metrics import edit_psnr, edit_region, psnr
from models.pixels import Frames
from models.success import CaseFrames, score_case
from models.weights import load_bundle
from stores.schema import content_id

OVERFIT_MARGIN_DB = 3.0
IDENTITY_MARGIN_DB = 2.0
DEFAULT = GateSize(pairs=64, identities=32, held_out=32, steps=800, batch=16)


def run_gates(job: Job, weights: Path, size: GateSize, start: str) -> dict[str, float]:
    """Compose, train, edit, measure: all figures of both gates, gaps in dB under the ceiling, passes as 0 or 1."""
    autoencoder, begun = (load_bundle(weights / SHIPPED[name], name) for name in (AUTOENCODER, start))
    values, code = job.params.model_dump_json(), code_digest("benchmarks", "features", "models", "stores", "training")
    key = content_id("gates", values, json.dumps(asdict(size)), autoencoder.digest(), begun.digest(), code)
    editor = GateEditor(job, autoencoder, begun)
    material = editor.compose(size, key)
    untrained = identity_gap(editor, material.held_out)
    loss = editor.loss(material)
    editor.train(material, size, key)
    figures = {"loss_start": loss, "loss_end": editor.loss(material), **overfit_figures(editor, material)}
    gap = identity_gap(editor, material.held_out)
    figures |= {"identity_gap_db": gap, "identity_gap_untrained_db": untrained}
    figures |= {"identity_passed": float(gap <= IDENTITY_MARGIN_DB)}
    return {name: round(value, 4) for name, value in figures.items()}


def overfit_figures(editor: GateEditor, material: Material) -> dict[str, float]:
    """How near the edits trained on come to their truths; medians over pairs, in dB over the whole frame.

    The gate looks at edits without guidance: guidance pushes past what was learned, which is right for instructions
    the model has not seen, and only adds error where it knows the answer by heart. Edits with it stand beside.
    """
    triples = material.edits
    truths = [triple.target for triple in triples]
    ceilings = editor.through_autoencoder(truths)
    copies = editor.through_autoencoder([source_of(triple) for triple in triples])
    plain, guided = (editor.edits(triples, predicted_task=False, guided=told) for told in (False, True))
    gap, copied = (gap_db(frames, ceilings, truths) for frames in (plain, copies))
    return {
        "overfit_ceiling_psnr": median(map(psnr, ceilings, truths)),
        "overfit_psnr": median(map(psnr, plain, truths)),
        "overfit_gap_db": gap,
        "overfit_guided_gap_db": gap_db(guided, ceilings, truths),
        "overfit_copy_gap_db": copied,
        "overfit_edit_psnr": edited_psnr(triples, plain),
        "overfit_edit_ceiling_psnr": edited_psnr(triples, ceilings),
        "overfit_success": success(triples, plain, ceilings, copies),
        # Where a mere copy would pass, passing says nothing.
        "overfit_passed": float(gap <= OVERFIT_MARGIN_DB < copied),
    }


def identity_gap(editor: GateEditor, triples: Sequence[Triple]) -> float:
    """Median distance in dB of an identity edit from the copy through the autoencoder."""
    sources = [source_of(triple) for triple in triples]
    return gap_db(editor.edits(triples, predicted_task=True), editor.through_autoencoder(sources), sources)


def gap_db(edits: Sequence[Frames], ceilings: Sequence[Frames], truths: Sequence[Frames]) -> float:
    """Median over pairs of how far an edit stays under its ceiling."""
    triples = zip(edits, ceilings, truths, strict=True)
    return median(psnr(ceiling, truth) - psnr(edit, truth) for edit, ceiling, truth in triples)


def edited_psnr(triples: Sequence[Triple], edits: Sequence[Frames]) -> float:
    """Median PSNR on what the truth changes."""
    regions = [edit_region(source_of(triple), triple.target) for triple in triples]
    found = [edit_psnr(e, t.target, region) for e, t, region in zip(edits, triples, regions, strict=True)]
    return median(value for value in found if value is not None)


def success(
    triples: Sequence[Triple], edits: Sequence[Frames], ceilings: Sequence[Frames], copies: Sequence[Frames]
) -> float:
    """Share of the edits that meet the conditions of success, without decoys."""
    rows = zip(triples, edits, ceilings, copies, strict=True)
    scores = [score_case(CaseFrames(source_of(t), t.target, e, ceiling, copy)) for t, e, ceiling, copy in rows]
    return sum(score.success for score in scores) / len(scores)


def main() -> int:
    """`python -m benchmarks.gates`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="Two gates before any tuning.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--weights", type=Path, default=ROOT / WEIGHTS, help="folder of shipped weights")
    parser.add_argument("--state", type=Path, default=ROOT / "var" / "gates", help="where it works; resumes there")
    parser.add_argument("--result", type=Path, default=RESULTS / "gates.json")
    parser.add_argument("--start", choices=(EDITOR, BASE), default=EDITOR, help="what is trained")
    for name, value in asdict(DEFAULT).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    told = parser.parse_args()
    size = GateSize(**{name: getattr(told, name) for name in asdict(DEFAULT)})
    job = Job.open(told.params, told.state, tuple(told.overrides))
    with job.state.writing():
        figures = run_gates(job, told.weights, size, told.start)
    record = write_record(told.result, asdict(size) | {"start": told.start, "overrides": told.overrides}, figures)
    print(json.dumps(record, indent=1))
    return 0 if figures["overfit_passed"] and figures["identity_passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
