"""A table of edit triples, made by script: good ones of every kind, and all that can be wrong with one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stores.clip_files import Frames
from stores.clip_writer import encode_clip
from tests.features.corpus import clip, image, saved, video
from tests.media import BAD_INPUTS, bad_input

Cells = dict[str, Any]


@dataclass(frozen=True)
class Offered:
    """A row of the corpus as its line, and the reason it is quarantined for; None if it is good."""

    line: bytes
    reason: str | None


def edited(frames: Frames) -> Frames:
    """Frames [f h w 3] with a bright block in their lower right."""
    found = frames.copy()
    height, width = frames.shape[1:3]
    found[:, height // 2 : height - 8, width // 2 : width - 8] = (250, 230, 20)
    return found


def after(seed: int, height: int = 90, width: int = 120) -> Image.Image:
    """The picture of a seed, edited."""
    return Image.fromarray(edited(np.asarray(image(seed, height, width))[None])[0])


def row(seed: int, folder: Path, kind: str = "png", **more: Any) -> Cells:
    """A good triple of pictures whose files are written."""
    names = [f"{seed}_{part}.{kind}" for part in ("before", "after")]
    for name, picture in zip(names, (image(seed), after(seed)), strict=True):
        (folder / name).write_bytes(saved(picture, {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[kind]))
    return {"source": names[0], "target": names[1], "instruction": f"add block number {seed}", **more}


def good_rows(folder: Path) -> list[Cells]:
    """Triples of pictures in several formats, with and without what may be left out, and one of clips."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "before.mp4").write_bytes(video(9))
    (folder / "after.mp4").write_bytes(encode_clip(edited(clip(9)), Fraction(24)))
    return [
        row(1, folder),
        row(2, folder, "jpg", task="Replace", scene="kitchen", licence="CC0-1.0", author="someone"),
        row(3, folder, "webp", split="validation"),
        row(4, folder, split="train", source_caption="a wall", target_caption="a wall with a block"),
        row(1, folder, instruction="put a yellow block there"),
        {"src_video": "before.mp4", "tgt_video": "after.mp4", "prompt": "add a block", "source": "some set"},
        {"source": "1_before.png", "target": "1_before.png", "instruction": "change nothing"},
    ]


# By name: what is wrong, as changes of a good row, and the reason.
WRONG: dict[str, tuple[Cells, str]] = {
    "null source": ({"source": None}, "source: names no file"),
    "null target": ({"target": None}, "target: names no file"),
    "a number": ({"source": 7}, "source: names no file"),
    "gone": ({"target": "gone.png"}, "target: file is missing"),
    "above": ({"source": "../secret.png"}, "source: path leads outside"),
    "link": ({"source": "link.png"}, "source: path leads outside"),
    "the folder": ({"source": "."}, "source: path leads outside"),
    "a list": ({"source": ["1_before.png"]}, "source: names no file"),
    "half a name": ({"source": "\ud800.png"}, "source: file name is not UTF-8"),
    "another size": ({"target": "1_small.png"}, "source and target differ in size"),
    "a clip of a picture": ({"target": "after.mp4"}, "source and target differ in kind"),
    "a shorter clip": ({"source": "before.mp4", "target": "short.mp4"}, "source and target differ in number"),
    "nothing edited": ({"target": "1_before.png"}, "source and target are alike"),
    "an identity that edits": ({"task": "identity"}, "source and target differ, but"),
    "an instruction of identity": ({"instruction": "Change nothing."}, "source and target differ, but"),
    "no words": ({"instruction": "  "}, "instruction is empty"),
    "null words": ({"instruction": None}, "instruction is empty"),
    "one letter": ({"instruction": "a"}, "instruction length below"),
    "too many words": ({"instruction": "word " * 200}, "instruction length above"),
    "no text": ({"instruction": ["add a block"]}, "instruction is not text"),
    "half a letter": ({"instruction": "add \ud800"}, "instruction is not Unicode"),
    "a task of nobody": ({"task": "juggle"}, "unknown task"),
    "no task": ({"task": "null"}, "task is no edit"),
    "no edit": ({"task": "text_to_video"}, "task is no edit"),
    "a split of nobody": ({"split": "holiday"}, "split is none of"),
    "too small": ({"source": "dot.png", "target": "dot.png"}, "source: shorter side"),
    "too long": ({"source": "strip.png", "target": "strip.png"}, "aspect ratio above"),
    "black": ({"target": "black.png"}, "target: brightness below"),
    "twice": ({}, "another row is the same triple"),
    "twice, spaced": ({"instruction": " add block number 1\n"}, "another row is the same triple"),
}
LINES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "line is not JSON"),
    "not an object": (b"[1]", "line is not a JSON object"),
    "not UTF-8": (b'{"source": "\xff\xfe.png"}', "line is not UTF-8"),
    "no source": (b'{"target": "x", "instruction": "y"}', "no column for the source"),
    "no target": (b'{"source": "x", "instruction": "y"}', "no column for the target"),
    "no instruction": (b'{"source": "x", "target": "y"}', "no column for the instruction"),
}


def write_lines(path: Path, rows: list[Cells]) -> Path:
    path.write_text("".join(f"{json.dumps(cells)}\n" for cells in rows))
    return path


def write_corpus(folder: Path) -> list[Offered]:
    """The whole corpus beside a table `edits.jsonl`; what it offers, in the order of its lines."""
    good = good_rows(folder)
    files: dict[str, Callable[[], bytes]] = {
        "1_small.png": lambda: saved(image(1, 60, 80), "PNG"),
        "dot.png": lambda: saved(image(10, 1, 1), "PNG"),
        "strip.png": lambda: saved(image(11, 64, 4000), "PNG"),
        "black.png": lambda: saved(Image.new("RGB", (120, 90)), "PNG"),
        "short.mp4": lambda: encode_clip(clip(9, 20), Fraction(24)),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content())
    (folder.parent / "secret.png").write_bytes(saved(image(30), "PNG"))
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    base = good[0]
    absolute = {"source": str(folder.parent / "secret.png")}
    bad = [*WRONG.values(), (absolute, "source: path leads outside")]
    for kind, (name, _) in BAD_INPUTS.items():
        bad_input(folder, kind)
        missing = "source: file is missing" if kind in ("missing", "folder") else "unreadable media"
        bad.append(({"source": name, "target": name}, missing))
    found = [Offered(json.dumps(cells).encode(), None) for cells in good]
    found += [Offered(json.dumps(base | changes).encode(), reason) for changes, reason in bad]
    found += [Offered(line, reason) for line, reason in LINES.values()]
    (folder / "edits.jsonl").write_bytes(b"\n".join(offered.line for offered in found) + b"\n\n")
    return found
