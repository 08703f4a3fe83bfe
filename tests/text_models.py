"""Tiny text encoders of the real classes of transformers, with random weights, saved as their authors save theirs."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    ByT5Tokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5EncoderModel,
)
from transformers.utils import logging

from models.text_encoders.config import EncoderKind, TextConfig, TextEncoderConfig

SENTENCE = "add a red balloon to the left of tree remove dog sign that says make it blue open now"
WIDTHS = {"ul2": 16, "umt5": 12, "byt5": 8, "metaclip": 20}
BYTES = 384  # the vocabulary of ByT5


def config(
    kind: EncoderKind, source: Path | str | None, max_tokens: int = 16, dtype: str = "float32"
) -> TextEncoderConfig:
    told = {"kind": kind, "source": None if source is None else str(source), "max_tokens": max_tokens, "dtype": dtype}
    return TextEncoderConfig.model_validate(told)


def joined(*encoders: TextEncoderConfig, frame_rate: float | None = None) -> TextConfig:
    return TextConfig(encoders=encoders, frame_rate_prefix=frame_rate)


def save_model(kind: str, folder: Path, seed: int = 0) -> Path:
    """A checkpoint of a kind with its tokenizer, in the layout of `save_pretrained`."""
    logging.disable_progress_bar()
    save_tokenizer(kind, folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _model(kind).save_pretrained(folder)
    return folder


def save_whole_model(kind: str, folder: Path) -> Path:
    """The same encoder inside the model that it was trained in: a T5 with its decoder, a CLIP with its pictures."""
    save_tokenizer(kind, folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "metaclip":
            seen = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
            text = _clip_config().to_dict()
            whole = CLIPModel(CLIPConfig(text_config=text, vision_config=seen | {"image_size": 28, "patch_size": 14}))
        else:
            whole = T5ForConditionalGeneration(T5Config(**_shape(kind)))
        whole.save_pretrained(folder)
    return folder


def save_tokenizer(kind: str, folder: Path) -> None:
    if kind == "byt5":
        ByT5Tokenizer().save_pretrained(folder)
        return
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>"}
    vocabulary = {word: number for number, word in enumerate([*names.values(), *SENTENCE.split()])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    pattern = "<s> $A </s>" if kind == "metaclip" else "$A </s>"
    special = [(name, vocabulary[name]) for name in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(single=pattern, special_tokens=special)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def _model(kind: str) -> PreTrainedModel:
    if kind == "metaclip":
        return CLIPTextModel(_clip_config())
    if kind == "umt5":
        return UMT5EncoderModel(UMT5Config(**_shape(kind)))
    return T5EncoderModel(T5Config(**_shape(kind)))


def _shape(kind: str) -> dict[str, int]:
    words = BYTES if kind == "byt5" else len(SENTENCE.split()) + 4
    return {"vocab_size": words, "d_model": WIDTHS[kind], "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2}


def _clip_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(SENTENCE.split()) + 4,
        hidden_size=WIDTHS["metaclip"],
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=3,
        eos_token_id=1,
        pad_token_id=0,
    )
