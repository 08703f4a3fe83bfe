"""Laws of writing media: what is written comes back, whole or not at all, with its audio untouched."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stores.clip_files import Clip, MediaError, MediaInfo, probe, read_clip
from stores.clip_writer import encode_clip, filmstrip, write_clip, write_picture
from tests import media
from tests.media import WIDE, error, moving_frames

RATES = [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(15, 2), Fraction(1)]
SIZES = [(48, 64), (2, 2), (1, 1), (49, 64), (48, 65), (49, 65), (358, 640)]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("count", [1, 2, 13])
def test_count_and_rate_come_back(tmp_path: Path, fps: Fraction, count: int) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_frames(count), fps)
    info = probe(path, WIDE)
    assert info == MediaInfo("video", count, fps, 64, 48, float(count / fps), has_audio=False)
    clip = read_clip(path, WIDE)
    assert (len(clip.frames), clip.fps) == (count, fps)


@pytest.mark.parametrize("size", SIZES)
def test_size_comes_back(size: tuple[int, int]) -> None:
    frames = moving_frames(3, *size)
    assert read_clip(encode_clip(frames, Fraction(25)), WIDE).frames.shape == frames.shape


@pytest.mark.parametrize("size", [(240, 320), (241, 319)])
def test_colours_come_back(size: tuple[int, int]) -> None:
    frames = moving_frames(8, *size)
    found = read_clip(encode_clip(frames, Fraction(25)), WIDE).frames
    assert error(found, frames) < 1.5
    bias = (found.astype(np.float32) - frames).mean((0, 1, 2))
    assert np.abs(bias).max() < 0.5


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)])
def test_pure_colours_survive_limited_range(colour: tuple[int, int, int]) -> None:
    frames = np.full((2, 32, 32, 3), colour, np.uint8)
    assert np.abs(read_clip(encode_clip(frames, Fraction(25)), WIDE).frames.astype(int) - frames).max() <= 3


def test_real_clip_comes_back(tmp_path: Path) -> None:
    clip = read_clip(media.real_clips()[0], WIDE, frames=24)
    path = tmp_path / "again.mp4"
    write_clip(path, clip.frames, clip.fps)
    again = read_clip(path, WIDE)
    assert (again.frames.shape, again.fps) == (clip.frames.shape, clip.fps)
    assert error(again.frames, clip.frames) < 2.5


def test_every_real_clip_has_the_frames_that_probe_counts() -> None:
    for path in media.real_clips()[::6]:
        info = probe(path, WIDE)
        clip = read_clip(path, WIDE, size=(36, 64))
        assert (len(clip.frames), clip.fps) == (info.frames, info.fps), path


def test_written_colours_are_tagged(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", moving_frames(2), Fraction(25))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
    assert frame.format.name == "yuv420p"


def test_index_comes_first() -> None:
    clip = encode_clip(moving_frames(), Fraction(25))
    assert clip.index(b"moov") < clip.index(b"mdat")


@pytest.mark.parametrize("size", [(48, 64), (90, 162), (49, 65)])
def test_same_input_same_bytes(size: tuple[int, int]) -> None:
    frames = np.concatenate([moving_frames(30, *size), moving_frames(30, *size, speed=5)])
    assert len({encode_clip(frames, Fraction(25)) for _ in range(4)}) == 1


def test_frames_may_come_one_by_one(tmp_path: Path) -> None:
    frames = moving_frames()
    write_clip(tmp_path / "clip.mp4", (frame for frame in frames), Fraction(25))
    assert (tmp_path / "clip.mp4").read_bytes() == encode_clip(frames, Fraction(25))


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30_000, 1001)])
def test_audio_is_copied_packet_for_packet(tmp_path: Path, fps: Fraction) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    frames = moving_frames(60)
    media.write_with_sine(source, frames, fps)
    write_clip(target, frames, fps, audio_from=source)
    assert media.audio_packets(target) == media.audio_packets(source)
    assert len(media.audio_packets(target)) > 50
    assert probe(target, WIDE) == MediaInfo("video", 60, fps, 64, 48, float(60 / fps), has_audio=True)


def test_audio_that_outlasts_the_video_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    media.write_with_sine(source, moving_frames(10), Fraction(25), seconds=2)
    write_clip(target, moving_frames(10), Fraction(25), audio_from=source)
    assert media.audio_packets(target) == media.audio_packets(source)


def test_audio_of_a_shortened_clip_ends_with_it(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    media.write_with_sine(source, moving_frames(100), Fraction(25))
    write_clip(target, moving_frames(25), Fraction(25), audio_from=source)
    copied = media.audio_packets(target)
    assert copied == media.audio_packets(source)[: len(copied)]
    assert float(copied[-1][1]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("codec", "format"), [("pcm_s16le", "avi"), ("mp2", "mpegts"), ("pcm_s16le", "matroska")])
def test_audio_without_a_place_in_mp4_becomes_aac(tmp_path: Path, codec: str, format: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target.mp4"
    media.write_with_sine(source, moving_frames(50), Fraction(25), codec, format)
    write_clip(target, moving_frames(50), Fraction(25), audio_from=source)
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    assert stream.codec_context.name == "aac"
    assert len(sound) / 44_100 == pytest.approx(2, abs=0.1)
    assert np.argmax(np.abs(np.fft.rfft(sound[22_050:66_150]))) == pytest.approx(440, abs=2)


def test_adts_audio_of_a_broadcast_is_copied_in_sync(tmp_path: Path) -> None:
    source, target = tmp_path / "source.ts", tmp_path / "target.mp4"
    media.write_with_sine(source, moving_frames(50), Fraction(25), "aac", "mpegts")
    write_clip(target, moving_frames(50), Fraction(25), audio_from=source)
    assert abs(media.audio_packets(target)[0][1]) < Fraction(1, 10)
    assert probe(target, WIDE).has_audio


def test_sources_without_audio_leave_silence(tmp_path: Path) -> None:
    silent, picture = tmp_path / "silent.mp4", tmp_path / "picture.png"
    write_clip(silent, moving_frames(3), Fraction(25))
    write_picture(picture, moving_frames(1)[0])
    for source in (silent, picture):
        write_clip(tmp_path / "target.mp4", moving_frames(3), Fraction(25), audio_from=source)
        assert not probe(tmp_path / "target.mp4", WIDE).has_audio


def test_playlists_in_the_audio_source_are_not_followed(tmp_path: Path) -> None:
    for kind in ("hls", "hls named mp4", "ffconcat", "ffconcat named mp4"):
        with pytest.raises(MediaError, match="not a picture or video"):
            write_clip(tmp_path / "out.mp4", moving_frames(2), Fraction(25), audio_from=media.bad_input(tmp_path, kind))


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"the old one")
    frames = [*moving_frames(4), np.zeros((2, 2, 3), np.uint8)]
    with pytest.raises(MediaError, match=r"clip\.mp4: frame 4 is \[2, 2, 3\], the first \[48, 64, 3\]"):
        write_clip(path, frames, Fraction(25))
    assert path.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        ([], Fraction(25), "no frames"),
        (moving_frames(2), Fraction(0), "positive frame rate"),
        (moving_frames(2).astype(np.float32), Fraction(25), "uint8"),
        (moving_frames(2)[..., :2], Fraction(25), "uint8"),
    ],
)
def test_what_is_no_clip_is_not_written(tmp_path: Path, frames: np.ndarray, fps: Fraction, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        write_clip(tmp_path / "clip.mp4", frames, fps)
    assert not os.listdir(tmp_path)


def test_an_unknown_preset_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"clip\.mp4: cannot be written"):
        write_clip(tmp_path / "clip.mp4", moving_frames(2), Fraction(25), preset="nonsense")
    assert not os.listdir(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nowhere"):
        write_clip(tmp_path / "nowhere" / "clip.mp4", moving_frames(2), Fraction(25))


@pytest.mark.parametrize("frames", [np.zeros((0, 4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)])
def test_a_clip_checks_itself(frames: np.ndarray) -> None:
    with pytest.raises(MediaError):
        Clip(frames)


def test_filmstrip_shows_first_to_last() -> None:
    frames = moving_frames(9)
    strip = filmstrip(frames, count=3, height=48)
    assert np.array_equal(strip, np.concatenate([frames[0], frames[4], frames[8]], axis=1))
    assert filmstrip(frames, count=4, height=24).shape == (24, 4 * 32, 3)
    assert filmstrip(frames[:1], count=4, height=24).shape == (24, 32, 3)
