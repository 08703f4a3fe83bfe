"""Laws of the editor: seeds decide, batches do not, guidance of one is no guidance, wrong parts are refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.editor import Editor, EditorMismatchError, FramesRequest
from inference.params import EditError
from models.build import autoencoder_bundle, build_text_encoder, editor_bundle
from models.tasks import EDIT_TASKS, Task
from models.text import TextContext
from models.weights import WeightsError, save_bundle
from stores.receipts import ModelReceipt
from tests.inference import tiny
from tests.inference.tiny import SIDE, levels, window
from tests.tiny import minilm


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny.editor()


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_an_edit_has_the_shape_of_its_source(editor: Editor, count: int) -> None:
    edited = editor.edit_frames(window(count), "make it red", tiny.settings(editor))
    assert edited.frames.shape == (count, SIDE, SIDE, 3) and edited.frames.dtype == np.uint8
    assert edited.task in EDIT_TASKS and edited.seconds > 0


def test_the_seed_decides(editor: Editor) -> None:
    first, again, other = (
        editor.edit_frames(window(4), "make it red", tiny.settings(editor, seed=seed)).frames for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert levels(first, other) > 8


@pytest.mark.parametrize("change", [{"instruction": "make it blue"}, {"speed": 5}, {"task": "remove"}, {"scale": 9.0}])
def test_source_instruction_task_and_guidance_matter(editor: Editor, change: dict[str, object]) -> None:
    plain = editor.edit_frames(window(4), "make it red", tiny.settings(editor, task="add")).frames
    changed = editor.edit_frames(
        window(4, int(change.get("speed", 2))),
        str(change.get("instruction", "make it red")),
        tiny.settings(editor, task=change.get("task", "add"), guidance_scale=change.get("scale")),
    ).frames
    assert levels(plain, changed) > 0


def test_a_sample_does_not_depend_on_its_batch(editor: Editor) -> None:
    texts = ("make it red", "remove the old wooden boat in the middle of the lake", "night")
    requests = [
        FramesRequest(window(4, speed), text, tiny.settings(editor, seed=speed, task=task))
        for speed, (text, task) in enumerate(zip(texts, ("recolour", None, "global"), strict=True))
    ]
    together = editor.edit_batch(requests)
    for request, edited in zip(requests, together, strict=True):
        alone = editor.edit_frames(request.frames, request.instruction, request.settings)
        assert levels(alone.frames, edited.frames) <= 1
        assert alone.task == edited.task


def test_scales_of_one_are_no_guidance(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    hook = editor._network.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    one = tiny.settings(editor, guidance_scale=1, video_guidance_scale=1)
    plain = editor.edit_frames(window(4), "make it red", one).frames
    assert set(batches) == {1}
    nearly = one.model_copy(update={"guidance_scale": 1 + 1e-9, "video_guidance_scale": 1 + 2e-9})
    guided = editor.edit_frames(window(4), "make it red", nearly).frames
    hook.remove()
    assert batches[-1] == 3
    assert levels(plain, guided) <= 1


def test_stated_tasks_win_over_predicted_ones(editor: Editor) -> None:
    assert editor.task_of("make it red", tiny.settings(editor, task="segment")) is Task.SEGMENT
    predicted = editor.task_of("make it red", tiny.settings(editor))
    assert editor.edit_frames(window(1), "make it red", tiny.settings(editor)).task is predicted


def test_the_frame_rate_is_said_before_the_prompt_of_a_clip_and_nowhere_else() -> None:
    said: list[str] = []

    class Listening(tiny.WordEncoder):
        frame_rate_prefix = 8.0

        def encode(self, texts: Sequence[str]) -> TextContext:
            said.extend(texts)
            return super().encode(texts)

    parts = tiny.loaded_editor(), tiny.autoencoder(), Listening(), tiny.params()
    editor = Editor(*parts, model=ModelReceipt(name="x", digest=""))
    editor.edit_frames(window(4), "make it red", tiny.settings(editor))
    assert sorted(said) == ["", "FPS-8 make it red", "make it red"], "the task is predicted from the instruction alone"
    said.clear()
    editor.edit_frames(window(1), "make it blue", tiny.settings(editor))
    assert said == ["make it blue"]


def test_bf16_is_close_to_fp32(editor: Editor) -> None:
    half = tiny.editor(precision="bf16")
    exact, rounded = (
        e.edit_frames(window(4), "make it red", tiny.settings(e)).frames.astype(float) for e in (editor, half)
    )
    assert np.abs(exact - rounded).mean() < 8


def test_reconstruction_is_that_of_the_autoencoder(editor: Editor) -> None:
    assert editor.reconstruct(window(5)).shape == (5, SIDE, SIDE, 3)
    assert np.array_equal(editor.reconstruct(window(5)), editor.reconstruct(window(5)))


def test_other_shapes_are_refused(editor: Editor) -> None:
    settings = tiny.settings(editor)
    for frames in (window(9), window(4)[:, :8], window(4).astype(np.float32), window(4)[:0]):
        with pytest.raises(EditError, match="expected uint8"):
            editor.edit_frames(frames, "make it red", settings)
    for text in ("", "  \n", "x" * 2001):
        with pytest.raises(EditError, match="instruction"):
            editor.edit_frames(window(1), text, settings)
    unlike = FramesRequest(window(4), "a", settings), FramesRequest(window(5), "b", settings)
    with pytest.raises(EditError, match="share"):
        editor.edit_batch(unlike)


def test_values_that_are_not_finite_are_an_error_not_a_picture() -> None:
    broken = tiny.loaded_editor()
    with torch.no_grad():
        next(broken.model.parameters()).fill_(float("nan"))
    editor = Editor(
        broken, tiny.autoencoder(), tiny.WordEncoder(), tiny.params(), model=ModelReceipt(name="x", digest="")
    )
    with pytest.raises(EditError, match="not finite"):
        editor.edit_frames(window(1), "make it red", tiny.settings(editor))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"window_frames": 17}, "latent frames"), ({"resolution": 18}, "multiple"), ({}, "text encoder")],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, int], message: str) -> None:
    loaded = tiny.loaded_editor()
    if not changes:
        loaded = replace(loaded, config=loaded.config.model_copy(update={"text_revision": "another"}))
    with pytest.raises(EditorMismatchError, match=message):
        Editor(
            loaded,
            tiny.autoencoder(),
            tiny.WordEncoder(),
            tiny.params(**changes),
            model=ModelReceipt(name="x", digest=""),
        )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles on disk, with the real text encoder."""
    folder = tmp_path_factory.mktemp("bundles")
    text = minilm(16)
    encoder = build_text_encoder(text)
    config = tiny.NETWORK_CONFIG.model_copy(
        update={"text": text, "text_revision": encoder.revision, "text_widths": encoder.widths}
    )
    autoencoder = autoencoder_bundle(tiny.autoencoder().state_dict(), tiny.AUTOENCODER_CONFIG, {})
    save_bundle(autoencoder, folder / "autoencoder.safetensors")
    loaded = tiny.loaded_editor(config)
    for name, digest in (("editor", autoencoder.digest()), ("foreign", "0" * 64)):
        bundle = editor_bundle(loaded.model.state_dict(), loaded.predictor, config, {"autoencoder": digest})
        save_bundle(bundle, folder / f"{name}.safetensors")
    return folder


def test_files_give_an_editor_that_knows_its_digest(files: Path) -> None:
    editor = Editor.from_files(files / "editor.safetensors", files / "autoencoder.safetensors", tiny.params())
    assert editor.model.name == "editor" and len(editor.model.digest) == 64
    edited = editor.edit_frames(window(4), "replace the cat with a small brown dog", tiny.settings(editor))
    assert edited.frames.shape == (4, SIDE, SIDE, 3)


def test_an_editor_of_another_autoencoder_is_refused(files: Path) -> None:
    with pytest.raises(EditorMismatchError, match="trained with autoencoder 000000000000"):
        Editor.from_files(files / "foreign.safetensors", files / "autoencoder.safetensors", tiny.params())


def test_missing_and_exchanged_files_are_refused(files: Path) -> None:
    with pytest.raises(WeightsError, match="no such"):
        Editor.from_files(files / "none.safetensors", files / "autoencoder.safetensors", tiny.params())
    with pytest.raises(WeightsError, match="expected 'editor'"):
        Editor.from_files(files / "autoencoder.safetensors", files / "editor.safetensors", tiny.params())


def test_a_window_longer_than_a_tile_goes_through_the_autoencoder_in_tiles() -> None:
    tiled, whole = (
        tiny.editor(window_frames=16, tiling={"latent_frames": length, "overlap": overlap})
        for length, overlap in ((4, 2), (8, 0))
    )
    assert levels(tiled.reconstruct(window(16)), whole.reconstruct(window(16))) > 0
    still = window(1).repeat(16, axis=0)
    assert levels(tiled.reconstruct(still), whole.reconstruct(still)) <= 1
    edits = [one.edit_frames(window(8), "make it red", tiny.settings(one, task="add")) for one in (tiled, whole)]
    assert np.array_equal(edits[0].frames, edits[1].frames), "one tile is the whole window"
