"""The real segmenter on a real photograph."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from features.masks import SalientMasker
from flows.settings import ROOT

NETWORK = ROOT / "data" / "pretrained" / "u2netp.onnx"


@pytest.fixture(scope="module")
def masker() -> SalientMasker:
    return SalientMasker(NETWORK)


@pytest.fixture(scope="module")
def cow() -> tuple[np.ndarray, np.ndarray]:
    """A photograph of a cow in a meadow, and its shipped mask in 0..1."""
    rows = pq.read_table(ROOT / "data" / "photos" / "photos.parquet", filters=[("id", "=", "explore_farm_animals-cow")])
    (row,) = rows.to_pylist()
    image = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"))
    return image, np.asarray(Image.open(io.BytesIO(row["mask"]["bytes"]))).astype(np.float32) / 255


def test_finds_the_cow_and_not_the_sky(masker: SalientMasker, cow: tuple[np.ndarray, np.ndarray]) -> None:
    image, _ = cow
    mask = masker.mask(image)
    height, width = image.shape[:2]
    assert mask.shape == (height, width) and mask.dtype == np.float32
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask[height // 2, width // 2] > 0.9
    assert mask[: height // 8].mean() < 0.1 and mask[-height // 12 :].mean() < 0.1


def test_is_what_the_data_ships(masker: SalientMasker, cow: tuple[np.ndarray, np.ndarray]) -> None:
    image, shipped = cow
    # 16 levels are stored: half a level apart, plus what another CPU's arithmetic may shift on the edge.
    assert np.abs(masker.mask(image) - shipped).mean() < 0.02


def test_same_frame_same_mask(masker: SalientMasker, cow: tuple[np.ndarray, np.ndarray]) -> None:
    image, _ = cow
    assert np.array_equal(masker.mask(image), SalientMasker(NETWORK).mask(image.copy()))


def test_a_dark_copy_has_the_same_object(masker: SalientMasker, cow: tuple[np.ndarray, np.ndarray]) -> None:
    image, _ = cow
    dark = masker.mask(image // 4)
    assert ((dark > 0.5) == (masker.mask(image) > 0.5)).mean() > 0.97


def test_black_is_no_error(masker: SalientMasker) -> None:
    assert np.isfinite(masker.mask(np.zeros((48, 64, 3), dtype=np.uint8))).all()


def test_clear_errors(masker: SalientMasker, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="dvc pull"):
        SalientMasker(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="uint8"):
        masker.mask(np.zeros((48, 64, 3), dtype=np.float32))
