"""Reads clips and pictures from files or bytes, as untrusted input; PyAV is at home here and in its two neighbours.

A picture is a clip of one frame. Frames are uint8 [f, h, w, 3] RGB, upright, with square pixels. `clip_survey` opens
files and says what may be opened; `clip_writer` writes them.
"""

from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from stores.clip_pictures import picture_format, probe_picture, read_picture
from stores.clip_survey import damage_named, geometry_of, open_media, survey, video_track
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

_UNSPECIFIED, _BT709, _BT601 = 2, 1, 5  # FFmpeg's colour matrices
# Without these three swscale rounds down and drops half of the chroma: colours come back 1 to 1.5 levels too dark.
EXACT_COLOUR = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


def probe(source: Source, limits: MediaLimits, name: str | None = None) -> MediaInfo:
    """Describe a file by its content, never by its suffix; decodes one frame of a video, counts the others.

    Raises:
        MediaError: missing, empty, not a picture or video, without pictures, damaged, or beyond the limits.
    """
    name = checked_name(source, name)
    if picture_format(source) is not None:
        return probe_picture(source, limits, name)
    return survey(source, limits, name, whole=False).info


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
    info = survey(source, limits, name, whole=frames is None).info
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
    info = survey(source, limits, name, whole=True).info
    yield from _decode(source, limits, range(info.frames), size, name)


def _wanted(start: int, frames: int | None, stride: int, available: int, name: str) -> range:
    whole = range(start, available, stride)
    if not whole or (frames or 0) > len(whole):
        asked = "all frames" if frames is None else f"{frames} frames"
        raise MediaError(f"{name}: asked for {asked} from {start} in steps of {stride}, but it has {available}")
    return whole[:frames]


def _decode(
    source: Source, limits: MediaLimits, wanted: range, size: tuple[int, int] | None, name: str
) -> Iterator[Frame]:
    """The wanted frames, upright RGB; all have the size of the first, even if the file changes its own midway."""
    geometry, reformatter, done = None, VideoReformatter(), 0
    with open_media(source, name, limits.max_pixels) as container, damage_named(name):
        stream = video_track(container, limits, name)
        for index, frame in enumerate(_frames(container, stream)):
            check_limits(name, limits, frame.width * frame.height)
            geometry = geometry or geometry_of(frame, stream).resized(size)
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
