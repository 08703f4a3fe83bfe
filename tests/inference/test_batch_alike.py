"""Requests that come to one and the same edit share it; whatever differs makes an edit of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.batch import answer
from inference.editor import EditedFrames, Editor, FramesRequest
from stores.feature_store import FeatureStore
from stores.frames import unpack_frames
from stores.schema import EDITS
from tests.inference import tiny
from tests.inference.tiny import levels, request


class Counting:
    """The real editor's batches, and how many edits were made in them."""

    def __init__(self, editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.editor, self.made, self._edit = editor, 0, editor.edit_batch
        monkeypatch.setattr(editor, "edit_batch", self)

    def __call__(self, requests: Sequence[FramesRequest]) -> list[EditedFrames]:
        self.made += len(requests)
        return self._edit(requests)

    def told(self) -> str:
        """The task that the editor predicts of `request(1)`."""
        return self.editor.task_of(request(1).instruction, tiny.settings(self.editor)).label


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(tiny.editor(), monkeypatch)


def test_a_stated_task_that_would_be_predicted_anyway_is_the_same_edit(tmp_path: Path, counting: Counting) -> None:
    asked, store, outputs = request(1), FeatureStore(tmp_path, "one"), tmp_path / "outputs"
    told = replace(asked, id="told", task=counting.told())
    result = answer([told, asked, request(2)], counting.editor, store, outputs)
    rows = {row["request_id"]: row for row in store.draft(EDITS).to_pylist()}
    assert (result.made, counting.made, len(rows)) == (3, 2, 3)
    one, two = rows[asked.id], rows["told"]
    assert one["frames"] == two["frames"] and one["task"] == two["task"]
    assert one["id"] != two["id"] and one["settings"] != two["settings"]
    assert (outputs / one["output_uri"]).read_bytes() == (outputs / two["output_uri"]).read_bytes()

    apart = FeatureStore(tmp_path / "apart", "one")
    answer([told], counting.editor, apart, tmp_path / "apart" / "outputs")
    (alone,) = apart.draft(EDITS).to_pylist()
    assert alone["id"] == two["id"]
    assert levels(unpack_frames(alone["frames"]), unpack_frames(two["frames"])) <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 5},
        {"instruction": "add 2 red balloons on the left"},
        {"media": request(2).media},
        {"settings": '{"num_inference_steps": 2}'},
        {"task": "other"},
    ],
)
def test_what_differs_is_another_edit(tmp_path: Path, counting: Counting, change: dict[str, Any]) -> None:
    if "task" in change:
        change = {"task": next(label for label in ("style", "remove") if label != counting.told())}
    requests = [request(1), replace(request(1), id="changed", **change)]
    assert answer(requests, counting.editor, FeatureStore(tmp_path, "one"), tmp_path / "outputs").made == 2
    assert counting.made == 2


def test_one_that_was_answered_before_the_other_was_asked_stays(tmp_path: Path, counting: Counting) -> None:
    store, outputs = FeatureStore(tmp_path, "one"), tmp_path / "outputs"
    answer([request(1)], counting.editor, store, outputs)
    told = replace(request(1), id="told", task=counting.told())
    again = answer([request(1), told], counting.editor, store, outputs)
    assert (again.made, again.skipped) == (1, 1)
    assert len({row["frames"] for row in store.draft(EDITS).to_pylist()}) == 1


def test_alike_requests_that_fail_all_say_why(tmp_path: Path, counting: Counting) -> None:
    store, broken = FeatureStore(tmp_path, "one"), replace(request(1), media=b"noise" * 50)
    told = replace(broken, id="told", task=counting.told())
    assert answer([broken, told], counting.editor, store, tmp_path / "outputs").failed == 2
    assert all("not a picture or video" in row["error"] for row in store.draft(EDITS).to_pylist())
