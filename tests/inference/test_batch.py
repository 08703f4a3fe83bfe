"""Laws of answering: one row a request, bad rows stop nothing, a rerun does nothing, a kill loses nothing."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.batch import Answered, _Writer, answer
from inference.edit import edit_file
from inference.editor import Editor
from inference.many import REPORT, ManifestRun, edit_manifest
from inference.requests import EditRequest
from stores.clip_files import probe, read_clip
from stores.clip_writer import encode_picture, write_clip, write_picture
from stores.feature_store import FeatureStore
from stores.frames import unpack_frames
from stores.schema import EDIT_REQUESTS, EDITS
from tests.inference import tiny
from tests.inference.tiny import levels, request, window, write_lines
from tests.media import WIDE, moving_frames


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny.editor()


def _rows(store: FeatureStore) -> dict[str, dict[str, object]]:
    return {str(row["request_id"]): row for row in store.draft(EDITS).to_pylist()}


def _mixed() -> list[EditRequest]:
    """Pictures, clips of two lengths and one over several windows."""
    lengths = (1, 4, 4, 1, 6, 4, 4, 20, 1)
    return [request(number, count) for number, count in enumerate(lengths)]


def test_every_request_gets_its_edit(tmp_path: Path, editor: Editor) -> None:
    requests, store = _mixed(), FeatureStore(tmp_path, "one")
    result = answer(requests, editor, store, tmp_path / "outputs", batch_size=3)
    assert result == Answered(result.ids, made=9, skipped=0, failed=0)
    rows = _rows(store)
    assert [rows[asked.id]["id"] for asked in requests] == list(result.ids)
    for asked, count in zip(requests, (1, 4, 4, 1, 6, 4, 4, 20, 1), strict=True):
        row = rows[asked.id]
        frames = unpack_frames(row["frames"])
        assert frames.shape == (count, tiny.SIDE, tiny.SIDE, 3)
        info = probe(tmp_path / "outputs" / str(row["output_uri"]), WIDE)
        assert (info.kind, info.frames) == ("picture" if count == 1 else "video", count)
        assert (row["status"], row["error"], row["model"]) == ("ok", None, "tiny")
        assert row["model_digest"] == editor.model.digest and row["clip_ids"] == list(asked.clip_ids)
        assert row["seed"] == asked.seed and row["purpose"] == "evaluate"
        assert probe(row["preview"], WIDE).kind == "picture"


def test_a_batch_gives_what_single_edits_give(tmp_path: Path, editor: Editor) -> None:
    requests, store = _mixed()[:7], FeatureStore(tmp_path, "one")
    answer(requests, editor, store, tmp_path / "outputs", batch_size=8)
    for asked in requests:
        alone = editor.edit_frames(
            unpack_frames(asked.media or b""), asked.instruction, tiny.settings(editor, seed=asked.seed)
        )
        row = _rows(store)[asked.id]
        assert levels(alone.frames, unpack_frames(row["frames"])) <= 1
        assert alone.task.label == row["task"]


def test_frames_of_pictures_are_those_of_the_file(tmp_path: Path, editor: Editor) -> None:
    store = FeatureStore(tmp_path, "one")
    answer([request(0, 1)], editor, store, tmp_path / "outputs")
    (row,) = _rows(store).values()
    file = read_clip(tmp_path / "outputs" / str(row["output_uri"]), WIDE).frames
    assert np.array_equal(file, unpack_frames(row["frames"]))


def test_encoded_media_and_paths_are_scaled_to_the_model(tmp_path: Path, editor: Editor) -> None:
    store = FeatureStore(tmp_path, "one")
    write_clip(tmp_path / "clip.mp4", moving_frames(5), tiny.RATE)
    requests = [
        request(0, 1, media=encode_picture(moving_frames(1)[0], "png")),
        request(1, media=(tmp_path / "clip.mp4").read_bytes(), fps=None),
        request(2, media=None, clip_uri=str(tmp_path / "clip.mp4")),
    ]
    assert answer(requests, editor, store, tmp_path / "outputs").made == 3
    shapes = [unpack_frames(_rows(store)[asked.id]["frames"]).shape[:3] for asked in requests]
    assert shapes == [(1, 16, 16), (5, 16, 16), (5, 16, 16)]


def _bad(good: EditRequest, tmp_path: Path) -> list[tuple[EditRequest, str]]:
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 50)
    changes = [
        ({"media": None}, "neither media nor a clip"),
        ({"media": b"noise" * 50}, "not a picture or video"),
        ({"media": (good.media or b"")[:50]}, "not packed frames"),
        ({"media": None, "clip_uri": str(tmp_path / "none.mp4")}, "no such file"),
        ({"media": None, "clip_uri": str(tmp_path / "noise.mp4")}, "not a picture or video"),
        ({"fps": None}, "frame rate"),
        ({"instruction": " "}, "instruction is empty"),
        ({"task": "paint"}, "unknown task"),
        ({"settings": "{"}, "settings: not JSON"),
        ({"settings": '{"steps": 3}'}, "steps"),
        ({"settings": '{"num_inference_steps": 500}'}, "at most 20"),
        ({"purpose": "user", "clip_uri": str(tmp_path / "noise.mp4"), "media": None}, "not a picture or video"),
    ]
    return [(replace(good, id=f"bad {i}", **change), reason) for i, (change, reason) in enumerate(changes)]


def test_bad_rows_never_stop(tmp_path: Path, editor: Editor) -> None:
    bad, store = _bad(request(1), tmp_path), FeatureStore(tmp_path, "one")
    good = [request(number) for number in range(3)]
    requests = [asked for asked, _ in bad[:6]] + good + [asked for asked, _ in bad[6:]]
    result = answer(requests, editor, store, tmp_path / "outputs", batch_size=4)
    assert (result.made, result.failed) == (3, len(bad))
    rows = _rows(store)
    assert all(rows[asked.id]["status"] == "ok" for asked in good)
    for asked, reason in bad:
        assert rows[asked.id]["status"] == "error" and reason in str(rows[asked.id]["error"])
        assert rows[asked.id]["output_uri"] is None
    assert len(rows) == len(requests)


def test_a_failing_batch_is_tried_one_by_one(tmp_path: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    store, whole = FeatureStore(tmp_path, "one"), editor.edit_batch

    def moody(requests: list[object]) -> object:
        if len(requests) > 1 or requests[0].instruction.startswith("add 2"):
            raise RuntimeError("out of memory")
        return whole(requests)

    monkeypatch.setattr(editor, "edit_batch", moody)
    result = answer([request(number) for number in range(4)], editor, store, tmp_path / "outputs")
    assert (result.made, result.failed) == (3, 1)
    assert [row["error"] for row in _rows(store).values() if row["error"]] == ["out of memory"]


def test_a_rerun_does_nothing(tmp_path: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    requests, store = _mixed(), FeatureStore(tmp_path, "one")
    first = answer(requests, editor, store, tmp_path / "outputs")
    monkeypatch.setattr(editor, "edit_batch", None)
    monkeypatch.setattr(editor, "edit_frames", None)
    again = answer(requests, editor, store, tmp_path / "outputs")
    assert again == Answered(first.ids, made=0, skipped=9, failed=0)


def test_other_settings_another_model_a_lost_file_and_an_error_are_made_anew(tmp_path: Path, editor: Editor) -> None:
    store, outputs, asked = FeatureStore(tmp_path, "one"), tmp_path / "outputs", request(1)
    (first,) = answer([asked], editor, store, outputs).ids
    others = [tiny.editor(guidance_scale=4.0), tiny.editor(name="other")]
    ids = {first} | {key for other in others for key in answer([asked], other, store, outputs).ids}
    reworded = replace(asked, instruction=f"{asked.instruction}, please")  # under the same id
    assert len(ids | set(answer([reworded], editor, store, outputs).ids)) == 4
    (outputs / f"{first}.mp4").unlink()
    assert answer([asked], editor, store, outputs).made == 1
    late = replace(asked, id="late", media=None, clip_uri=str(tmp_path / "late.mp4"))
    assert answer([late], editor, store, outputs).failed == 1
    write_clip(tmp_path / "late.mp4", moving_frames(4), tiny.RATE)
    assert answer([late], editor, store, outputs).made == 1
    assert _rows(store)["late"]["status"] == "ok"


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 2, 3])
def test_killed_and_run_again_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    requests = [*_mixed(), replace(request(20), id="bad", media=b"noise")]
    whole = FeatureStore(tmp_path / "whole", "one")
    answer(requests, tiny.editor(), whole, tmp_path / "whole" / "outputs", batch_size=3)
    store, outputs, editor = FeatureStore(tmp_path / "cut", "one"), tmp_path / "cut" / "outputs", tiny.editor()
    edit, left = editor.edit_batch, iter(range(after))

    def mortal(asked: list[object]) -> object:
        if next(left, None) is None:
            raise Killed
        return edit(asked)

    monkeypatch.setattr("inference.batch.FLUSH_ROWS", 2)
    monkeypatch.setattr("inference.batch._Writer.flush", _flush_unless_dying())
    monkeypatch.setattr(editor, "edit_batch", mortal)
    with pytest.raises(Killed):
        answer(requests, editor, store, outputs, batch_size=3)
    assert not store.has(EDITS) or len(store.ids(EDITS)) < len(requests)
    monkeypatch.setattr(editor, "edit_batch", edit)
    answer(requests, editor, store, outputs, batch_size=3)
    assert store.publish(EDITS).digest == whole.publish(EDITS).digest
    names = [sorted(path.name for path in folder.iterdir()) for folder in (outputs, tmp_path / "whole" / "outputs")]
    assert names[0] == names[1]


def _flush_unless_dying() -> object:
    """As the real one, but not while an exception passes: a real kill leaves no time."""
    real = _Writer.flush

    def flush(self: _Writer) -> None:
        if not isinstance(sys.exc_info()[1], Killed):
            real(self)

    return flush


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, editor: Editor) -> Iterator[tuple[Path, ManifestRun]]:
    folder = tmp_path_factory.mktemp("manifest")
    write_clip(folder / "a clip.mp4", moving_frames(11), tiny.RATE)
    write_picture(folder / "photo.jpg", moving_frames(1)[0])
    (folder / "noise.mp4").write_bytes(b"noise" * 50)
    write_lines(
        folder / "list.csv",
        "id,clip,instruction,task,seed,output",
        "<b>first</b>,a clip.mp4,make <i>it</i> red,,3,",
        "second,photo.jpg,paint it as a watercolour,style,,named.webp",
        "third,photo.jpg,paint it as a watercolour,style,,",
        "fourth,none.mp4,make it red,,,",
        "fifth,noise.mp4,make it red,,,",
        "sixth,photo.jpg,,,,",
    )
    yield folder, edit_manifest(folder / "list.csv", editor, FeatureStore(folder, "user"), folder / "out")


def test_a_manifest_gives_one_row_each(run: tuple[Path, ManifestRun]) -> None:
    folder, done = run
    assert (done.answered.made, done.answered.failed, len(done.problems)) == (3, 1, 2)
    store = FeatureStore(folder, "user")
    rows = store.draft(EDITS).to_pylist()
    assert sorted(row["status"] for row in rows) == ["error"] * 3 + ["ok"] * 3
    assert store.draft(EDIT_REQUESTS, ["name"])["name"].to_pylist().count("second") == 1
    assert probe(folder / "named.webp", WIDE).kind == "picture"
    made = sorted(path.name for path in (folder / "out").iterdir())
    assert len(made) == 3 and made[0].startswith("b-first-b-a-clip-") and REPORT in made


def test_user_rows_are_edited_as_single_files_are(run: tuple[Path, ManifestRun], editor: Editor) -> None:
    folder, _ = run
    (output,) = (folder / "out").glob("*.mp4")
    made = edit_file(
        editor, folder / "a clip.mp4", "make <i>it</i> red", folder / "alone.mp4", tiny.settings(editor, seed=3)
    )
    assert made.output.read_bytes() == output.read_bytes()


def test_the_report_has_every_row_and_runs_nothing_of_it(run: tuple[Path, ManifestRun]) -> None:
    _, done = run
    page = done.report.read_text(encoding="utf-8")
    assert "<title>3 edits, 3 not edited</title>" in page
    for name in ("&lt;b&gt;first&lt;/b&gt;", "second", "third", "fourth", "fifth", "sixth"):
        assert name in page
    assert "make &lt;i&gt;it&lt;/i&gt; red" in page and "<i>it</i>" not in page and "<b>first" not in page
    assert page.count('src="data:video/mp4;base64,') == 2 and page.count('src="data:image/webp;base64,') == 4
    for reason in ("no such file", "not a picture or video", "the instruction is empty", "predicted", "given"):
        assert reason in page
    assert "http://" not in page and "https://" not in page


def test_a_manifest_run_again_answers_only_what_changed(run: tuple[Path, ManifestRun], editor: Editor) -> None:
    folder, done = run
    text = (folder / "list.csv").read_text().replace("sixth,photo.jpg,,,,", "sixth,photo.jpg,make it blue,,,")
    write_lines(folder / "list2.csv", *text.splitlines())
    again = edit_manifest(folder / "list2.csv", editor, FeatureStore(folder, "user"), folder / "out")
    assert (again.answered.made, again.answered.skipped, again.answered.failed) == (1, 3, 1)
    assert "4 edits, 2 not edited" in again.report.read_text()
    assert len(done.answered.ids) + 1 == len(again.answered.ids)


def test_settings_of_a_row_are_those_it_was_made_with(tmp_path: Path, editor: Editor) -> None:
    store = FeatureStore(tmp_path, "one")
    answer([request(1, settings='{"guidance_scale": 4}', task="add")], editor, store, tmp_path / "outputs")
    (row,) = _rows(store).values()
    values = json.loads(str(row["settings"]))
    assert (values["guidance_scale"], values["seed"], values["task"]) == (4.0, 1, "add")
    same = window(4, 2)
    given = editor.edit_frames(same, "add 1 red balloons on the left", tiny.settings(editor, **_stated(values)))
    assert levels(given.frames, unpack_frames(row["frames"])) == 0


def _stated(values: dict[str, object]) -> dict[str, object]:
    return {name: values[name] for name in ("guidance_scale", "seed", "task")}
