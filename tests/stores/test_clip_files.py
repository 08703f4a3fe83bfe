"""Laws of reading media: any way of reading gives the same frames, and what is bad is refused in plain words."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from stores.clip_files import MediaError, MediaInfo, MediaLimits, probe, read_clip, stream_frames
from stores.clip_writer import encode_clip, encode_picture, write_clip, write_picture
from tests import media
from tests.media import WIDE, error, moving_frames


def test_bytes_path_stream_and_name_agree(tmp_path: Path) -> None:
    path = tmp_path / "a:b %d clip"  # no suffix, and signs that FFmpeg would read as more than a name
    frames = moving_frames()
    write_clip(path, frames, Fraction(25))
    from_path, from_bytes = read_clip(path, WIDE), read_clip(path.read_bytes(), WIDE)
    assert np.array_equal(from_path.frames, from_bytes.frames)
    assert np.array_equal(from_path.frames, np.stack(list(stream_frames(path, WIDE))))
    assert probe(path, WIDE) == probe(path.read_bytes(), WIDE)


@pytest.mark.parametrize("size", [(24, 32), (96, 160), (7, 5)])
def test_scaled_stream_equals_scaled_read(size: tuple[int, int]) -> None:
    clip = encode_clip(moving_frames(), Fraction(25))
    read = read_clip(clip, WIDE, size=size).frames
    assert read.shape == (12, *size, 3)
    assert np.array_equal(read, np.stack(list(stream_frames(clip, WIDE, size=size))))


def test_scaling_keeps_the_picture() -> None:
    clip = encode_clip(moving_frames(2, 96, 128), Fraction(25))
    blocks = read_clip(clip, WIDE).frames.reshape(2, 48, 2, 64, 2, 3).mean((2, 4))
    assert error(read_clip(clip, WIDE, size=(48, 64)).frames, blocks) < 1


@pytest.mark.parametrize(("start", "count", "stride"), [(0, 5, 1), (3, 4, 2), (11, 1, 1), (1, None, 3), (0, None, 20)])
def test_a_part_equals_that_part_of_the_whole(start: int, count: int | None, stride: int) -> None:
    source = encode_clip(moving_frames(12), Fraction(25))
    part = read_clip(source, WIDE, start=start, frames=count, stride=stride)
    assert np.array_equal(part.frames, read_clip(source, WIDE).frames[start::stride][:count])
    assert part.fps == Fraction(25) / stride


@pytest.mark.parametrize("asked", [{"start": 12}, {"frames": 13}, {"start": 5, "frames": 5, "stride": 2}])
def test_more_than_there_is_is_an_error(asked: dict[str, Any]) -> None:
    with pytest.raises(MediaError, match="it has 12"):
        read_clip(encode_clip(moving_frames(12), Fraction(25)), WIDE, **asked)


@pytest.mark.parametrize("asked", [{"start": -1}, {"frames": 0}, {"stride": 0}, {"size": (0, 4)}])
def test_senseless_requests_are_errors(asked: dict[str, Any]) -> None:
    with pytest.raises(MediaError, match=r"nice\.mp4"):
        read_clip(encode_clip(moving_frames(2), Fraction(25)), WIDE, name="nice.mp4", **asked)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "format", "bframes"),
    [
        ("libx264", "yuv420p", "matroska", 2),
        ("libx264", "yuvj420p", "mp4", 0),
        ("libx264", "yuv420p10le", "mp4", 2),
        ("libx264", "yuv420p", "mpegts", 2),
        ("mpeg4", "yuv420p", "avi", 0),
        ("mpeg4", "yuv420p", "avi", 2),
        ("mpeg2video", "yuv420p", "mpeg", 0),
        ("mpeg2video", "yuv420p", "mpeg", 2),
        ("libvpx-vp9", "yuv420p", "webm", 0),
        ("mjpeg", "yuvj420p", "mov", 0),
        ("png", "rgb24", "mov", 0),
    ],
)
def test_other_containers_and_codecs(tmp_path: Path, codec: str, pix_fmt: str, format: str, bframes: int) -> None:
    path, frames = tmp_path / "clip", moving_frames(20)
    media.write_frames(path, frames, codec, pix_fmt, format, bframes)
    info, clip = probe(path, WIDE), read_clip(path, WIDE)
    assert (info.frames, info.fps, len(clip.frames)) == (20, Fraction(25), 20)
    assert error(clip.frames, frames) < 8


@pytest.mark.parametrize("format", ["mp4", "matroska"])
def test_variable_rate_keeps_count_and_average(tmp_path: Path, format: str) -> None:
    steps = [1] * 10 + [4] * 10 + [1] * 10
    times = [Fraction(sum(steps[:index]), 30) for index in range(30)]
    media.write_at_times(tmp_path / "clip", moving_frames(30), times, format)
    info, clip = probe(tmp_path / "clip", WIDE), read_clip(tmp_path / "clip", WIDE)
    assert info.frames == len(clip.frames) == 30
    assert info.seconds == pytest.approx(2, abs=0.1)
    assert float(clip.fps) == pytest.approx(15, rel=0.05)


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_display_matrix_turns_and_mirrors(tmp_path: Path, degrees: int, flips: tuple[bool, bool]) -> None:
    path, frames = tmp_path / "clip.mp4", moving_frames(3)
    media.write_turned(path, frames, degrees, *flips)
    upright = np.rot90(frames, degrees // 90, axes=(1, 2))
    upright = upright[:, :: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    info, clip = probe(path, WIDE), read_clip(path, WIDE)
    assert (info.height, info.width) == clip.frames.shape[1:3] == upright.shape[1:3]
    assert error(clip.frames, upright) < 6
    assert read_clip(path, WIDE, size=(20, 30)).frames.shape == (3, 20, 30, 3)


def test_pixels_become_square(tmp_path: Path) -> None:
    media.write_anamorphic(tmp_path / "clip.mp4", moving_frames(2), Fraction(3, 2))
    info, clip = probe(tmp_path / "clip.mp4", WIDE), read_clip(tmp_path / "clip.mp4", WIDE)
    assert (info.height, info.width) == clip.frames.shape[1:3] == (48, 96)


def test_all_frames_have_the_size_of_the_first(tmp_path: Path) -> None:
    for name, frames in {"small": moving_frames(12), "large": moving_frames(12, 96, 128, speed=4)}.items():
        media.write_frames(tmp_path / name, frames, "libx264", "yuv420p", "mpegts")
    changing = (tmp_path / "small").read_bytes() + (tmp_path / "large").read_bytes()
    frames = read_clip(changing, WIDE).frames
    assert frames.shape == (24, 48, 64, 3)
    assert error(frames[12:], frames[:12]) < 6


@pytest.mark.parametrize(("suffix", "bound"), [(".png", 0.0), (".webp", 3.0), (".jpg", 3.0)])
def test_pictures_come_back(tmp_path: Path, suffix: str, bound: float) -> None:
    frame, path = moving_frames(1, 47, 63)[0], tmp_path / f"picture{suffix}"
    write_picture(path, frame)
    clip = read_clip(path, WIDE)
    assert clip.frames.shape == (1, 47, 63, 3)
    assert clip.fps == 1
    assert error(clip.frames[0], frame) <= bound
    assert probe(path, WIDE) == MediaInfo("picture", 1, Fraction(1), 63, 47, 1.0, has_audio=False)


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    frames = moving_frames(3)
    (tmp_path / "clip.jpg").write_bytes(encode_clip(frames, Fraction(25)))
    (tmp_path / "picture.mp4").write_bytes(encode_picture(frames[0], "jpeg"))
    assert probe(tmp_path / "clip.jpg", WIDE).kind == "video"
    assert probe(tmp_path / "picture.mp4", WIDE).kind == "picture"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_pictures(tmp_path: Path, orientation: int) -> None:
    frame, path = moving_frames(1)[0], tmp_path / "picture.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(frame).save(path, exif=exif)
    turns = {1: frame, 2: frame[:, ::-1], 3: frame[::-1, ::-1], 4: frame[::-1], 5: frame.transpose(1, 0, 2)}
    turns |= {6: np.rot90(frame, -1), 7: np.rot90(frame, 2).transpose(1, 0, 2), 8: np.rot90(frame)}
    info, clip = probe(path, WIDE), read_clip(path, WIDE)
    assert np.array_equal(clip.frames[0], turns[orientation])
    assert (info.height, info.width) == clip.frames.shape[1:3]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture"
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    else:
        grey = Image.new("RGB", (8, 8), (128, 128, 128))
        image = grey.quantize(4) if mode == "P" else grey.convert(mode)
    image.save(path, "JPEG" if mode == "CMYK" else "PNG")
    frames = read_clip(path, WIDE).frames
    assert frames.shape == (1, 8, 8, 3)
    if mode != "1":
        assert np.abs(frames.astype(int) - 128).max() <= 2


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "picture.png")
    assert (read_clip(tmp_path / "picture.png", WIDE).frames == 255).all()


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(tmp_path: Path, format: str) -> None:
    colours = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    colours[0].save(tmp_path / "picture", format, save_all=True, append_images=colours[1:], duration=100)
    clip = read_clip(tmp_path / "picture", WIDE)
    assert len(clip.frames) == 1
    assert error(clip.frames[0], np.array([255, 0, 0])) < 3


@pytest.mark.parametrize("kind", media.BAD_INPUTS)
def test_bad_input_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = media.bad_input(tmp_path, kind)
    limits = MediaLimits(max_pixels=4_000_000, max_frames=1000, max_seconds=60)
    with pytest.raises(MediaError) as raised:
        read_clip(path, limits)
    assert str(path) in str(raised.value)
    with pytest.raises(MediaError):
        list(stream_frames(path, limits))
    assert "av." not in str(raised.value) and "Errno" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("folder", "not a regular file"),
        ("empty", "empty file"),
        ("text", "not a picture or video"),
        ("index missing", "cut off"),
        ("cut off", "cut off$"),
        ("damaged", "damaged or cut off$"),
        ("no frames", "no video track in it$"),
        ("audio only", "no video track in it, only audio"),
        ("cut-off png", "cut-off PNG"),
        ("far too large", "81000000 pixels a frame, more than the limit"),
        ("hls named mp4", "not a picture or video"),
        ("ffconcat named mp4", "not a picture or video"),
    ],
)
def test_messages_say_what_is_wrong(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        read_clip(media.bad_input(tmp_path, kind), MediaLimits(4_000_000, 1000, 60))


@pytest.mark.parametrize(("kind", "format"), [("hls", "hls"), ("hls named mp4", "hls"), ("ffconcat", "concat")])
def test_playlists_are_not_followed(tmp_path: Path, kind: str, format: str) -> None:
    path = media.bad_input(tmp_path, kind)
    with av.open(str(path), format=format) as unguarded:  # the attack is real
        assert len(list(unguarded.decode(video=0))) == 12
    for source in (path, path.read_bytes()):
        for read in (probe, read_clip):
            with pytest.raises(MediaError, match="not a picture or video"):
                read(source, WIDE)


def test_a_format_forced_on_the_reader_is_still_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if FFmpeg took a playlist for one, the allow-list and the refused names would each stop it."""
    path = media.bad_input(tmp_path, "hls")
    opened = av.open
    monkeypatch.setattr(av, "open", lambda file, mode, **rest: opened(file, mode, format="hls", **rest))
    with pytest.raises(MediaError):
        probe(path, WIDE)
    monkeypatch.setattr("stores.clip_survey._CONTAINERS", "hls,mov")
    with pytest.raises(MediaError):
        probe(path, WIDE)


def test_frames_before_the_damage_are_readable(tmp_path: Path) -> None:
    path = media.bad_input(tmp_path, "damaged")
    whole = read_clip(encode_clip(moving_frames(), Fraction(24)), WIDE)
    assert np.array_equal(read_clip(path, WIDE, frames=1).frames, whole.frames[:1])


def test_limits_hold_before_decoding() -> None:
    clip = encode_clip(moving_frames(50), Fraction(25))
    for limits in (MediaLimits(48 * 64 - 1, 99, 99), MediaLimits(48 * 64, 49, 99), MediaLimits(48 * 64, 99, 1.9)):
        for read in (probe, read_clip):
            with pytest.raises(MediaError, match="limit"):
                read(clip, limits)
    assert probe(clip, MediaLimits(48 * 64, 50, 2.0)).frames == 50


def test_a_header_that_lies_about_its_size_gains_nothing() -> None:
    clip = encode_clip(moving_frames(3, 480, 640), Fraction(25))
    lying = clip.replace((640).to_bytes(2, "big") + (480).to_bytes(2, "big"), b"\x00\x10\x00\x10")
    assert lying != clip
    with pytest.raises(MediaError):
        read_clip(lying, MediaLimits(max_pixels=1000, max_frames=10, max_seconds=10))
