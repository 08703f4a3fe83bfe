"""Writes clips as H.264 mp4 and pictures as PNG, WebP or JPEG: one of the three homes of PyAV.

A written file has exactly the frames, rate and size that went in, plays while it loads, appears under its name only
when complete, and has the same bytes for the same input on the same machine.
"""

import io
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from stores.clip_files import EXACT_COLOUR
from stores.clip_pictures import picture_format
from stores.clip_survey import damage_named, open_media
from stores.clip_types import Clip, Frame, Frames, MediaError, checked_name

PictureFormat: TypeAlias = Literal["webp", "png", "jpeg"]

_SUFFIXES: dict[str, PictureFormat] = {".webp": "webp", ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
_COPIED_AUDIO = {"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "libopus", "flac"}
_BT709 = 1
# x264's macroblock tree gives other bytes on every run (its assembly reads memory it did not write). The count of
# threads decides over the bytes too, so it is not the machine's.
_X264 = {"x264-params": "mbtree=0"}
_THREADS = 2
_CUT = Fraction(1, 2)  # seconds that must miss before a clip counts as cut: containers only guess their length


def write_clip(
    path: Path,
    frames: Iterable[Frame],
    fps: Fraction,
    *,
    audio_from: Path | None = None,
    crf: int = 18,
    preset: str = "veryfast",
) -> None:
    """Write frames uint8 [h, w, 3] RGB, of one size, as an mp4; they are taken one by one.

    Even sizes are yuv420p and play everywhere. A size with an odd side is kept by yuv444p, because 4:2:0 H.264 can
    only crop by twos; FFmpeg-based players show it, Safari and Firefox do not. The first audio track of `audio_from`
    is copied packet for packet, or becomes AAC where mp4 has no place for its codec; it is cut only if the clip is
    shorter than its source. A source without audio is no error, a picture neither.

    Raises:
        MediaError: no frames, frames of several sizes, a damaged `audio_from`, or a path that cannot be written.
    """
    if fps <= 0:
        raise MediaError(f"{path}: a clip needs a positive frame rate, not {fps}")
    taken = iter(frames)
    first = next(taken, None)
    if first is None:
        raise MediaError(f"{path}: no frames to write")
    same_size = _same_size(chain([first], taken), first.shape, path)
    rate = Fraction(fps).limit_denominator(100_000)
    with _complete_file(path) as part, ExitStack() as stack:
        source = None if audio_from is None else _open_audio(stack, audio_from)
        with _writable(path):
            output = stack.enter_context(
                av.open(f"file:{part}", "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"})
            )
            video = _add_video(output, first, rate, crf, preset)
        audio = None if source is None else _Audio(source, output, str(audio_from))
        _mux(output, video, _encode(video, same_size, rate, path), audio, path)
        with _writable(path):
            output.close()


def encode_clip(frames: Iterable[Frame], fps: Fraction, *, crf: int = 18, preset: str = "veryfast") -> bytes:
    """The bytes of the mp4 that `write_clip` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path, frames, fps, crf=crf, preset=preset)
        return path.read_bytes()


def encode_picture(frame: Frame, format: PictureFormat = "webp", quality: int = 90) -> bytes:
    """The bytes of a picture, frame uint8 [h, w, 3] RGB; PNG keeps every value and knows no quality."""
    image = Image.fromarray(Clip(frame[None]).frames[0])
    buffer = io.BytesIO()
    if format == "png":
        image.save(buffer, "PNG")
    elif format == "jpeg":
        image.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        image.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def write_picture(path: Path, frame: Frame, quality: int = 90) -> None:
    """Write a picture in the format of its suffix: .png, .webp, .jpg or .jpeg.

    Raises:
        MediaError: another suffix, or a path that cannot be written.
    """
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise MediaError(f"{path}: pictures are written as {', '.join(_SUFFIXES)}")
    with _complete_file(path) as part, _writable(path):
        part.write_bytes(encode_picture(frame, kind, quality))


def filmstrip(frames: Frames, count: int, height: int) -> Frame:
    """At most `count` evenly spaced frames, first and last among them, side by side: uint8 [height, n w', 3]."""
    clip = Clip(frames)
    total, tall, wide = clip.frames.shape[:3]
    if count < 1 or height < 1:
        raise MediaError(f"a filmstrip of {count} frames, {height} pixels high")
    width = max(1, round(wide * height / tall))
    chosen = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    shrinks = height < tall
    filter_ = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    shown = [np.asarray(Image.fromarray(clip.frames[index]).resize((width, height), filter_)) for index in chosen]
    return np.concatenate(shown, axis=1)


class _Audio:
    """The packets of an audio track, given out as the video reaches their time, so that the two interleave."""

    def __init__(self, source: InputContainer, output: OutputContainer, name: str) -> None:
        self._name = name
        self._output = output
        self._stream = source.streams.audio[0]
        video = source.streams.video[0] if source.streams.video else None
        self._start = _seconds(video.start_time, video.time_base) if video else Fraction(0)
        length = _seconds(video.duration, video.time_base) if video else Fraction(0)
        self._length = length or _seconds(source.duration, Fraction(1, av.time_base))
        copied = self._stream.codec_context.name in _COPIED_AUDIO
        self._packets = self._copied(source) if copied else self._encoded(source)
        self._next: "Packet[AudioStream] | None" = None

    def until(self, end: Fraction) -> "Iterator[Packet[AudioStream]]":
        """Packets that begin before `end`, in seconds of the written clip."""
        with damage_named(self._name):
            while (packet := self._next or next(self._packets, None)) is not None:
                self._next = packet
                if (packet.pts or 0) * packet.time_base >= end:
                    return
                self._next = None
                yield packet

    def rest(self, end: Fraction) -> "Iterator[Packet[AudioStream]]":
        """All that is left, even behind the last frame; nothing if the clip was cut shorter than its source."""
        return self.until(end if end + _CUT < self._length else Fraction(10**9))

    def _copied(self, source: InputContainer) -> "Iterator[Packet[AudioStream]]":
        target = self._output.add_stream_from_template(self._stream)
        return self._shifted(source, target)

    def _shifted(self, source: InputContainer, target: AudioStream) -> "Iterator[Packet[AudioStream]]":
        for packet in source.demux(self._stream):
            if packet.dts is None:
                continue
            shift = round(self._start / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts -= shift
            packet.stream = target
            yield packet

    def _encoded(self, source: InputContainer) -> "Iterator[Packet[AudioStream]]":
        context = self._stream.codec_context
        target = self._output.add_stream("aac", rate=context.sample_rate, options={"flags": "+bitexact"})
        # Some containers count channels without saying which is which.
        target.codec_context.layout = {1: "mono", 2: "stereo"}.get(context.channels, context.layout.name)
        return self._reencoded(source, target)

    def _reencoded(self, source: InputContainer, target: AudioStream) -> "Iterator[Packet[AudioStream]]":
        for frame in source.decode(self._stream):
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._start / frame.time_base)
            yield from target.encode(frame)
        yield from target.encode(None)


def _seconds(time: int | None, base: Fraction | None) -> Fraction:
    return Fraction((time or 0) * (base or 0))


def _open_audio(stack: ExitStack, path: Path) -> InputContainer | None:
    name = checked_name(path, None)
    if picture_format(path) is not None:
        return None
    source = stack.enter_context(open_media(path, name))
    tracks = source.streams.audio
    return source if tracks and tracks[0].codec_context is not None else None


def _same_size(frames: Iterable[Frame], shape: tuple[int, ...], path: Path) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        if frame.shape != shape:
            raise MediaError(f"{path}: frame {index} is {list(frame.shape)}, the first {list(shape)}")
        yield Clip(frame[None]).frames[0]


def _add_video(output: OutputContainer, first: Frame, rate: Fraction, crf: int, preset: str) -> VideoStream:
    height, width = Clip(first[None]).frames.shape[1:3]
    stream = output.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": preset, **_X264})
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
    context = stream.codec_context
    context.thread_count, context.thread_type = _THREADS, "FRAME"
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream


def _encode(
    stream: VideoStream, frames: Iterable[Frame], rate: Fraction, path: Path
) -> "Iterator[Packet[VideoStream]]":
    reformatter = VideoReformatter()
    for index, frame in enumerate(frames):
        picture = reformatter.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"),
            format=stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT_COLOUR | Interpolation.BICUBIC,
            threads=1,
        )
        picture.pts, picture.duration, picture.time_base = index, 1, 1 / rate
        with _writable(path):
            packets = stream.encode(picture)
        yield from packets
    with _writable(path):
        packets = stream.encode(None)
    yield from packets


def _mux(
    output: OutputContainer,
    video: VideoStream,
    packets: "Iterable[Packet[VideoStream]]",
    audio: _Audio | None,
    path: Path,
) -> None:
    end = Fraction(0)
    for packet in packets:
        end = max(end, ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base)
        with _writable(path):
            output.mux(packet)
        for sound in audio.until(end) if audio else ():
            with _writable(path):
                output.mux(sound)
    for sound in audio.rest(end) if audio else ():
        with _writable(path):
            output.mux(sound)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _complete_file(path: Path) -> Iterator[Path]:
    """A path beside `path` that becomes it if the body ends well, and vanishes if not."""
    if not path.parent.is_dir():
        raise MediaError(f"{path}: its folder does not exist")
    part = path.with_name(f".{path.stem[:64]}.{uuid.uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
