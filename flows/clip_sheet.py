"""The first held-out clips, none picked, as every stage edits them: `python -m flows.clip_sheet`.

Reads what a finished chain left in a state: its cases and the edits of its stages. Draws `docs/clips.jpg`, a clip a
row, and logs each as a playable one (source, the edit of every stage, truth side by side) in a run of the evaluation.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from features.cases import AS_ASKED, request_name
from flows.evaluate import EXPERIMENT, case_frames, case_rows, edits_by_name, side_by_side
from flows.inference import open_editor
from flows.job import Job
from flows.settings import ROOT, apply_environment
from flows.stages import STAGES
from inference.gallery import GalleryRow, gallery
from models.metrics import Frames
from models.success import replace_edit, score_case
from stores.clip_writer import write_picture
from stores.model_registry.tracking import Tracking
from stores.schema import EDITS

CLIPS = 40
SHOWN_FRAMES = 2  # the first and the last
WIDTH = 1400  # pixels of the sheet
QUALITY = 60
RUN = "clips"


@dataclass(frozen=True, eq=False)
class ShownClip:
    """A held-out clip, what every stage made of it and whether it passed, and the truth."""

    instruction: str
    task: str
    fps: float
    source: Frames
    edits: Mapping[str, Frames]
    passed: Mapping[str, bool]
    truth: Frames

    @property
    def panels(self) -> tuple[Frames, ...]:
        return self.source, *self.edits.values(), self.truth

    @property
    def text(self) -> str:
        """The instruction, and the verdict on every stage in the order of the panels."""
        told = [f"{stage} {'passes' if passed else 'fails'}" for stage, passed in self.passed.items()]
        return f"{self.task}: {self.instruction}   (source | {' | '.join(told)} | truth)"


def shown_clips(job: Job, stages: Sequence[str], count: int) -> list[ShownClip]:
    """The first clips in the order of the cases.

    Raises:
        ReceiptError: the chain has not come so far in this state.
    """
    editor = open_editor(job, receipt=job.receipt(stages[-1])).editor
    edits = {stage: edits_by_name(job, stage) for stage in stages}
    found = []
    for case in [row for row in case_rows(job) if row["frames"] > 1][:count]:
        made = {stage: own[request_name(AS_ASKED, case["id"])] for stage, own in edits.items()}
        frames = case_frames(case, editor, made[stages[-1]])
        passed = {stage: bool(score_case(replace_edit(frames, edit)).success) for stage, edit in made.items()}
        told = {name: case[name] for name in ("instruction", "task", "fps")}
        found.append(ShownClip(**told, source=frames.source, edits=made, passed=passed, truth=frames.truth))
    return found


def log(job: Job, stages: Sequence[str], clips: Sequence[ShownClip], sheet: Path) -> str:
    """Log the sheet and every clip as one that plays; where the run is to be seen."""
    parents = {stage: job.receipt(f"edits-{stage}").table(EDITS.name).digest for stage in stages}
    params: dict[str, Any] = {"clips": len(clips), "stages": ", ".join(stages)}
    key = job.key(RUN, ("flows", "models"), params, parents)
    with Tracking(job.state).run(EXPERIMENT, RUN, key, params) as run, TemporaryDirectory() as folder:
        run.file(sheet, "sheets")
        for number, clip in enumerate(clips):
            path = Path(folder) / f"clip_{number:02d}_{clip.task}.mp4"
            path.write_bytes(side_by_side(clip.panels, clip.fps))
            run.file(path, "clips")
        listed = [f"{number}. {clip.text}" for number, clip in enumerate(clips)]
        run.note("\n".join([f"From left to right: source, {', '.join(stages)}, truth.", "", *listed]))
        return run.link()


def main() -> None:
    """`python -m flows.clip_sheet`."""
    apply_environment()
    parser = argparse.ArgumentParser(description="A sheet of unpicked held-out clips, edited by every stage.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--state", type=Path, default=ROOT, help="where the chain has run")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "clips.jpg")
    told = parser.parse_args()
    job = Job.open(told.params, told.state)
    stages = [stage for stage in STAGES if (job.state.receipts / f"edits-{stage}.json").is_file()]
    clips = shown_clips(job, stages, told.clips) if stages else []
    if not clips:
        sys.exit(f"moviegen-edit: no held-out clips were edited under {told.state}: run `make demo` there first")
    sheet = gallery([GalleryRow(clip.text, clip.panels) for clip in clips], WIDTH, SHOWN_FRAMES)
    write_picture(told.output, sheet, QUALITY)
    print(f"{told.output}\n{log(job, stages, clips, told.output)}")


if __name__ == "__main__":
    main()
