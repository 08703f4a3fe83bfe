"""The comparisons of the paper, and two of our own, as a table: variants of the chain, and which are held together.

A variant is the chain with other values from some stage on; nothing here trains or scores.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Comparison:
    """A question, the two variants that answer it, and what the paper found."""

    name: str
    question: str
    new: Variant
    old: Variant
    paper: str
    clips_only: bool = True


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
        "animated frames of filmed clips over animated photographs",
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
    Comparison(
        "positions_over_first",
        "random temporal positions of pictures over position 0 (stage one, from the base)",
        ONE_FROM_BASE,
        one_from_base("one-position-0", "training.stages.one.random_positions=false"),
        "position 0 gives totally distorted clips (5.1.2, no figure)",
    ),
    Comparison(
        "task_embedding",
        "with the task embedding over without (stage one, from the base)",
        ONE_FROM_BASE,
        one_from_base("one-no-task", "models.editing.task_width=0"),
        "not compared",
        clips_only=False,
    ),
    Comparison(
        "copy_skip",
        "with the copy skip over without (stage one, from the base)",
        ONE_FROM_BASE,
        one_from_base("one-no-skip", "models.editing.copy_skip=false"),
        "ours, not in the paper",
        clips_only=False,
    ),
)
