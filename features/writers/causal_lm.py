"""A causal language model of transformers, e.g. LLaMa 3 as in the paper, from a local folder or a hub id."""

import hashlib
import importlib.metadata
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from features.writers.answers import Refused
from features.writers.config import CausalLmConfig, WriterError
from features.writers.prompts import Message
from features.writers.spoken import Said


class CausalLmSpeaker:
    """Says what a model generates, the same for the same conversation and seed on the same machine.

    A model without a chat template is given the turns as plain lines. Weights are read from safetensors only, and no
    code that comes with them is run.

    Raises:
        WriterError: there is no such folder or hub id, or it holds no causal language model.
    """

    def __init__(self, config: CausalLmConfig) -> None:
        self._config = config
        self._tokenizer, self._model = _load(config)
        self.revision = f"causal-lm-{_weights(self._model)}"
        self._lock = threading.Lock()  # generation draws from torch's one generator

    @torch.no_grad()
    def say(self, messages: Sequence[Message], schema: Mapping[str, object], seed: int) -> Said:
        """The answer, cut after the first whole JSON object: a small model does not know where to stop."""
        ids = self._prompt(messages)
        room = getattr(self._model.config, "max_position_embeddings", None)
        if room is not None and ids.shape[1] + self._config.max_tokens > room:
            raise Refused(f"a prompt of {ids.shape[1]} tokens is too long for the model")
        with self._lock, torch.random.fork_rng():
            torch.manual_seed(seed)
            written = self._model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **self._sampling())
        fresh = written[0, ids.shape[1] :]
        text = self._tokenizer.decode(fresh, skip_special_tokens=True)
        return Said(first_object(text), ids.shape[1], len(fresh))

    def _prompt(self, messages: Sequence[Message]) -> torch.Tensor:
        if self._tokenizer.chat_template:
            told = self._tokenizer.apply_chat_template(
                [asdict(message) for message in messages], add_generation_prompt=True, tokenize=False
            )
        else:
            told = "".join(f"{message.role}: {message.content}\n" for message in messages) + "assistant:"
        # A template writes the special tokens itself.
        tokens = self._tokenizer(told, return_tensors="pt", add_special_tokens=not self._tokenizer.chat_template)
        ids: torch.Tensor = tokens["input_ids"].to(self._config.device)
        return ids

    def _sampling(self) -> dict[str, Any]:
        config, ends = self._config, self._tokenizer.eos_token_id
        told: dict[str, Any] = {"max_new_tokens": config.max_tokens, "pad_token_id": ends}
        if config.temperature == 0:
            return told | {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        return told | {"do_sample": True, "temperature": config.temperature, "top_p": config.top_p, "top_k": 0}


def first_object(text: str) -> str:
    """The first balanced JSON object of a text; all of it where there is none."""
    start = text.find("{")
    depth, quoted, escaped = 0, False, False
    for place in range(start, len(text)) if start >= 0 else ():
        sign = text[place]
        if quoted:
            quoted, escaped = sign != '"' or escaped, sign == "\\" and not escaped
        elif sign == '"':
            quoted = True
        else:
            depth += {"{": 1, "}": -1}.get(sign, 0)
            if depth == 0:
                return text[start : place + 1]
    return text


def _load(config: CausalLmConfig) -> tuple[Any, Any]:
    import transformers

    name, _, revision = config.source.partition("@")
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise WriterError(f"causal language model: no folder {name}; put the model there or change its `source`")
    where, told = str(Path(name).expanduser()), {"revision": revision or None, "trust_remote_code": False}
    if not revision:
        del told["revision"]
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **told)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            where, dtype=getattr(torch, config.dtype), use_safetensors=True, **told
        )
    except Exception as error:  # damaged files and unknown ids fail in many ways, each with an exception of its own
        reason = " ".join(str(error).split())[:300]
        raise WriterError(
            f"causal language model {config.source}: {reason}; it needs config, safetensors and tokenizer, in a folder "
            "or on a hub that can be reached"
        ) from error
    return tokenizer, model.to(config.device).eval().requires_grad_(False)


def _weights(model: Any) -> str:
    """A digest of the loaded weights, with the library that runs them."""
    found = hashlib.sha256(importlib.metadata.version("transformers").encode())
    for name, values in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:12]
