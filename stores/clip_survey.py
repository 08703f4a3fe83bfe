"""What a video file holds, before it is read: its tracks, the time of every frame, how it is to be turned.

Files are untrusted input. FFmpeg is only ever given an open file: it resolves no name and no address itself, may use
few containers, and sees limits before pixels.
"""

import io
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stores.clip_types import Geometry, MediaError, MediaInfo, MediaLimits, Source, check_limits

_CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg"
_COMMON_RATES = tuple(Fraction(rate) for rate in (15, 24, 25, 30, 50, 60)) + tuple(
    Fraction(rate * 1000, 1001) for rate in (24, 30, 60)
)


@dataclass
class _Count:
    """Frames of a video track by its packets: exact without decoding, whatever the header says."""

    frames: int = 0
    packets: int = 0
    first_key: int | None = None
    times: list[int] = field(default_factory=list)
    begin: int | None = None
    end: int = 0

    def add(self, packet: "Packet[VideoStream]") -> None:
        if not packet.size:
            return
        self.packets += 1
        time = packet.pts if packet.pts is not None else packet.dts
        if self.frames == 0:
            if not packet.is_keyframe:
                return
            self.first_key = time
        # What is shown before the first key frame refers to a picture that is not in the file; no decoder returns it.
        early = time is not None and self.first_key is not None and time < self.first_key
        if packet.is_discard or early:
            return
        self.frames += 1
        if time is not None:
            self.times.append(time)
            self.begin = time if self.begin is None else min(self.begin, time)
            self.end = max(self.end, time + (packet.duration or 0))

    def shown(self, base: Fraction) -> tuple[Fraction, ...]:
        """When each frame appears, in seconds after the first; empty if some do not say."""
        if len(self.times) < self.frames:
            return ()
        return tuple((time - (self.begin or 0)) * base for time in sorted(self.times))

    def seconds(self, base: Fraction) -> Fraction:
        return (self.end - (self.begin or 0)) * base

    def rate(self, stream: VideoStream) -> Fraction:
        """The header's rate, unless it would make the clip longer or shorter by more than a frame."""
        header = stream.average_rate or stream.guessed_rate or Fraction(0)
        seconds = (self.end - (self.begin or 0)) * (stream.time_base or 0)
        if self.frames < 2 or seconds <= 0 or (header and abs(self.frames - seconds * header) <= 1):
            return header or Fraction(1)
        return Fraction(self.frames / seconds).limit_denominator(100_000)


@dataclass(frozen=True)
class Survey:
    """A video track as it is stored. `times` are when its frames appear, in seconds, the first at 0, `seconds` its end.

    `times` is empty where the container does not tell. `playable` means H.264 in mp4, `square` that pixels are.
    """

    info: MediaInfo
    times: tuple[Fraction, ...]
    seconds: Fraction
    playable: bool
    square: bool
    geometry: Geometry

    @property
    def steady(self) -> bool:
        """Whether each frame appears within a frame of its place at the average rate."""
        fps = self.info.fps
        return all(abs(time * fps - place) <= 1 for place, time in enumerate(self.times))

    @property
    def rate(self) -> Fraction:
        """The rate at which most frames keep their place: by the usual step between two, not by long pauses."""
        steps = [after - before for before, after in pairwise(self.times) if after > before]
        if self.steady or not steps:
            return self.info.fps
        usual = statistics.median(steps)
        # Some containers round times to milliseconds: the mean of like steps is nearer the truth than any of them.
        mean = statistics.mean(step for step in steps if abs(step - usual) <= usual / 4)
        common = min(_COMMON_RATES, key=lambda rate: abs(rate - 1 / mean))
        found = common if abs(common * mean - 1) < Fraction(1, 200) else (1 / mean).limit_denominator(1000)
        return min(max(_COMMON_RATES), found)


@contextmanager
def open_media(source: Source, name: str, max_pixels: int | None = None) -> Iterator[InputContainer]:
    """Open a video for PyAV behind the allow-lists.

    Raises:
        MediaError: it is not one of the known containers.
    """
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
    if max_pixels is not None:
        options["max_pixels"] = str(max_pixels)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(io.BytesIO(source) if isinstance(source, bytes) else source.open("rb"))
            container = av.open(
                file, "r", options=options, io_open=_refuse_open, buffer_size=1 << 18, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{name}: not a picture or video of a known kind, or cut off before its index") from error
        yield stack.enter_context(container)


@contextmanager
def damage_named(name: str) -> Iterator[None]:
    """Turn PyAV's errors into a `MediaError` that names the file."""
    try:
        yield
    except av.FFmpegError as error:
        raise MediaError(f"{name}: damaged or cut off") from error


def _refuse_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError(f"a media file may not open another: {url!r}")


def survey(source: Source, limits: MediaLimits, name: str, whole: bool) -> Survey:
    """Count the frames of a video and decode the first; with `whole`, insist on all that the header promises.

    Raises:
        MediaError: not a video of a known kind, damaged, without frames, cut off, or beyond the limits.
    """
    count, first = _Count(), None
    with open_media(source, name, limits.max_pixels) as container, damage_named(name):
        stream = video_track(container, limits, name)
        for packet in container.demux(stream):
            first = first or next(iter(packet.decode()), None)
            count.add(packet)
            seconds = float((count.end - (count.begin or 0)) * (stream.time_base or 0))
            check_limits(name, limits, 0, count.frames, seconds)
        if first is None or not count.frames:
            raise MediaError(f"{name}: none of its frames decodes")
        if whole and count.packets < _promised(stream):
            raise MediaError(f"{name}: cut off: {count.frames} of {_promised(stream)} frames are there")
        geometry, fps = geometry_of(first, stream), count.rate(stream)
        has_audio = bool(container.streams.audio)
        playable = "mp4" in container.format.name and stream.codec_context.name == "h264"
        square = (geometry.height, geometry.width) == (first.height, first.width)
        base = Fraction(stream.time_base or 0)
    height, width = geometry.shown()
    seconds = float(count.frames / fps)
    check_limits(name, limits, height * width, count.frames, seconds)
    info = MediaInfo("video", count.frames, fps, width, height, seconds, has_audio)
    return Survey(info, count.shown(base), count.seconds(base), playable, square, geometry)


def video_track(container: InputContainer, limits: MediaLimits, name: str) -> VideoStream:
    """The first track of moving pictures (a song's cover is none), checked by its header and ready to decode."""
    tracks = [track for track in container.streams.video if Disposition.attached_pic not in track.disposition]
    if not tracks:
        found = ", ".join(track.type for track in container.streams)
        raise MediaError(f"{name}: no video track in it{found and ', only ' + found}")
    stream = tracks[0]
    if stream.codec_context is None:
        raise MediaError(f"{name}: its video codec is unknown here")
    seconds = float((stream.duration or 0) * (stream.time_base or 0))
    check_limits(name, limits, stream.codec_context.width * stream.codec_context.height, _promised(stream), seconds)
    # Slices, not frames: a damaged packet is then reported before anything behind it is decoded.
    stream.thread_type = "SLICE"
    stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(limits.max_pixels)}
    return stream


def _promised(stream: VideoStream) -> int:
    """Frames by the header: mp4 lists its packets, other containers guess or do not say."""
    return stream.frames if "mp4" in stream.container.format.name else 0


def geometry_of(frame: VideoFrame, stream: VideoStream) -> Geometry:
    """Size and turn of a decoded frame, by its own display matrix and its track's shape of a pixel."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    # Even, because H.264 that plays everywhere knows no odd sizes.
    width = frame.width if aspect == 1 else max(2, 2 * round(frame.width * aspect / 2))
    side_data: Any = frame.side_data
    stored = side_data.get(SideDataType.DISPLAYMATRIX)
    if stored is None:
        return Geometry(frame.height, width)
    a, b, _, c, d = np.frombuffer(bytes(stored), np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
    if abs(a) >= abs(b):
        return Geometry(frame.height, width, False, flip_x=a < 0, flip_y=d < 0)
    return Geometry(frame.height, width, True, flip_x=c < 0, flip_y=b < 0)
