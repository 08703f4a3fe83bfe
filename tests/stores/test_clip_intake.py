"""Foreign clips come in as they look: turned, square, at the time each frame was shown; what plays is left alone."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stores.clip_files import MediaError, MediaLimits, probe, read_clip
from stores.clip_intake import stored_media
from stores.clip_writer import encode_clip, encode_picture
from tests import media
from tests.media import WIDE, error, moving_frames, real_clips

STEPS = [1] * 10 + [4] * 10 + [1] * 10  # in frames of 30 a second


def _times() -> list[Fraction]:
    return [Fraction(sum(STEPS[:index]), 30) for index in range(len(STEPS))]


def test_what_plays_as_it_lies_is_kept_byte_for_byte() -> None:
    sources = [encode_clip(moving_frames(), Fraction(24)), *(path.read_bytes() for path in real_clips()[::9])]
    sources += [encode_picture(moving_frames()[0], kind) for kind in ("png", "jpeg", "webp")]
    for source in sources:
        assert stored_media(source, WIDE, "x") == source


@pytest.mark.parametrize("kind", ["turned", "anamorphic", "matroska", "vp9", "avi", "mpegts", "variable"])
def test_any_other_is_encoded_once_and_looks_the_same(tmp_path: Path, kind: str) -> None:
    path, frames = tmp_path / "clip", moving_frames(30)
    if kind == "turned":
        media.write_turned(path, frames, 90)
    elif kind == "anamorphic":
        media.write_anamorphic(path, frames, Fraction(3, 2))
    elif kind == "variable":
        media.write_at_times(path, frames, _times())
    else:
        codec = {"vp9": "libvpx-vp9", "avi": "mpeg4"}.get(kind, "libx264")
        media.write_frames(path, frames, codec, "yuv420p", {"vp9": "webm"}.get(kind, kind))
    source = path.read_bytes()
    stored = stored_media(source, WIDE, "x")
    assert stored != source and stored_media(stored, WIDE, "x") == stored
    assert stored_media(source, WIDE, "x") == stored, "the same bytes for the same source"
    before, after = read_clip(source, WIDE), read_clip(stored, WIDE)
    assert before.frames.shape[1:] == after.frames.shape[1:]
    if kind != "variable":
        assert before.fps == after.fps and error(after.frames, before.frames) < 3


@pytest.mark.parametrize("format", ["mp4", "matroska"])
def test_each_frame_of_a_variable_rate_is_held_for_its_time(tmp_path: Path, format: str) -> None:
    frames = moving_frames(30, speed=2)
    media.write_at_times(tmp_path / "clip", frames, _times(), format)
    stored = stored_media((tmp_path / "clip").read_bytes(), WIDE, "x")
    clip = read_clip(stored, WIDE)
    assert clip.fps == 30 and len(clip.frames) == pytest.approx(sum(STEPS), abs=1)
    shown = np.repeat(frames, STEPS, axis=0)[: len(clip.frames)]
    assert error(clip.frames[:59], shown[:59]) < 4
    assert probe(stored, WIDE).seconds == pytest.approx(2, abs=0.05)


def test_a_steady_clip_beyond_the_limits_is_refused(tmp_path: Path) -> None:
    media.write_at_times(tmp_path / "clip", moving_frames(30), _times())
    limits = MediaLimits(max_pixels=10**6, max_frames=40, max_seconds=60)
    with pytest.raises(MediaError, match=r"long\.mp4: .* beyond the limit of 40"):
        stored_media((tmp_path / "clip").read_bytes(), limits, "long.mp4")


@pytest.mark.parametrize("kind", [kind for kind in media.BAD_INPUTS if kind not in ("missing", "folder", "empty")])
def test_bad_input_never_becomes_stored_video(tmp_path: Path, kind: str) -> None:
    source = media.bad_input(tmp_path, kind).read_bytes()
    try:
        stored = stored_media(source, WIDE, "bad")
    except MediaError as refused:
        assert "bad" in str(refused)
    else:  # kept as it is, for the reader to refuse
        assert stored == source
        with pytest.raises(MediaError):
            read_clip(stored, WIDE)
