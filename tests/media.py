"""Media for tests: clips and pictures whose content is known, real ones, and a corpus of bad input."""

import struct
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from stores.clip_files import Frames, MediaLimits
from stores.clip_writer import encode_clip, encode_picture

ROOT = Path(__file__).resolve().parent.parent
WIDE = MediaLimits(max_pixels=4096 * 4096, max_frames=10_000, max_seconds=3600)


def real_clips() -> list[Path]:
    """The clips of the repository's own data, sorted by name."""
    clips = sorted((ROOT / "data" / "clips").glob("*.mp4"))
    assert clips, "data/clips holds no clips: run `dvc pull` (or `make demo`) first"
    return clips


def moving_frames(count: int = 12, height: int = 48, width: int = 64, speed: int = 2) -> Frames:
    """Smooth colour waves that move to the right: no two frames alike, left and right and top and bottom differ."""
    across = (np.arange(width)[None, None, :] - speed * np.arange(count)[:, None, None]) / width
    down = np.arange(height)[None, :, None] / height
    waves = [np.sin(2 * np.pi * (across + down)), np.cos(3 * across - 2 * down), 1.4 * down - 0.7 + 0 * across]
    return np.asarray(127.5 + 100 * np.stack(np.broadcast_arrays(*waves), axis=-1), np.uint8)


def error(found: Frames, truth: Frames) -> float:
    """Mean absolute difference, in levels of 255."""
    return float(np.abs(found.astype(np.float32) - truth).mean())


def write_with_sine(
    path: Path, frames: Frames, fps: Fraction, codec: str = "aac", format: str = "mp4", seconds: float | None = None
) -> None:
    """A clip with a sine as its audio track, as long as the frames or as `seconds` says."""
    rate, length = 44_100, seconds if seconds is not None else float(len(frames) / fps)
    with av.open(str(path), "w", format=format) as output:
        video = _add_video(output, frames, fps)
        audio = output.add_stream(codec, rate=rate)
        assert isinstance(audio, av.AudioStream)
        _mux_frames(output, video, frames, [index / fps for index in range(len(frames))])
        wave = (8000 * np.sin(np.arange(int(rate * length)) * 2 * np.pi * 440 / rate)).astype(np.int16)
        for begin in range(0, len(wave), 1024):
            sound = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = rate, begin, Fraction(1, rate)
            output.mux(audio.encode(sound))
        output.mux(audio.encode(None))


def write_at_times(path: Path, frames: Frames, times: list[Fraction], format: str = "mp4") -> None:
    """A clip of variable rate: each frame begins at its time in seconds."""
    with av.open(str(path), "w", format=format) as output:
        _mux_frames(output, _add_video(output, frames, Fraction(30)), frames, times)


def write_turned(path: Path, frames: Frames, degrees: float, hflip: bool = False, vflip: bool = False) -> None:
    """A clip whose container asks players to turn it counter-clockwise, then mirror it."""
    with av.open(str(path), "w", format="mp4") as output:
        video = _add_video(output, frames, Fraction(25))
        video.set_display_rotation(degrees, hflip, vflip)
        _mux_frames(output, video, frames, [Fraction(index, 25) for index in range(len(frames))])


def write_anamorphic(path: Path, frames: Frames, aspect: Fraction) -> None:
    """A clip whose pixels are `aspect` times as wide as high."""
    with av.open(str(path), "w", format="mp4") as output:
        video = _add_video(output, frames, Fraction(25))
        video.codec_context.sample_aspect_ratio = aspect
        _mux_frames(output, video, frames, [Fraction(index, 25) for index in range(len(frames))])


def write_frames(path: Path, frames: Frames, codec: str, pix_fmt: str, format: str, bframes: int = 0) -> None:
    """A clip in another codec and container."""
    with av.open(str(path), "w", format=format) as output:
        video = _add_video(output, frames, Fraction(25), codec, pix_fmt)
        video.codec_context.max_b_frames = bframes
        _mux_frames(output, video, frames, [Fraction(index, 25) for index in range(len(frames))])


def audio_packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """Bytes and time in seconds of every audio packet."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [
            (bytes(packet), (packet.pts or 0) * packet.time_base) for packet in container.demux(stream) if packet.size
        ]


def huge_png(side: int = 9000) -> bytes:
    """A valid header of side x side pixels, followed by one byte of data: only a reader of headers can refuse it."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", b"\x78")


def bad_input(folder: Path, kind: str) -> Path:
    """Write one piece of bad input, by its name in `BAD_INPUTS`, and return where it is."""
    name, content = BAD_INPUTS[kind]
    path = folder / name
    content(path)
    return path


def _add_video(
    output: av.container.OutputContainer,
    frames: Frames,
    fps: Fraction,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
) -> av.VideoStream:
    video = output.add_stream(codec, rate=fps)
    assert isinstance(video, av.VideoStream)
    video.height, video.width = frames.shape[1:3]
    video.pix_fmt = pix_fmt
    video.codec_context.time_base = Fraction(1, 90_000) if codec == "libx264" else 1 / fps
    return video


def _mux_frames(
    output: av.container.OutputContainer, video: av.VideoStream, frames: Frames, times: list[Fraction]
) -> None:
    base = video.codec_context.time_base
    for frame, time in zip(frames, times, strict=True):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts, picture.time_base = round(time / base), base
        output.mux(video.encode(picture))
    output.mux(video.encode(None))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def _bytes(content: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content())


def _clip() -> bytes:
    return encode_clip(moving_frames(), Fraction(24))


def _clip_without_index() -> bytes:
    clip = _clip()
    return clip[: clip.index(b"moov") - 4] + clip[clip.index(b"mdat") - 4 :]


def _scrambled_clip() -> bytes:
    clip = bytearray(_clip())
    start = len(clip) * 3 // 4
    clip[start : start + 200] = np.random.default_rng(0).bytes(200)
    return bytes(clip)


def _no_frames(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        _add_video(output, moving_frames(), Fraction(25))
        output.start_encoding()


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        audio = output.add_stream("aac", rate=44_100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        silence.sample_rate = 44_100
        output.mux(audio.encode(silence))
        output.mux(audio.encode(None))


def _moved_target(path: Path, text: str) -> None:
    target = path.with_name("target.mp4")
    target.write_bytes(_clip())
    path.write_text(text.format(target=target.name))


def _playlist(text: str) -> Callable[[Path], object]:
    return lambda path: _moved_target(path, text)


_HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n"
_CONCAT = "ffconcat version 1.0\nfile '{target}'\n"
_SVG = '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{target}"/></svg>'

# kind: (file name, what writes it)
BAD_INPUTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("missing.mp4", lambda path: None),
    "folder": ("folder.mp4", lambda path: path.mkdir()),
    "empty": ("empty.mp4", _bytes(lambda: b"")),
    "text": ("text.mp4", _text("this is no video\n" * 100)),
    "noise": ("noise.mp4", _bytes(lambda: np.random.default_rng(1).bytes(5000))),
    "index missing": ("headless.mp4", _bytes(_clip_without_index)),
    "index cut off": ("half_headed.mp4", _bytes(lambda: _clip()[:200])),
    "cut off": ("cut.mp4", _bytes(lambda: _clip()[: len(_clip()) * 2 // 3])),
    "damaged": ("damaged.mp4", _bytes(_scrambled_clip)),
    "no frames": ("no_frames.mp4", _no_frames),
    "audio only": ("song.mp4", _audio_only),
    "cut-off png": ("cut.png", _bytes(lambda: encode_picture(moving_frames()[0], "png")[:500])),
    "cut-off jpeg": ("cut.jpg", _bytes(lambda: encode_picture(moving_frames()[0], "jpeg")[:400])),
    "cut-off webp": ("cut.webp", _bytes(lambda: encode_picture(moving_frames()[0], "webp")[:100])),
    "headless png": ("head.png", _bytes(lambda: b"\x89PNG\r\n\x1a\n" + b"rubbish" * 20)),
    "far too large": ("huge.png", _bytes(huge_png)),
    "tiff": ("picture.tiff", lambda path: Image.fromarray(moving_frames()[0]).save(path)),
    "hls": ("list.m3u8", _playlist(_HLS)),
    "hls named mp4": ("list.mp4", _playlist(_HLS)),
    "ffconcat": ("list.ffconcat", _playlist(_CONCAT)),
    "ffconcat named mp4": ("concat.mp4", _playlist(_CONCAT)),
    "svg": ("picture.svg", _playlist(_SVG)),
}


def each_bad_input(folder: Path) -> Iterator[tuple[str, Path]]:
    """The whole corpus, written into a folder."""
    for kind in BAD_INPUTS:
        yield kind, bad_input(folder, kind)
