"""Foreign clips become stored media: what plays as it lies is kept byte for byte, the rest is encoded anew, once."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from stores.clip_files import stream_frames
from stores.clip_pictures import picture_format
from stores.clip_survey import Survey, survey
from stores.clip_types import Frame, MediaError, MediaLimits, check_limits
from stores.clip_writer import encode_clip

NEARLY_LOSSLESS = 12  # x264's constant rate factor


def stored_media(source: bytes, limits: MediaLimits, name: str) -> bytes:
    """The media of a row: `source` itself if it is a picture, or H.264 in mp4, upright, steady, of square pixels.

    Any other clip is decoded from its first frame on and written as such: turned as its display matrix says, its
    pixels made square, each frame of a variable rate held for as long as it was shown. Sound is left behind.

    Raises:
        MediaError: as `read_clip`, or the clip would be beyond the limits at a steady rate.
    """
    if picture_format(source) is not None:
        return source
    found = survey(source, limits, name, whole=True)
    turned = found.geometry.transpose or found.geometry.flip_x or found.geometry.flip_y
    if found.playable and found.square and found.steady and not turned:
        return source
    repeats = [1] * found.info.frames if found.steady else _repeats(found)
    check_limits(name, limits, 0, sum(repeats), float(sum(repeats) / found.rate))
    return encode_clip(_held(stream_frames(source, limits, name=name), repeats, name), found.rate, crf=NEARLY_LOSSLESS)


def _repeats(found: Survey) -> list[int]:
    """How many frames of the steady clip each frame is: those whose middle falls into the time it is shown."""
    starts = [*found.times, max(found.seconds, found.times[-1] + 1 / found.rate)]
    begun = [max(0, _rounded(time * found.rate)) for time in starts]
    return [after - before for before, after in pairwise(begun)]


def _rounded(value: Fraction) -> int:
    """To the nearest whole number, halves up."""
    return int(value + Fraction(1, 2))


def _held(frames: Iterator[Frame], repeats: list[int], name: str) -> Iterator[Frame]:
    for count, frame in enumerate(frames, start=1):
        if count > len(repeats):
            raise MediaError(f"{name}: has more frames than it says")
        for _ in range(repeats[count - 1]):
            yield frame
