"""The comparisons of the paper, and two of our own, as a table: variants of the chain, and which are held together.

A variant is the chain with other values from some stage on; nothing here trains or scores.
"""

from dataclasses import dataclass
from enum import Enum

NO_BACKTRANSLATION = (
    "training.stages.three.groups={animated: {weight: 3, batch: 8}, segmentation: {weight: 1, batch: 8}, "
    "text_to_video: {weight: 1, batch: 8}}"
)


@dataclass(frozen=True)
class Variant:
    """A way to an editor: stages of the chain that are `remade` with other values, then `trained` once a seed.

    The edits of stage `judged` are scored, each frame by itself if `framewise`. What is neither remade nor trained is
    the chain's own.
    """

    name: str
    judged: str
    remade: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    values: tuple[str, ...] = ()  # key.path=value
    framewise: bool = False


class Shown(Enum):
    """Which held-out cases a comparison looks at; half a clip has half its latent frames."""

    ALL = "all"
    PICTURES = "pictures"
    CLIPS = "clips"
    HALVES = "halves of clips"


@dataclass(frozen=True)
class Comparison:
    """A question, the two variants that answer it, and what the paper found."""

    name: str
    question: str
    new: Variant
    old: Variant
    paper: str
    shown: Shown = Shown.CLIPS


def one_from_base(name: str, *values: str) -> Variant:
    """Stage one trained from the base, for what a start from the shipped editor would hide."""
    long = (
        "training.stages.one.start=base",
        "training.stages.one.steps=300",
        "training.stages.one.optimizer.learning_rate=6.0e-4",
        "training.stages.one.gate_rate=30.0",
    )
    return Variant(name, "one", trained=("one",), values=(*long, *values))


ONE = Variant("one", "one")
TWO = Variant("two", "two", trained=("two",))
THREE = Variant("three", "three", trained=("three",))
ONE_FROM_BASE = one_from_base("one-from-base")
ONE_AT_FIRST = one_from_base("one-position-0", "training.stages.one.random_positions=false")


def positions(latent_frames: int, shown: Shown) -> Comparison:
    """Random temporal positions of single frames, looked at where they should matter and where not."""
    paper = "position 0 gives totally distorted clips (5.1.2, no figure)" if latent_frames > 1 else "not compared"
    return Comparison(
        f"positions_at_{latent_frames}",
        f"random temporal positions over position 0, at {latent_frames} latent frames (stage one, from the base)",
        ONE_FROM_BASE,
        ONE_AT_FIRST,
        paper,
        shown,
    )


COMPARISONS: tuple[Comparison, ...] = (
    Comparison(
        "two_over_one",
        "stage two over stage one, whole clips",
        TWO,
        ONE,
        "two wins 89.3 % (Table 21)",
    ),
    Comparison(
        "two_over_framewise",
        "stage two on whole clips over stage one frame by frame",
        TWO,
        Variant("one-framewise", "one", framewise=True),
        "not compared",
    ),
    Comparison(
        "three_over_longer_two",
        "stage three over stage two trained equally long on its own mix",
        THREE,
        Variant("two-longer", "three", trained=("three",), values=(NO_BACKTRANSLATION,)),
        "three wins over two 60.8 % (Table 21)",
    ),
    Comparison(
        "backtranslation_over_plain",
        "backtranslation over plain tuning on the generated edits",
        THREE,
        Variant("three-plain", "three", ("pairs-three",), ("three",), ("features.backtranslated.backwards=false",)),
        "backtranslation wins 70.2 %, loses on text with 44.7 % (Table 20)",
    ),
    Comparison(
        "frames_over_stills",
        "animated frames, 76 % of them filmed, over 20 % filmed, the rest photographs",
        TWO,
        Variant(
            "two-stills",
            "two",
            ("requests-two", "answers-two", "pairs-two"),
            ("two",),
            ("features.multi_frame.animated.filmed_share=0.0",),
        ),
        "frames of videos win 61.2 % (Table 19)",
    ),
    positions(1, Shown.PICTURES),
    positions(2, Shown.HALVES),
    positions(4, Shown.CLIPS),
    Comparison(
        "task_embedding",
        "with the task embedding over without (stage one, from the base)",
        ONE_FROM_BASE,
        one_from_base("one-no-task", "models.editing.task_width=0"),
        "not compared",
        shown=Shown.ALL,
    ),
    Comparison(
        "copy_skip",
        "with the copy skip over without (stage one, from the base)",
        ONE_FROM_BASE,
        one_from_base("one-no-skip", "models.editing.copy_skip=false"),
        "ours, not in the paper",
        shown=Shown.ALL,
    ),
)
