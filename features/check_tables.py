"""What the checks look at: one line of plain numbers and words a row. Tensors are summarised, never handed over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from features.instruction_tasks import tasks_told
from features.pair_rows import COMPOSER
from features.plan import ANIMATED, BACKTRANSLATED, SEGMENTATION
from models.tasks import Task
from stores.frames import PackedFramesError, unpack_frames
from stores.schema import CASES, CLIPS, EDIT_PAIRS, TableSpec

TEXT_TO_VIDEO = Task.TEXT_TO_VIDEO.label
HALF = 2  # bytes of a float16
ROWS_AT_ONCE = 256
GENERATED_GROUPS = (ANIMATED, SEGMENTATION, BACKTRANSLATED)  # made from clips of ours, whoever made them
SCORES = ("fps", "sharpness", "brightness", "contrast", "motion", "black_share", "frozen_share", "cut")


@dataclass(frozen=True)
class ClipChecks:
    """Accepted pictures and clips, or composed scenes of the same columns."""

    spec: TableSpec = CLIPS

    def summary(self, table: pa.Table) -> pd.DataFrame:
        """One line a row."""
        columns = ["id", "kind", "split", "caption", "frames", "height", "width", "scene", "source_uri"]
        frame: pd.DataFrame = table.select([*columns, "source_sha256", *SCORES]).to_pandas()
        return frame.assign(
            **_numbers(table, _clip_numbers, ["media", "preview", *SCORES]), scene_splits=_splits_of_scenes(frame)
        )


@dataclass(frozen=True)
class PairChecks:
    """The pairs of a stage, and what they must agree with.

    `rows` is how many were planned; `shapes` are the latents [c l h w] that the autoencoder makes of a `picture` and of
    a `video` of this geometry; `decoded` holds the PSNR in dB of some rows, decoded again; `sides` the split in `clips`
    of every scene.
    """

    rows: int
    shapes: Mapping[str, Sequence[int]]
    text_widths: tuple[int, ...]
    decoded: Mapping[str, float]
    sides: Mapping[str, str]
    spec: TableSpec = EDIT_PAIRS

    def summary(self, table: pa.Table) -> pd.DataFrame:
        """One line a row."""
        columns = ["id", "group", "kind", "task", "split", "instruction", "scene", "edit_share", "autoencoder"]
        frame: pd.DataFrame = table.select([*columns, "text_encoder", "maker"]).to_pandas()
        latents = _numbers(table, _latent_numbers, ["latent_shape", "source_latents", "target_latents"])
        edits = (frame["group"] != TEXT_TO_VIDEO) & (frame["task"] != TEXT_TO_VIDEO)
        edited = frame["edit_share"].fillna(0) > 0
        told = zip(*(table[name].to_pylist() for name in ("maker", "instruction", "task")), strict=True)
        return frame.assign(
            **latents,
            **_numbers(table, lambda row: _text_numbers(row, self.text_widths), ["text_states"]),
            source_agrees=latents["has_source"] == edits if len(frame) else [],
            edit_agrees=~edits | (edited != (frame["task"] == Task.IDENTITY.label)),
            instruction_agrees=_maybe(_agrees(maker, instruction, task) for maker, instruction, task in told),
            decoded_psnr=[self.decoded.get(key, np.nan) for key in frame["id"]],
            scene_side=_maybe(
                self.sides.get(scene, "unknown") if maker == COMPOSER or group in GENERATED_GROUPS else None
                for maker, group, scene in zip(frame["maker"], frame["group"], frame["scene"], strict=True)
            ),
            scene_splits=_splits_of_scenes(frame),
        )


@dataclass(frozen=True)
class CaseChecks:
    """Held-out cases: `rows` were planned, of these tasks, each with at most `decoys`; `sides` as in `PairChecks`."""

    rows: int
    decoys: int
    tasks: tuple[str, ...]
    sides: Mapping[str, str]
    spec: TableSpec = CASES

    def summary(self, table: pa.Table) -> pd.DataFrame:
        """One line a row."""
        columns = [
            "id",
            "kind",
            "task",
            "scene",
            "instruction",
            "wrong_instruction",
            "frames",
            "height",
            "width",
            "fps",
        ]
        frame: pd.DataFrame = table.select(columns).to_pandas()
        told = zip(*(table[name].to_pylist() for name in ("instruction", "task")), strict=True)
        return frame.assign(
            **_numbers(table, _case_numbers, ["frames", "height", "width", "source", "truth", "decoys", "clip_ids"]),
            instruction_agrees=_maybe(_agrees(COMPOSER, instruction, task) for instruction, task in told),
            wrong_differs=frame["instruction"] != frame["wrong_instruction"],
            scene_side=[self.sides.get(scene, "unknown") for scene in frame["scene"]],
        )


TableChecks: TypeAlias = ClipChecks | PairChecks | CaseChecks


def columns_summary(table: pa.Table, declared: pa.Schema) -> pd.DataFrame:
    """The types of a table's columns beside those that its schema declares; "missing" where there is none."""
    stored = {field.name: str(field.type) for field in table.schema}
    wanted = {field.name: str(field.type) for field in declared}
    names = [*wanted, *(name for name in stored if name not in wanted)]
    lines = [(name, stored.get(name, "missing"), wanted.get(name, "missing")) for name in names]
    return pd.DataFrame(lines, columns=["id", "stored", "declared"])


def _splits_of_scenes(frame: pd.DataFrame) -> pd.Series:
    """In how many splits each row's scene occurs: more than one is a leak."""
    return frame.groupby("scene", dropna=False)["split"].transform("nunique").astype("int64")


def _numbers(
    table: pa.Table, of_row: Callable[[Mapping[str, Any]], Mapping[str, Any]], columns: Sequence[str]
) -> dict[str, pd.Series]:
    """What a function finds in every row, as columns; a few rows are opened at a time."""
    found = pd.DataFrame([dict(of_row(row)) for row in _rows(table.select(list(columns)))])
    if found.empty:
        found = pd.DataFrame(columns=list(of_row(dict.fromkeys(columns))))
    return {str(name): found[name] for name in found}


def _rows(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    for start in range(0, table.num_rows, ROWS_AT_ONCE):
        yield from table.slice(start, ROWS_AT_ONCE).to_pylist()


def _clip_numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    scores = [row[name] for name in SCORES if row[name] is not None]
    return {
        "media_bytes": len(row["media"] or b""),
        "preview_bytes": len(row["preview"] or b""),
        "finite": bool(np.isfinite(scores).all()),
    }


def _latent_numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    parts = [row["target_latents"] or b""]
    if row["source_latents"] is not None:
        parts.append(row["source_latents"])
    # Damaged bytes are a finding, not a crash: half a number at the end is left out here, and told by the length.
    values = np.concatenate([_halves(part) for part in parts])
    finite = np.isfinite(values)
    size = int(np.prod(row["latent_shape"] or [0]))
    lengths = [len(part) / size if size else 0.0 for part in parts]
    return {
        "shape": " ".join(str(side) for side in row["latent_shape"] or []),
        "value_bytes": next((length for length in lengths if length != HALF), float(HALF)),
        "finite": float(finite.mean()) if values.size else 0.0,
        "largest": float(np.abs(values[finite]).max(initial=0.0)),
        "deviation": float(values[finite].std()) if finite.any() else 0.0,
        "has_source": row["source_latents"] is not None,
    }


def _text_numbers(row: Mapping[str, Any], widths: Sequence[int]) -> dict[str, Any]:
    parts = row["text_states"] or []
    whole = len(parts) == len(widths) and all(
        len(part) % (HALF * width) == 0 for part, width in zip(parts, widths, strict=True)
    )
    return {
        "text_tokens": len(parts[0]) / (HALF * widths[0]) if parts and widths else 0.0,
        "text_whole": whole,
        "text_finite": all(bool(np.isfinite(_halves(part)).all()) for part in parts),
    }


def _case_numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    wanted = (row["frames"], row["height"], row["width"], 3)
    source, truth, *decoys = (_unpacked(data) for data in (row["source"], row["truth"], *(row["decoys"] or [])))
    shown = [source, truth, *decoys]
    return {
        "frames_agree": all(clip is not None and clip.shape == wanted for clip in shown),
        "decoys": len(decoys),
        "truth_differs": not _alike(truth, source),
        "decoys_differ": not any(_alike(truth, decoy) for decoy in decoys),
        "clips": len(row["clip_ids"] or []),
    }


def _halves(data: bytes) -> np.ndarray:
    return np.frombuffer(data[: len(data) // HALF * HALF], dtype="<f2").astype(np.float32)


def _unpacked(data: bytes | None) -> np.ndarray | None:
    try:
        return None if data is None else unpack_frames(data)
    except PackedFramesError:
        return None


def _alike(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is None or b is None or np.array_equal(a, b)


def _agrees(maker: str | None, instruction: str | None, task: str | None) -> bool | None:
    """Whether an instruction asks for the task; None where it does not come from the grammar."""
    return None if maker != COMPOSER else task in tasks_told(instruction or "")


def _maybe(values: Iterator[bool | str | None]) -> pd.Series:
    return pd.Series(list(values), dtype=object)
