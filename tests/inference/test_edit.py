"""What comes back is what went in, edited: length, rate, size and sound; and bad wishes are refused in plain words."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inference.edit import edit_file, edited_frames
from inference.editor import Editor
from inference.params import EditError
from models.tasks import Task
from stores.clip_files import MediaError, probe, read_clip
from stores.clip_writer import write_clip, write_picture
from tests.inference import tiny
from tests.media import WIDE, audio_packets, moving_frames, real_clips, write_turned, write_with_sine


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny.editor()


@pytest.mark.parametrize("keep", [False, True])
def test_a_real_clip_keeps_length_rate_and_size(tmp_path: Path, keep: bool) -> None:
    clip = min(real_clips(), key=lambda path: path.stat().st_size)
    editor = tiny.editor(keep_source_detail=keep)
    made = edit_file(editor, clip, "make it red", tmp_path / "out.mp4", tiny.settings(editor))
    before, after = probe(clip, WIDE), probe(made.output, WIDE)
    assert (after.frames, after.fps, after.width, after.height) == (
        before.frames,
        before.fps,
        before.width,
        before.height,
    )
    assert (made.frames, made.fps, made.kind) == (before.frames, before.fps, "video")


@pytest.mark.parametrize(("count", "rate"), [(1, Fraction(25)), (5, Fraction(30000, 1001)), (21, Fraction(12))])
def test_sound_is_copied_packet_for_packet(tmp_path: Path, editor: Editor, count: int, rate: Fraction) -> None:
    clip = tmp_path / "clip.mp4"
    write_with_sine(clip, moving_frames(count), rate)
    made = edit_file(editor, clip, "make it red", None, tiny.settings(editor))
    assert made.output == tmp_path / "clip-edited.mp4"
    after = probe(made.output, WIDE)
    assert after.has_audio and after.frames == count and abs(after.fps - rate) < 1e-3
    before = [packet for packet, _ in audio_packets(clip)]
    assert [packet for packet, _ in audio_packets(made.output)] == before


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_comes_back_as_a_picture(tmp_path: Path, editor: Editor, suffix: str) -> None:
    write_picture(tmp_path / "photo.jpg", moving_frames(1, 51, 37)[0])
    output = tmp_path / "new" / f"edit{suffix}"
    made = edit_file(editor, tmp_path / "photo.jpg", "make it red", output, tiny.settings(editor, task="style"))
    after = probe(output, WIDE)
    assert (after.kind, after.height, after.width) == ("picture", 51, 37)
    assert made.task is Task.STYLE and made.task_given and made.model == editor.model


def test_defaults_lie_beside_the_source(tmp_path: Path, editor: Editor) -> None:
    write_picture(tmp_path / "my photo.webp", moving_frames(1)[0])
    made = edit_file(editor, tmp_path / "my photo.webp", "make it red", None, tiny.settings(editor))
    assert made.output == tmp_path / "my photo-edited.png"
    assert not made.task_given


def test_a_folder_that_is_there_gets_the_edit_by_its_default_name(tmp_path: Path, editor: Editor) -> None:
    write_picture(tmp_path / "photo.png", moving_frames(1)[0])
    (tmp_path / "edits").mkdir()
    made = edit_file(editor, tmp_path / "photo.png", "make it red", tmp_path / "edits", tiny.settings(editor))
    assert made.output == tmp_path / "edits" / "photo-edited.png" and made.output.is_file()


def test_a_turned_clip_comes_back_upright(tmp_path: Path, editor: Editor) -> None:
    write_turned(tmp_path / "phone.mp4", moving_frames(4, 48, 64), 90)
    made = edit_file(editor, tmp_path / "phone.mp4", "make it red", None, tiny.settings(editor))
    assert (made.height, made.width) == (64, 48)
    assert read_clip(made.output, WIDE).frames.shape == (4, 64, 48, 3)


def test_an_editor_that_only_reconstructs_leaves_every_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tiny.editor(keep_source_detail=True)

    class Reconstructed:
        def __init__(self, frames: np.ndarray) -> None:
            self.frames = editor.reconstruct(frames)

    monkeypatch.setattr(editor, "edit_frames", lambda frames, *_: Reconstructed(frames))
    write_clip(tmp_path / "clip.mp4", moving_frames(21), Fraction(12))
    source = read_clip(tmp_path / "clip.mp4", WIDE).frames
    info = probe(tmp_path / "clip.mp4", WIDE)
    edited = edited_frames(editor, tmp_path / "clip.mp4", info, "keep it", tiny.settings(editor))
    assert np.array_equal(np.stack(list(edited)), source)


def test_the_same_wish_gives_the_same_bytes(tmp_path: Path, editor: Editor) -> None:
    write_clip(tmp_path / "clip.mp4", moving_frames(11), Fraction(12))
    made = [
        edit_file(editor, tmp_path / "clip.mp4", "make it red", tmp_path / f"{i}.mp4", tiny.settings(editor, seed=seed))
        for i, seed in enumerate((1, 1, 2))
    ]
    first, again, other = (result.output.read_bytes() for result in made)
    assert first == again != other


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("clip.mp4", "source itself"),
        ("link.mp4", "source itself"),
        ("out.png", "written as .mp4"),
        ("out", "no suffix"),
    ],
)
def test_outputs_that_cannot_be(tmp_path: Path, editor: Editor, output: str, message: str) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, moving_frames(3), Fraction(12))
    (tmp_path / "link.mp4").symlink_to(clip)
    before = clip.read_bytes()
    with pytest.raises(EditError, match=message):
        edit_file(editor, clip, "make it red", tmp_path / output, tiny.settings(editor))
    assert clip.read_bytes() == before


def test_a_picture_is_not_written_as_a_clip(tmp_path: Path, editor: Editor) -> None:
    write_picture(tmp_path / "photo.png", moving_frames(1)[0])
    with pytest.raises(EditError, match="picture is written as"):
        edit_file(editor, tmp_path / "photo.png", "make it red", tmp_path / "out.mp4", tiny.settings(editor))


def test_bad_wishes_and_bad_files(tmp_path: Path, editor: Editor) -> None:
    write_picture(tmp_path / "photo.png", moving_frames(1)[0])
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
    settings = tiny.settings(editor)
    for instruction in ("", "   ", "x" * 2001):
        with pytest.raises(EditError, match="instruction"):
            edit_file(editor, tmp_path / "photo.png", instruction, None, settings)
    for name in ("missing.mp4", "noise.mp4"):
        with pytest.raises(MediaError, match=name):
            edit_file(editor, tmp_path / name, "make it red", None, settings)
    small = tiny.editor(limits={"max_pixels": 100, "max_frames": 10, "max_seconds": 1})
    with pytest.raises(MediaError, match="limit"):
        edit_file(small, tmp_path / "photo.png", "make it red", None, tiny.settings(small))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.mp4", "photo.png"]


def test_a_clip_cut_off_midway_leaves_no_output(tmp_path: Path, editor: Editor) -> None:
    clip = tmp_path / "cut.mp4"
    write_clip(clip, np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), dtype=np.uint8), Fraction(12))
    clip.write_bytes(clip.read_bytes()[:-20_000])
    with pytest.raises(MediaError):
        edit_file(editor, clip, "make it red", None, tiny.settings(editor))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mp4"]
