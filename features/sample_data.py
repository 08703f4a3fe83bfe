"""Make `data/` from a folder of ingredients: `python -m features.sample_data INGREDIENTS OUT`.

Photographs and cut-outs become Parquet in the Hugging Face image layout, clips a folder with
`metadata.jsonl` in the Hugging Face video-folder layout. The same ingredients give the same bytes.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from features.masks import SalientMasker
from features.sample_captions import SAME_SUBJECT, caption_of, clip_scene_of
from features.sample_notice import notice

Row = dict[str, Any]

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXT = pa.string()
COMMON = [("source", TEXT), ("licence", TEXT), ("author", TEXT), ("origin", TEXT), ("package", TEXT)]
SIZE = [("width", pa.int32()), ("height", pa.int32())]
PHOTO_COLUMNS = [
    ("id", TEXT), ("image", IMAGE), ("caption", TEXT), *COMMON, *SIZE, ("mask", IMAGE), ("mask_share", pa.float32()),
]  # fmt: skip
CUTOUT_COLUMNS = [
    ("id", TEXT), ("image", IMAGE), ("name", TEXT), ("group", TEXT), ("subgroup", TEXT), *COMMON, *SIZE,
]  # fmt: skip

LICENCES = {"public domain": "public domain", "cc-by 2.0": "CC-BY-2.0"}  # spellings of one thing
MASK_LEVELS = 16  # a soft edge needs no 256 levels, and PNG packs 16 three times smaller


SAMPLES = (
    ("explore_farm_animals-owl.jpg", "add a big red apple on the left"),
    ("explore_world_animals-panda.jpg", "make it black and white"),
    ("../clips/bbb_38.mp4", "add a small balloon at the top left"),
    ("../clips/sports2d_01.mp4", "make it dark as at night"),
)


def build(ingredients: Path, out: Path) -> None:
    """Write the whole of `out`, replacing it; FileNotFoundError if an ingredient is missing."""
    shutil.rmtree(out, ignore_errors=True)
    network = out / "pretrained" / "u2netp.onnx"
    network.parent.mkdir(parents=True)
    shutil.copyfile(ingredients / "pretrained" / "u2netp.onnx", network)
    photos = photo_rows(ingredients, SalientMasker(network))
    cutouts = cutout_rows(ingredients)
    write_parquet(photos, PHOTO_COLUMNS, out / "photos" / "photos.parquet")
    write_parquet(cutouts, CUTOUT_COLUMNS, out / "cutouts" / "cutouts.parquet")
    clips = write_clips(ingredients, out / "clips")
    write_samples(ingredients, out / "samples")
    (out / "NOTICE.md").write_text(notice(photos, cutouts, clips), encoding="utf-8")


def photo_rows(ingredients: Path, masker: SalientMasker) -> list[Row]:
    """One row a photograph, ordered by id, with its salient mask."""
    rows = []
    for row in read_jsonl(ingredients / "photos.jsonl"):
        path = ingredients / row["file"]
        mask = masker.mask(np.asarray(Image.open(path).convert("RGB")))
        rows.append(
            credits(row)
            | image_columns(path)
            | {
                "caption": caption_of(path.stem, row["caption"]),
                "source": SAME_SUBJECT.get(path.stem, path.stem),
                "mask": {"bytes": mask_png(mask), "path": f"{path.stem}.png"},
                "mask_share": float((mask > 0.5).mean()),
            }
        )
    return sorted(rows, key=lambda row: row["id"])


def cutout_rows(ingredients: Path) -> list[Row]:
    """One row a cut-out, ordered by id; each is its own source."""
    rows = []
    for row in read_jsonl(ingredients / "sprites.jsonl"):
        path = ingredients / row["file"]
        origin = "https://github.com/microsoft/fluentui-emoji"
        known = {"author": "Microsoft Corporation", "origin": origin, "source": path.stem}
        rows.append(
            credits(row | known) | image_columns(path) | {key: row[key] for key in ("name", "group", "subgroup")}
        )
    return sorted(rows, key=lambda row: row["id"])


def write_clips(ingredients: Path, out: Path) -> list[Row]:
    """Copy the clips to `out` and list them in `metadata.jsonl`; gives the rows back."""
    out.mkdir(parents=True)
    rows = []
    for row in read_jsonl(ingredients / "clips.jsonl"):
        path = ingredients / row["file"]
        shutil.copyfile(path, out / path.name)
        author, licence = clip_credit(row)
        rows.append(
            {"file_name": path.name, "caption": row["caption"], "source": clip_scene_of(path.stem)}
            | {key: row[key] for key in ("fps", "frames", "width", "height")}
            | {"licence": licence, "author": author, "origin": row["source"], "package": row["package"]}
        )
    rows.sort(key=lambda row: str(row["file_name"]))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (out / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rows


def write_samples(ingredients: Path, out: Path) -> None:
    """A manifest of edits to try, over held-out pictures and the clips."""
    out.mkdir(parents=True, exist_ok=True)
    for clip, _ in SAMPLES:
        if clip.endswith(".jpg"):
            shutil.copyfile(ingredients / "photos" / clip, out / clip)
    rows = [f'{number},{clip},"{instruction}"' for number, (clip, instruction) in enumerate(SAMPLES, start=1)]
    (out / "manifest.csv").write_text("\n".join(["id,clip,instruction", *rows]) + "\n")


def clip_credit(row: Row) -> tuple[str, str]:
    """Author and licence of a clip; the ingredients keep both in one field."""
    licence = row["licence"]
    if "Blender" in licence:
        return "(c) Blender Foundation, bigbuckbunny.org", "CC-BY-3.0"
    if "NASA" in licence:
        return "NASA Scientific Visualization Studio", "public domain"
    if licence.startswith("CC0"):
        return f"not stated by {row['package'].split()[0]}", "CC0-1.0"
    return "(c) 2022 perfanalytics (David Pagnon)", "BSD-3-Clause"


def credits(row: Row) -> Row:
    """Licence, author, origin, package and source with one spelling each; nothing left blank."""
    package = row["package"]
    stated = row.get("author", "")
    blank = stated in ("", "see package")
    return {
        "licence": LICENCES.get(row["licence"].lower(), row["licence"]),
        "author": f"not stated by {package}" if blank else stated,
        "origin": row.get("origin") or package,
        "package": package,
        "source": row.get("source", ""),
    }


def image_columns(path: Path) -> Row:
    """The columns that every picture has: id, bytes as shipped, size."""
    with Image.open(path) as picture:
        width, height = picture.size
    image = {"bytes": path.read_bytes(), "path": path.name}
    return {"id": path.stem, "image": image, "width": width, "height": height}


def mask_png(mask: np.ndarray) -> bytes:
    """A mask [h, w] in 0..1 as an 8-bit grey PNG of few levels."""
    levels = np.round(mask * (MASK_LEVELS - 1)) * (255 // (MASK_LEVELS - 1))
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_parquet(rows: list[Row], columns: list[tuple[str, pa.DataType]], path: Path) -> None:
    """Rows as Parquet with the `huggingface` key that makes `datasets` decode image columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = {name: hugging_face_feature(kind) for name, kind in columns}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.Table.from_pylist(rows, schema=pa.schema(columns, metadata=metadata))
    pq.write_table(table, path, compression="zstd", row_group_size=100)


def hugging_face_feature(kind: pa.DataType) -> Row:
    """The `datasets` name of a column type."""
    if kind == IMAGE:
        return {"_type": "Image"}
    return {"dtype": {"float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}


def read_jsonl(path: Path) -> list[Row]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m features.sample_data INGREDIENTS OUT")
    build(Path(sys.argv[1]), Path(sys.argv[2]))
