"""Salient-object masks: what stands out in a picture, by U^2-Net-p run with onnxruntime.

This file is the only home of onnxruntime.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

SIDE = 320  # the network was trained at this size and has no other
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


class SalientMasker:
    """Soft masks of the salient object, the same for the same frame on the same machine."""

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Load the network at `path`; FileNotFoundError if it is not there."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"no salient-object network at {path}: run `dvc pull data.dvc` to fetch data/")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3  # the exported graph warns about unused initialisers at every load
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name  # d0, the fused map; d1 to d6 are side outputs

    def mask(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mask [h, w] in 0..1 of a frame [h, w, 3]; ValueError for any other shape or type."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"a frame is uint8 [h, w, 3], not {frame.dtype} {list(frame.shape)}")
        height, width = frame.shape[:2]
        (saliency,) = self._session.run([self._output], {self._input: _prepare(frame)})
        small = Image.fromarray(_stretch(saliency[0, 0]))
        resized = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
        return np.clip(resized, 0.0, 1.0)


def _prepare(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's input [1, 3, 320, 320]: brightest value at one, then ImageNet's mean and deviation."""
    small = Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, dtype=np.float32)
    pixels = pixels / max(float(pixels.max()), 1.0)  # a black frame stays black
    return np.ascontiguousarray(((pixels - MEAN) / STD).transpose(2, 0, 1)[None])


def _stretch(saliency: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lowest value to 0 and highest to 1; a flat map has no salient object and is all 0."""
    low, high = float(saliency.min()), float(saliency.max())
    if high - low < 1e-6:
        return np.zeros_like(saliency, dtype=np.float32)
    return ((saliency - low) / (high - low)).astype(np.float32)
