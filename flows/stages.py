"""The chain as a table: each stage by name, the flow it belongs to, and the function that makes it."""

from collections.abc import Callable
from dataclasses import dataclass

from flows.asking import ask_clips, ask_frames
from flows.backtranslation import build_backtranslated_pairs
from flows.evaluate import evaluate_stages
from flows.features import build_clips, build_evaluation_cases, build_pairs
from flows.inference import answer_cases, answer_requests, edit_samples
from flows.job import Job
from flows.multi_frame import build_multi_frame_pairs
from flows.steps import Steps
from flows.training import adopt_weights, train_stage
from stores.receipts import Receipt


@dataclass(frozen=True)
class Stage:
    """A stage of the chain: a DVC stage of the same name runs it through the same function."""

    name: str
    flow: str
    make: Callable[[Job, Steps], Receipt]


STAGES = ("one", "two", "three")  # of training, each from the one before

CHAIN: tuple[Stage, ...] = (
    Stage("clips", "features", build_clips),
    Stage("adopt", "training", adopt_weights),
    Stage("pairs-one", "features", lambda job, steps: build_pairs(job, steps, "one", job.receipt("adopt"))),
    Stage("cases", "features", build_evaluation_cases),
    Stage("one", "training", lambda job, steps: train_stage(job, steps, "one")),
    Stage("edits-one", "inference", lambda job, steps: answer_cases(job, steps, "one")),
    Stage("requests-two", "features", lambda job, steps: ask_frames(job, steps, "two")),
    Stage("answers-two", "inference", lambda job, steps: answer_requests(job, steps, "two", maker="one")),
    Stage("pairs-two", "features", lambda job, steps: build_multi_frame_pairs(job, steps, "two", job.receipt("adopt"))),
    Stage("two", "training", lambda job, steps: train_stage(job, steps, "two")),
    Stage("edits-two", "inference", lambda job, steps: answer_cases(job, steps, "two")),
    Stage("requests-three", "features", lambda job, steps: ask_clips(job, steps, "three")),
    Stage("answers-three", "inference", lambda job, steps: answer_requests(job, steps, "three", maker="two")),
    Stage(
        "pairs-three",
        "features",
        lambda job, steps: build_backtranslated_pairs(job, steps, "three", job.receipt("adopt")),
    ),
    Stage("three", "training", lambda job, steps: train_stage(job, steps, "three")),
    Stage("edits-three", "inference", lambda job, steps: answer_cases(job, steps, "three")),
    Stage("samples", "inference", lambda job, steps: edit_samples(job, steps, STAGES[-1])),
    Stage("evaluation", "evaluate", lambda job, steps: evaluate_stages(job, steps, STAGES)),
)


# What each deployed flow runs unless it is told: pairs are encoded by the adopted autoencoder, and a later stage learns
# from edits that the one before was asked for, so a flow may need stages of another pipeline on its way.
BY_DEFAULT: dict[str, tuple[str, ...]] = {
    "features": ("clips", "adopt", "pairs-one", "cases"),
    "training": (
        *("adopt", "one"),
        *("requests-two", "answers-two", "pairs-two", "two"),
        *("requests-three", "answers-three", "pairs-three", "three"),
    ),
    "inference": ("edits-one", "edits-two", "edits-three", "samples"),
    "evaluate": ("evaluation",),
    "lifecycle": tuple(stage.name for stage in CHAIN),
}


def run_stages(names: tuple[str, ...], job: Job, steps: Steps) -> list[Receipt]:
    """Run stages in the order of the chain, holding the state root's writing right.

    Raises:
        ValueError: a stage is unknown.
    """
    unknown = sorted(set(names) - {stage.name for stage in CHAIN})
    if unknown:
        raise ValueError(f"unknown stages {unknown}; known: {', '.join(stage.name for stage in CHAIN)}")
    with job.state.writing():
        return [stage.make(job, steps) for stage in CHAIN if stage.name in names]
