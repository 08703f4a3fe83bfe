"""Folders of a user's own material, made by script: good pictures and clips of odd kinds, and all that can be wrong."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from stores.clip_files import Frames
from stores.clip_writer import encode_clip
from tests.media import BAD_INPUTS, bad_input


@dataclass(frozen=True)
class Offered:
    """One item of the corpus: its line in the listing, and the reason it is quarantined for; None if it is good."""

    line: bytes
    reason: str | None


def picture(seed: int, height: int = 90, width: int = 120) -> Frames:
    """One frame of colours and texture, unlike that of any other seed: [1 h w 3] uint8."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(30, 220, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return (smooth + rng.integers(-15, 16, (height, width, 3))).clip(0, 255).astype(np.uint8)[None]


def clip(seed: int, count: int = 30, height: int = 90, width: int = 120) -> Frames:
    """A camera moving over such a picture: [f h w 3] uint8."""
    wide = picture(seed, height, width + 2 * count)[0]
    return np.stack([wide[:, 2 * index : 2 * index + width] for index in range(count)])


def video(seed: int) -> bytes:
    return encode_clip(clip(seed), Fraction(24))


def saved(image: Image.Image, kind: str, **told: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **told)
    return buffer.getvalue()


def image(seed: int, height: int = 90, width: int = 120) -> Image.Image:
    return Image.fromarray(picture(seed, height, width)[0])


def _alpha() -> bytes:
    layered = image(3).convert("RGBA")
    layered.putalpha(Image.fromarray(np.tile(np.arange(120, dtype=np.uint8), (90, 1)) + 100))
    return saved(layered, "PNG")


def _sixteen_bits() -> bytes:
    grey = np.asarray(image(5).convert("L")).astype(np.uint16) * 257
    return saved(Image.fromarray(grey), "PNG")


def _animated() -> bytes:
    first, *others = (image(seed) for seed in (7, 8, 9))
    return saved(first, "WEBP", save_all=True, append_images=others, duration=100)


def _not_a_number() -> bytes:
    return saved(Image.fromarray(np.full((90, 120), np.nan, np.float32)), "TIFF")


GOOD: dict[str, Callable[[], bytes]] = {
    "clip.mp4": lambda: video(1),
    "odd.png": lambda: saved(image(2, 89, 121), "PNG"),
    "alpha.png": _alpha,
    "grey.png": lambda: saved(image(4).convert("L"), "PNG"),
    "sixteen.png": _sixteen_bits,
    "cmyk.jpg": lambda: saved(image(6).convert("CMYK"), "JPEG"),
    "animated.webp": _animated,
}
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "nan.tiff": (_not_a_number, "unreadable media"),
    "dot.png": (lambda: saved(image(10, 1, 1), "PNG"), "shorter side"),
    "vast.png": (lambda: saved(Image.new("L", (9000, 9000), 128), "PNG"), "unreadable media"),
    "strip.png": (lambda: saved(image(11, 64, 4000), "PNG"), "aspect ratio"),
    "black.mp4": (lambda: encode_clip(np.zeros((30, 90, 120, 3), np.uint8), Fraction(24)), "share of black frames"),
    "frozen.mp4": (lambda: encode_clip(picture(12).repeat(30, 0), Fraction(24)), "share of frozen frames"),
    "two_shots.mp4": (lambda: encode_clip(np.concatenate([clip(13), clip(14)]), Fraction(24)), "shot cut"),
    "short.mp4": (lambda: encode_clip(clip(15, 5), Fraction(24)), "seconds"),
    "again.jpg": (lambda: saved(image(2, 89, 121), "JPEG", quality=60), "near-duplicate"),
}
LINES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "line is not JSON"),
    "not an object": (b"[1]", "line is not a JSON object"),
    "too deep": (b"[" * 100_000, "line is not JSON"),
    "not UTF-8": (b'{"file_name": "\xff\xfe.mp4", "caption": "x"}', "line is not UTF-8"),
    "no file": (b'{"caption": "a"}', "no column file_name"),
    "null file": (b'{"file_name": null}', "names no file"),
    "number": (b'{"file_name": 7, "caption": "x"}', "names no file"),
    "half a character": (b'{"file_name": "\\ud800.mp4", "caption": "x"}', "file name is not UTF-8"),
    "NUL": (b'{"file_name": "a\\u0000.mp4", "caption": "x"}', "file cannot be read"),
    "endless": (json.dumps({"file_name": "x" * 5000, "caption": "x"}).encode(), "file cannot be read"),
    "gone": (b'{"file_name": "gone.mp4", "caption": "x"}', "file is missing"),
    "above": (b'{"file_name": "../secret.mp4", "caption": "x"}', "path leads outside"),
    "link": (b'{"file_name": "link.mp4", "caption": "x"}', "path leads outside"),
    "folder": (b'{"file_name": ".", "caption": "x"}', "path leads outside"),
    "no caption": (b'{"file_name": "mute.png"}', "caption is empty"),
    "long caption": (json.dumps({"file_name": "long.png", "caption": "word " * 2000}).encode(), "caption length"),
    "half a letter": (b'{"file_name": "half.png", "caption": "\\ud800"}', "caption is not Unicode"),
    "twice": (b'{"file_name": "odd.png", "caption": "another"}', "another item has this address"),
    "thrice": (b'{"file_name": "odd.png", "caption": "another"}', "another item has this address"),
}


def line(name: str) -> bytes:
    return json.dumps({"file_name": name, "caption": f"a picture of {name}"}).encode()


def write_corpus(folder: Path) -> list[Offered]:
    """The whole corpus in one folder with a `metadata.jsonl`; what it offers, in the order of its lines."""
    folder.mkdir(parents=True)
    found = []
    for name, content in GOOD.items():
        (folder / name).write_bytes(content())
        found.append(Offered(line(name), None))
    for name, (content, reason) in BAD.items():
        (folder / name).write_bytes(content())
        found.append(Offered(line(name), reason))
    for kind, (name, _) in BAD_INPUTS.items():
        bad_input(folder, kind)
        missing = "file is missing" if kind in ("missing", "folder") else "unreadable media"
        found.append(Offered(line(name), missing))
    (folder.parent / "secret.mp4").write_bytes(video(16))
    (folder / "link.mp4").symlink_to(folder.parent / "secret.mp4")
    for seed, name in enumerate(("mute.png", "long.png", "half.png"), start=20):
        (folder / name).write_bytes(saved(image(seed), "PNG"))
    found += [Offered(told, reason) for told, reason in LINES.values()]
    absolute = json.dumps({"file_name": str(folder.parent / "secret.mp4"), "caption": "x"}).encode()
    found.append(Offered(absolute, "path leads outside"))
    (folder / "metadata.jsonl").write_bytes(b"\n".join(offered.line for offered in found) + b"\n\n")
    return found


def write_side_by_side(folder: Path) -> dict[str, str | None]:
    """Files with texts beside them, some in a folder below; what the quarantine says of each, None for the good."""
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "one.mp4").write_bytes(video(1))
    (folder / "below" / "one.txt").write_text("a moving wall\n")
    (folder / "two.png").write_bytes(saved(image(2), "PNG"))
    (folder / "two.txt").write_bytes(b"\xef\xbb\xbfa still wall")
    (folder / "mute.png").write_bytes(saved(image(3), "PNG"))
    (folder / "latin.png").write_bytes(saved(image(4), "PNG"))
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "lonely.txt").write_text("nothing")
    (folder / "notes.pdf").write_bytes(b"%PDF-1.7")
    (folder / ".hidden.png").write_bytes(b"")
    with open(os.fsencode(folder) + b"/\xff\xfe.png", "wb") as file:
        file.write(saved(image(5), "PNG"))
    return {
        "below/one.mp4": None, "two.png": None, "mute.png": "caption is empty", "latin.png": "caption is not UTF-8",
        "lonely.txt": "caption without", "notes.pdf": "unreadable", "\\udcff\\udcfe.png": "file name is not UTF-8",
    }  # fmt: skip
