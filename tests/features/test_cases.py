"""Evaluation cases: a truth unlike its source and its decoys, and the requests that every variant needs."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.cases import AS_ASKED, FRAMEWISE, TRUE_TASK, WRONG, build_cases, build_requests, request_name
from features.instructions import PHRASINGS
from features.setting import ComposeSetting
from stores.feature_store import FeatureStore
from stores.frames import unpack_frames
from stores.schema import CASES, EDIT_REQUESTS
from tests.features.conftest import Made
from tests.world import FRAMES, SIDE

FRAMEWISE_CLIPS = 1

TASKS = ("add", "remove", "replace", "global")


def _setting(made: Made, seed: int = 0) -> ComposeSetting:
    return replace(made.setting.compose, seed=seed)


@pytest.fixture(scope="module")
def store(made: Made, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = FeatureStore(tmp_path_factory.mktemp("cases"), "cases")
    build_cases(_setting(made), TASKS, store)
    build_requests(store, 0, FRAMEWISE_CLIPS)
    return store


@pytest.fixture(scope="module")
def cases(store: FeatureStore) -> list[dict[str, Any]]:
    return store.draft(CASES).to_pylist()


def test_as_many_as_asked_tasks_in_turn(cases: list[dict[str, Any]]) -> None:
    assert Counter(case["kind"] for case in cases) == {"picture": 8, "video": 2}
    assert Counter(case["task"] for case in cases if case["kind"] == "picture") == dict.fromkeys(TASKS, 2)
    for case in cases:
        assert unpack_frames(case["source"]).shape == (case["frames"], SIDE, SIDE, 3)
        assert case["frames"] == (1 if case["kind"] == "picture" else FRAMES)


def test_the_truth_differs_from_the_source_and_from_every_decoy(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        truth = unpack_frames(case["truth"])
        others = [case["source"], *case["decoys"]]
        assert all(unpack_frames(other).shape == truth.shape for other in others)
        assert not any(np.array_equal(unpack_frames(other), truth) for other in others)
        assert len(set(case["decoys"])) == len(case["decoys"])
        assert len(case["decoys"]) == (2 if case["task"] == "remove" else 3)
        assert case["wrong_instruction"] != case["instruction"]


def test_scenes_and_wordings_are_held_out(made: Made, cases: list[dict[str, Any]]) -> None:
    rows = made.rows("clips").to_pylist()
    tested = {row["scene"] for row in rows if row["split"] == "test"}
    for case in cases:
        assert case["scene"] in tested
        assert set(case["clip_ids"]) <= {row["id"] for row in rows if row["scene"] == case["scene"]}
        assert case["instruction"].startswith(PHRASINGS[case["task"]][-1].split("{")[0])


def test_every_case_is_asked_in_every_variant(store: FeatureStore, cases: list[dict[str, Any]]) -> None:
    requests = {row["name"]: row for row in store.draft(EDIT_REQUESTS).to_pylist()}
    frames = [case["frames"] for case in cases if case["kind"] == "video"]
    assert len(frames) > FRAMEWISE_CLIPS and len(requests) == 3 * len(cases) + FRAMEWISE_CLIPS * frames[0]
    for case in cases:
        asked, told, wrong = (requests[request_name(variant, case["id"])] for variant in (AS_ASKED, TRUE_TASK, WRONG))
        assert asked["instruction"] == told["instruction"] == case["instruction"]
        assert wrong["instruction"] == case["wrong_instruction"]
        assert (asked["task"], told["task"], wrong["task"]) == (None, case["task"], None)
        assert asked["media"] == told["media"] == wrong["media"] == case["source"]
        assert asked["seed"] == told["seed"] == wrong["seed"]
        assert asked["purpose"] == "evaluate" and asked["scene"] == case["scene"]


def test_some_clips_are_also_asked_frame_by_frame(store: FeatureStore, cases: list[dict[str, Any]]) -> None:
    requests = defaultdict(list)
    for row in store.draft(EDIT_REQUESTS).to_pylist():
        if row["name"].startswith(FRAMEWISE):
            requests[row["name"].split("/")[1]].append(row)
    assert sorted(requests) == sorted(case["id"] for case in cases if case["kind"] == "video")[:FRAMEWISE_CLIPS]
    for case in (case for case in cases if case["id"] in requests):
        frames = unpack_frames(case["source"])
        for number, frame in enumerate(frames):
            (row,) = [r for r in requests[case["id"]] if r["name"] == request_name(FRAMEWISE, case["id"], number)]
            assert row["kind"] == "picture" and np.array_equal(unpack_frames(row["media"]), frame[None])


def test_cases_have_different_noise(store: FeatureStore, cases: list[dict[str, Any]]) -> None:
    seeds = {row["seed"] for row in store.draft(EDIT_REQUESTS).to_pylist()}
    assert len(seeds) == len(cases) and all(0 <= seed < 2**31 for seed in seeds)


def test_a_second_run_is_the_same_and_other_seeds_are_not(made: Made, store: FeatureStore, tmp_path: Path) -> None:
    digests = store.publish(CASES).digest, store.publish(EDIT_REQUESTS).digest
    build_cases(_setting(made), TASKS, store)
    build_requests(store, 0, FRAMEWISE_CLIPS)
    assert (store.publish(CASES).digest, store.publish(EDIT_REQUESTS).digest) == digests
    other = FeatureStore(tmp_path, "cases")
    build_cases(_setting(made, seed=1), TASKS, other)
    assert not other.ids(CASES) & store.ids(CASES)
