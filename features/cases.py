"""Held-out cases for evaluation: unseen scenes and wordings, with the truth, decoys, and the requests they lead to."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.check_tables import CaseChecks
from features.pairs import DRAWERS
from features.setting import ComposeSetting
from features.tasks.draft import Draft
from stores.feature_store import FeatureStore
from stores.frames import pack_frames, unpack_frames
from stores.schema import CASES, EDIT_REQUESTS, content_id

PURPOSE = "evaluate"
# Variants of a case's request: as a user would ask, with the true task id, with another case's instruction, and frame
# by frame, which is what a single-frame editor can do on clips.
AS_ASKED, TRUE_TASK, WRONG, FRAMEWISE = "as_asked", "true_task", "wrong_instruction", "framewise"
VARIANTS = (AS_ASKED, TRUE_TASK, WRONG, FRAMEWISE)


def request_name(variant: str, case_id: str, frame: int | None = None) -> str:
    """What a request of a case is called; evaluation finds it again by this name."""
    return f"{variant}/{case_id}" if frame is None else f"{variant}/{case_id}/{frame:04d}"


def variant_of(name: str) -> str:
    """Which variant of its case a request is."""
    return name.partition("/")[0]


def build_cases(setting: ComposeSetting, tasks: Sequence[str], store: FeatureStore) -> list[str]:
    """Write all cases and return their ids: pictures first, tasks in turn."""
    ids = []
    for kind, count in (("picture", setting.params.cases.pictures), ("video", setting.params.cases.clips)):
        for number in range(count):
            row = _case(number, kind, tasks[number % len(tasks)], setting)
            store.upsert(CASES, [row])
            ids.append(row["id"])
    store.retain(CASES, ids)
    return ids


def case_checks(setting: ComposeSetting, tasks: Sequence[str]) -> CaseChecks:
    """What the cases of these tasks must agree with."""
    cases = setting.params.cases
    return CaseChecks(cases.pictures + cases.clips, cases.decoys, tuple(tasks), setting.sides())


def build_requests(store: FeatureStore, seed: int, framewise_clips: int) -> list[str]:
    """Write the requests of every case and return their ids; frame by frame only for the first clips by id."""
    ids: list[str] = []
    cases = store.draft(CASES).to_pylist()
    clips = sorted(case["id"] for case in cases if case["frames"] > 1)[:framewise_clips]
    for case in cases:
        rows = [_request(case, AS_ASKED, seed), _request(case, TRUE_TASK, seed), _request(case, WRONG, seed)]
        if case["id"] in clips:
            rows += [_request(case, FRAMEWISE, seed, frame) for frame in range(case["frames"])]
        store.upsert(EDIT_REQUESTS, rows)
        ids += [row["id"] for row in rows]
    store.retain(EDIT_REQUESTS, ids)
    return ids


def _case(number: int, kind: str, task: str, setting: ComposeSetting) -> dict[str, Any]:
    """A draft whose decoys all differ from the truth, the first that a numbered generator gives."""
    decoys = setting.params.cases.decoys
    for attempt in range(50):
        rng = np.random.default_rng([setting.seed, number, kind == "video", attempt, 7])
        materials = setting.materials(rng, held_out=True, moving=kind == "video")
        draft = DRAWERS[task](rng, materials, decoys + 1)
        frames = [setting.draw(choice.target) for choice in draft.choices]
        source = setting.draw(draft.source)
        if all(not np.array_equal(frames[0], other) for other in (*frames[1:], source)):
            return _row(number, kind, draft, source, frames, setting)
    raise ValueError(f"case {number}: no draft of task {task!r} has a truth that differs from its decoys")


def _row(
    number: int, kind: str, draft: Draft, source: np.ndarray, frames: list[np.ndarray], setting: ComposeSetting
) -> dict[str, Any]:
    background = draft.source.background
    instruction = draft.choices[0].instruction
    wrong = draft.choices[1].instruction if len(draft.choices) > 1 else "invert all colours"
    packed = pack_frames(source)
    length, height, width = source.shape[:3]
    return {
        "id": content_id("case", number, kind, draft.task, instruction, packed, setting.code),
        "kind": kind,
        "task": draft.task,
        "scene": background.scene,
        "instruction": instruction,
        "wrong_instruction": wrong,
        "fps": setting.params.geometry.frame_rate if kind == "video" else 1.0,
        "frames": length,
        "height": height,
        "width": width,
        "source": packed,
        "truth": pack_frames(frames[0]),
        "decoys": [pack_frames(other) for other in frames[1:]],
        "clip_ids": setting.clip_ids(draft.choices[0].target),
    }


def _request(case: dict[str, Any], variant: str, seed: int, frame: int | None = None) -> dict[str, Any]:
    media = case["source"] if frame is None else pack_frames(unpack_frames(case["source"])[frame : frame + 1])
    name = request_name(variant, case["id"], frame)
    return {
        "id": content_id(PURPOSE, name, seed),
        "purpose": PURPOSE,
        "kind": case["kind"] if frame is None else "picture",
        "instruction": case["wrong_instruction" if variant == WRONG else "instruction"],
        "task": case["task"] if variant == TRUE_TASK else None,
        "name": name,
        "scene": case["scene"],
        # A noise of its own for every case, the same for all variants of it.
        "seed": (seed + int(case["id"][:8], 16)) % 2**31,
        "media": media,
        "fps": case["fps"],
        "clip_ids": case["clip_ids"],
    }
