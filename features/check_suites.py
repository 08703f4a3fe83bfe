"""What is expected of each table, as suites of Great Expectations: a sentence with every expectation."""

from collections.abc import Sequence
from typing import Any

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column

from features.check_tables import CaseChecks, PairChecks, TableChecks
from features.params import CheckParams
from models.tasks import Task

KINDS = ("picture", "video")
SIDES = {"train": "train", "validation": "test"}  # the split of `clips` that rows of each split may show
Suite = list[Expectation]


def suite_of(checks: TableChecks, params: CheckParams) -> Suite:
    """What is expected of a table's summary. All but the null checks pass over nulls, and over an empty table."""
    if isinstance(checks, PairChecks):
        return [*_any_table(checks.rows), *_words(params), *_latents(checks, params), *_texts(), *_sides()]
    return [*_any_table(checks.rows), *_cases(checks)] if isinstance(checks, CaseChecks) else _clips()


def column_suite() -> Suite:
    """What is expected of the types of a table's columns."""
    told = "columns have the types that the schema declares"
    return [gxe.ExpectColumnPairValuesToBeEqual(column_A="stored", column_B="declared", notes=told)]


def _any_table(rows: int | None = None) -> Suite:
    found: Suite = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, notes="the table is not empty"),
        gxe.ExpectColumnValuesToBeUnique(column="id", notes="every row has an id of its own"),
    ]
    if rows is not None:
        found.append(gxe.ExpectTableRowCountToEqual(value=rows, notes="as many rows as were planned"))
    return found


def _clips() -> Suite:
    told = "the digest of its file is a sha256"
    return [
        *_any_table(),
        *_given("kind", "split", "caption", "scene", "source_uri"),
        _one_of("kind", KINDS, "a picture or a video"),
        _one_of("split", ("train", "test"), "in training or test"),
        _long("caption", 1, None, "a caption says something"),
        *(_between(name, 1, None, f"at least one of its {name}") for name in ("frames", "height", "width")),
        _between("media_bytes", 1, None, "its media are stored"),
        _between("preview_bytes", 1, None, "it has a preview"),
        _above_zero("fps", "its rate is above 0"),
        _one_of("finite", (True,), "its scores are finite"),
        _between("brightness", 0, 255, "mean luma is a level"),
        _between("black_share", 0, 1, "a share of the frames"),
        _between("frozen_share", 0, 1, "a share of the steps between frames"),
        _between("scene_splits", 1, 1, "its scene is on one side of the split"),
        gxe.ExpectColumnValueLengthsToEqual(column="source_sha256", value=64, notes=told),
    ]


def _words(params: CheckParams) -> Suite:
    tasks = [task.label for task in Task if task is not Task.NULL]
    return [
        *_given("group", "kind", "task", "split", "instruction", "scene", "maker"),
        _one_of("kind", KINDS, "a picture or a video"),
        _one_of("task", tasks, "a task of the vocabulary"),
        _one_of("split", list(SIDES), "in training or validation"),
        _long("instruction", 3, params.max_instruction, "an instruction says something, and not too much"),
        _one_of("instruction_agrees", (True,), "a composed instruction asks for the row's task"),
        _one_of("edit_agrees", (True,), "an edit changes pixels, an identity none"),
        _one_of("source_agrees", (True,), "an edit has a source of its own, a text-to-video row has none"),
    ]


def _latents(checks: PairChecks, params: CheckParams) -> Suite:
    return [
        *(
            _one_of("shape", [" ".join(map(str, shape))], f"the autoencoder makes this of a {kind}", ("kind", kind))
            for kind, shape in checks.shapes.items()
        ),
        _between("value_bytes", 2, 2, "latents fill their shape with float16"),
        _between("finite", 1, None, "latents are finite"),
        _between("largest", None, params.max_abs_latent, "latents are of a usual size"),
        _above_zero("deviation", "latents are not all alike"),
        _between("decoded_psnr", params.min_decode_psnr, None, "sampled latents decode to the frames they stand for"),
        _one_value("autoencoder", "latents are of one autoencoder"),
    ]


def _texts() -> Suite:
    return [
        _between("text_tokens", 1, None, "the first text encoder found a token"),
        _one_of("text_whole", (True,), "text states are whole float16 tokens, a block an encoder"),
        _one_of("text_finite", (True,), "text states are finite"),
        _one_value("text_encoder", "text states are of one text encoder"),
    ]


def _sides() -> Suite:
    return [
        _between("scene_splits", 1, 1, "its scene is on one side of the split"),
        *(
            _one_of("scene_side", [side], f"scenes of {split} rows are {side} scenes of `clips`", ("split", split))
            for split, side in SIDES.items()
        ),
    ]


def _cases(checks: CaseChecks) -> Suite:
    return [
        *_given("kind", "task", "scene", "instruction", "wrong_instruction"),
        _one_of("kind", KINDS, "a picture or a video"),
        _one_of("task", checks.tasks, "a task that is evaluated"),
        _one_of("instruction_agrees", (True,), "the instruction asks for the case's task"),
        _one_of("wrong_differs", (True,), "the wrong instruction is another one"),
        _one_of("frames_agree", (True,), "source, truth and decoys are clips of the row's size"),
        _one_of("truth_differs", (True,), "the truth is not the source"),
        _one_of("decoys_differ", (True,), "no decoy is the truth"),
        _between("decoys", 1, checks.decoys, "it has a decoy, and no more than were asked for"),
        _between("clips", 1, None, "it can be traced to a clip"),
        _above_zero("fps", "its rate is above 0"),
        _one_of("scene_side", ["test"], "its scene is a test scene of `clips`, which no training pair shows"),
    ]


def _given(*columns: str) -> Suite:
    return [gxe.ExpectColumnValuesToNotBeNull(column=name, notes=f"its {name} is known") for name in columns]


def _one_of(column: str, values: Sequence[Any], told: str, where: tuple[str, str] | None = None) -> Expectation:
    """`where` names a column and the value that rows must have there to be looked at."""
    only = {} if where is None else {"row_condition": Column(where[0]) == where[1]}
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), notes=told, **only)


def _between(column: str, least: float | None, most: float | None, told: str) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=least, max_value=most, notes=told)


def _above_zero(column: str, told: str) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, strict_min=True, notes=told)


def _long(column: str, least: int, most: int | None, told: str) -> Expectation:
    return gxe.ExpectColumnValueLengthsToBeBetween(column=column, min_value=least, max_value=most, notes=told)


def _one_value(column: str, told: str) -> Expectation:
    return gxe.ExpectColumnUniqueValueCountToBeBetween(column=column, min_value=1, max_value=1, notes=told)
