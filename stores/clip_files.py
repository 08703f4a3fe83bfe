"""Reads clips and pictures from files or bytes, as untrusted input: one of the two homes of PyAV (see `clip_writer`).

A picture is a clip of one frame. Frames are uint8 [f, h, w, 3] RGB, upright, with square pixels. FFmpeg is only ever
given an open file: it resolves no name and no address itself, may use few containers, and sees limits before pixels.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from stores.clip_pictures import picture_format, probe_picture, read_picture
from stores.clip_types import (
    Clip,
    Frame,
    Frames,
    Geometry,
    MediaError,
    MediaInfo,
    MediaLimits,
    Source,
    check_limits,
    checked_name,
)

__all__ = [
    "Clip",
    "Frame",
    "Frames",
    "MediaError",
    "MediaInfo",
    "MediaLimits",
    "Source",
    "picture_format",
    "probe",
    "read_clip",
    "stream_frames",
]

_CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg"
_UNSPECIFIED, _BT709, _BT601 = 2, 1, 5  # FFmpeg's colour matrices
# Without these three swscale rounds down and drops half of the chroma: colours come back 1 to 1.5 levels too dark.
EXACT_COLOUR = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


@dataclass
class _Count:
    """Frames of a video track by its packets: exact without decoding, whatever the header says."""

    frames: int = 0
    packets: int = 0
    first_key: int | None = None
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
            self.begin = time if self.begin is None else min(self.begin, time)
            self.end = max(self.end, time + (packet.duration or 0))

    def rate(self, stream: VideoStream) -> Fraction:
        """The header's rate, unless it would make the clip longer or shorter by more than a frame."""
        header = stream.average_rate or stream.guessed_rate or Fraction(0)
        seconds = (self.end - (self.begin or 0)) * (stream.time_base or 0)
        if self.frames < 2 or seconds <= 0 or (header and abs(self.frames - seconds * header) <= 1):
            return header or Fraction(1)
        return Fraction(self.frames / seconds).limit_denominator(100_000)


def probe(source: Source, limits: MediaLimits, name: str | None = None) -> MediaInfo:
    """Describe a file by its content, never by its suffix; decodes one frame of a video, counts the others.

    Raises:
        MediaError: missing, empty, not a picture or video, without pictures, damaged, or beyond the limits.
    """
    name = checked_name(source, name)
    if picture_format(source) is not None:
        return probe_picture(source, limits, name)
    return _survey(source, limits, name, whole=False)


def read_clip(
    source: Source,
    limits: MediaLimits,
    *,
    start: int = 0,
    frames: int | None = None,
    stride: int = 1,
    size: tuple[int, int] | None = None,
    name: str | None = None,
) -> Clip:
    """Decode frames start, start + stride, ... (`frames` of them, or to the end), scaled to `size` (h, w).

    Decoding goes from the first frame on: some files change their headers midway, and seeking in them shows garbage.
    The clip's rate is the file's average rate over the stride. Transparent pictures are laid over white; of an
    animated GIF or WebP the first frame is read; HDR is not tone-mapped and colour profiles are not applied.

    Raises:
        MediaError: as `probe`; or the frames asked for are not all there or do not decode.
    """
    name = checked_name(source, name)
    if start < 0 or stride < 1 or (frames is not None and frames < 1) or (size is not None and min(size) < 1):
        raise MediaError(f"{name}: asked for start {start}, stride {stride}, frames {frames}, size {size}")
    if picture_format(source) is not None:
        _wanted(start, frames, stride, 1, name)
        return Clip(read_picture(source, limits, size, name)[None])
    info = _survey(source, limits, name, whole=frames is None)
    wanted = _wanted(start, frames, stride, info.frames, name)
    height, width = size or (info.height, info.width)
    decoded = np.empty((len(wanted), height, width, 3), np.uint8)
    for position, frame in enumerate(_decode(source, limits, wanted, size, name)):
        decoded[position] = frame
    return Clip(decoded, info.fps / stride)


def stream_frames(
    source: Source, limits: MediaLimits, *, size: tuple[int, int] | None = None, name: str | None = None
) -> Iterator[Frame]:
    """Yield the frames of `read_clip` one by one, uint8 [h, w, 3], in constant memory; errors as there, on the way."""
    name = checked_name(source, name)
    if picture_format(source) is not None:
        yield read_picture(source, limits, size, name)
        return
    info = _survey(source, limits, name, whole=True)
    yield from _decode(source, limits, range(info.frames), size, name)


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


def _wanted(start: int, frames: int | None, stride: int, available: int, name: str) -> range:
    whole = range(start, available, stride)
    if not whole or (frames or 0) > len(whole):
        asked = "all frames" if frames is None else f"{frames} frames"
        raise MediaError(f"{name}: asked for {asked} from {start} in steps of {stride}, but it has {available}")
    return whole[:frames]


def _survey(source: Source, limits: MediaLimits, name: str, whole: bool) -> MediaInfo:
    """Count the frames of a video and decode the first; with `whole`, insist on all that the header promises."""
    count, first = _Count(), None
    with open_media(source, name, limits.max_pixels) as container, damage_named(name):
        stream = _video_track(container, limits, name)
        for packet in container.demux(stream):
            first = first or next(iter(packet.decode()), None)
            count.add(packet)
            seconds = float((count.end - (count.begin or 0)) * (stream.time_base or 0))
            check_limits(name, limits, 0, count.frames, seconds)
        if first is None or not count.frames:
            raise MediaError(f"{name}: none of its frames decodes")
        if whole and count.packets < _promised(stream):
            raise MediaError(f"{name}: cut off: {count.frames} of {_promised(stream)} frames are there")
        geometry, fps = _geometry(first, stream), count.rate(stream)
        has_audio = bool(container.streams.audio)
    height, width = geometry.shown()
    seconds = float(count.frames / fps)
    check_limits(name, limits, height * width, count.frames, seconds)
    return MediaInfo("video", count.frames, fps, width, height, seconds, has_audio)


def _video_track(container: InputContainer, limits: MediaLimits, name: str) -> VideoStream:
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


def _geometry(frame: VideoFrame, stream: VideoStream) -> Geometry:
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


def _decode(
    source: Source, limits: MediaLimits, wanted: range, size: tuple[int, int] | None, name: str
) -> Iterator[Frame]:
    """The wanted frames, upright RGB; all have the size of the first, even if the file changes its own midway."""
    geometry, reformatter, done = None, VideoReformatter(), 0
    with open_media(source, name, limits.max_pixels) as container, damage_named(name):
        stream = _video_track(container, limits, name)
        for index, frame in enumerate(_frames(container, stream)):
            check_limits(name, limits, frame.width * frame.height)
            geometry = geometry or _geometry(frame, stream).resized(size)
            if index not in wanted:
                continue
            if frame.is_corrupt:
                break
            yield geometry.upright(_rgb(frame, geometry, reformatter))
            done += 1
            if done == len(wanted):
                return
    raise MediaError(f"{name}: damaged: {done} of {len(wanted)} frames decode")


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    try:
        yield from container.decode(stream)
    except av.FFmpegError:
        # Frames from before the damage still wait in the decoder, to be put in order.
        yield from stream.decode(None)
        raise


def _rgb(frame: VideoFrame, geometry: Geometry, reformatter: VideoReformatter) -> Frame:
    # Untagged files mean BT.709 if they are high, else BT.601: as browsers guess.
    guess = _BT709 if frame.height >= 720 else _BT601
    shrinks = geometry.height * geometry.width < frame.height * frame.width
    scaled = reformatter.reformat(
        frame,
        width=geometry.width,
        height=geometry.height,
        format="rgb24",
        src_colorspace=guess if frame.colorspace == _UNSPECIFIED else None,
        interpolation=EXACT_COLOUR | (Interpolation.AREA if shrinks else Interpolation.BICUBIC),
        threads=1,
    )
    return np.asarray(scaled.to_ndarray(), np.uint8)
