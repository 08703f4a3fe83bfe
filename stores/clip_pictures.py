"""Reads pictures with Pillow, as untrusted input: known formats only, limits before pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stores.clip_types import Frame, MediaError, MediaInfo, MediaLimits, Source, check_limits

_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF8": "GIF", b"BM": "BMP"}
_EXIF_ORIENTATION = 0x0112


def picture_format(source: Source) -> str | None:
    """The picture format that the first bytes show, or None: perhaps a video."""
    head = source[:16] if isinstance(source, bytes) else _read_head(source)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def probe_picture(source: Source, limits: MediaLimits, name: str) -> MediaInfo:
    """Describe a picture by its header: one frame at a rate of 1, its size as shown.

    Raises:
        MediaError: not readable, or beyond the limits.
    """
    with _open_picture(source, limits, name) as image:
        height, width = _size(image)
    return MediaInfo("picture", 1, Fraction(1), width, height, 1.0, has_audio=False)


@contextmanager
def _open_picture(source: Source, limits: MediaLimits, name: str) -> Iterator[Image.Image]:
    kind = picture_format(source) or "unknown"
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=[kind]) as image:
            check_limits(name, limits, image.width * image.height)
            yield image
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError(f"{name}: far too many pixels") from error
    except Exception as error:  # decoders of pictures raise whatever the damage leads to
        raise MediaError(f"{name}: damaged or cut-off {kind} picture") from error


def _size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


def read_picture(source: Source, limits: MediaLimits, size: tuple[int, int] | None, name: str) -> Frame:
    """The upright picture, uint8 [h, w, 3]: transparency over white, the first frame of an animation.

    Raises:
        MediaError: damaged, cut off, or beyond the limits.
    """
    with _open_picture(source, limits, name) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip instead of scale
            image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        image = image.convert("RGB")
        if size is not None:
            shrinks = size[0] * size[1] < image.height * image.width
            image = image.resize(size[::-1], Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC)
        return np.array(image)


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from error
