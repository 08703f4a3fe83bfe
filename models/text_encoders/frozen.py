"""One frozen encoder of transformers: UL2 and its family, UMT5, ByT5, MetaCLIP, MiniLM (Movie Gen, section 3.1.4).

Nothing is put before a text that the paper does not name: UL2 gets no mode token.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models.text import TextContext, TextPart
from models.text_encoders.config import TextEncoderConfig
from models.text_encoders.positions import extend_positions
from models.text_encoders.quotes import quoted_text
from models.text_encoders.source import EncoderFiles, TextEncoderError, find_files


@dataclass(frozen=True)
class Family:
    """How a kind of encoder is read: classes of transformers by name, and the `model_type` of configs that fit."""

    model: str
    tokenizer: str
    model_types: tuple[str, ...]


FAMILIES: Mapping[str, Family] = {
    "minilm": Family("AutoModel", "AutoTokenizer", ("bert",)),
    "ul2": Family("T5EncoderModel", "AutoTokenizer", ("t5",)),
    "umt5": Family("UMT5EncoderModel", "AutoTokenizer", ("umt5",)),
    "byt5": Family("T5EncoderModel", "ByT5Tokenizer", ("t5",)),
    "metaclip": Family("CLIPTextModel", "AutoTokenizer", ("clip", "clip_text_model")),
}


class FrozenEncoder:
    """Token states [b s e] before any pooling, from frozen weights, in fp32 whatever the weights' type.

    ByT5 reads only what is quoted, and gives no tokens where nothing is. MetaCLIP's 77 positions are extended where
    `max_tokens` is more. The paper then fine-tunes positions and biases on long captions, which this does not: a
    checkpoint tuned for 256 positions is to be preferred, and is read as it is.

    Raises:
        TextEncoderError: there are no such files, or they are of another kind or damaged.
    """

    def __init__(self, config: TextEncoderConfig) -> None:
        files = find_files(config)
        self._quoted_only = config.kind == "byt5"
        self._tokenizer, self._model = _load(config, files)
        self._max_tokens = config.max_tokens
        if config.kind == "metaclip":
            extend_positions(self._model, config.max_tokens)
        self._width = int(self._model.config.hidden_size)
        self.widths: tuple[int, ...] = (self._width,)
        self.revision = _revision(config, files)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextContext:
        """One part: states of each text, cut at `max_tokens` and padded to the longest of the batch."""
        read = [quoted_text(text) for text in texts] if self._quoted_only else list(texts)
        rows = [i for i, text in enumerate(read) if text or not self._quoted_only]
        if not rows:
            empty = torch.zeros(len(texts), 0, self._width)
            return TextContext((TextPart(empty, empty.new_zeros(len(texts), 0, dtype=torch.bool)),))
        # What a sign shall say may look like a special token.
        options = {"split_special_tokens": True} if self._quoted_only else {}
        tokens = self._tokenizer(
            [read[i] for i in rows],
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
            **options,
        )
        found = self._model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        real = tokens["attention_mask"].bool()
        mask = real.new_zeros(len(texts), real.shape[1])
        mask[rows] = real
        states = torch.zeros(*mask.shape, self._width)
        states[rows] = found.last_hidden_state.float().masked_fill(~real[..., None], 0.0)
        return TextContext((TextPart(states, mask),))


def _load(config: TextEncoderConfig, files: EncoderFiles) -> tuple[Any, Any]:
    import transformers

    # What it reports at length about weights that are too many or too few is judged below.
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    family = FAMILIES[config.kind]
    name = f"text encoder {config.kind} in {config.source or 'its package'}"
    try:
        found = json.loads((files.model / "config.json").read_text()).get("model_type")
        if found not in family.model_types:
            # Another architecture would load without an error, its weights left at random.
            raise TypeError(f"a model of type {found!r}, not {' or '.join(family.model_types)}")
        tokenizer = getattr(transformers, family.tokenizer).from_pretrained(
            files.tokenizer, padding_side="right", trust_remote_code=False
        )
        model, told = getattr(transformers, family.model).from_pretrained(
            files.model,
            dtype=getattr(torch, config.dtype),
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except Exception as error:  # damaged files fail in many ways, each with an exception of its own
        reason = " ".join(str(error).split())
        raise TextEncoderError(f"{name}: {reason}; it needs config, safetensors and tokenizer of its kind") from error
    lacking = sorted({*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])})
    if lacking:
        raise TextEncoderError(f"{name}: {len(lacking)} weights are missing or misshapen, first {lacking[0]}")
    return tokenizer, model.eval().requires_grad_(False)


def _revision(config: TextEncoderConfig, files: EncoderFiles) -> str:
    """Changes whenever the states could: with weights, tokenizer, kind, length and number type."""
    told = f"{config.max_tokens}" if config.dtype == "float32" else f"{config.max_tokens}-{config.dtype}"
    if config.source is None:
        # The package has one release, so its weights alone name it; rows and models made so far carry this form.
        weights = hashlib.sha256((files.model / "model.safetensors").read_bytes()).hexdigest()
        return f"minilm-l6-{weights[:12]}-{told}"
    return f"{config.kind}-{files.digest()[:12]}-{told}"
