"""The transformers writer with a tiny LLaMa that has learned one answer by heart, and one that has learned nothing."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from features.writers.build import build_writer
from features.writers.causal_lm import first_object
from features.writers.config import CausalLmConfig, WriterError
from features.writers.examples import shipped_examples
from features.writers.prompts import write_prompt
from features.writers.protocol import InvertRequest, WriteRequest

REQUEST = WriteRequest("a man riding a horse on a beach", "replace", 5)
ANSWER = json.dumps(
    {"instruction": "turn the horse into a camel", "output_caption": "a man riding a camel", "object": "horse"}
)
SHARE = 0.2  # one example: a short prompt is learned in seconds
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}>"


def _config(folder: Path | str, **changes: object) -> CausalLmConfig:
    told = {"kind": "causal_lm", "source": str(folder), "dtype": "float32", "device": "cpu", "attempts": 2}
    told |= {"temperature": 0.0, "top_p": 1.0, "max_tokens": 80, "max_characters": 200, "example_share": SHARE}
    return CausalLmConfig.model_validate(told | changes)


def _tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """Words and signs as they are, so that any text comes back as it was."""
    prompt = write_prompt(REQUEST, shipped_examples()["replace"], SHARE)
    said = "".join(message.role + message.content for message in prompt.messages) + ANSWER + ": \n>"
    split = Split(Regex(r"\w+|\W"), "isolated")
    words = sorted({piece for piece, _ in split.pre_tokenize_str(said)})
    vocabulary = {word: number for number, word in enumerate(["</s>", "<unk>", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")
    made.chat_template = TEMPLATE if chat else None
    return made


def _model(tokenizer: PreTrainedTokenizerFast, room: int = 1024) -> LlamaForCausalLM:
    shape = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=room, eos_token_id=0, **shape)
        return LlamaForCausalLM(config)


def _saved(folder: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> Path:
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = _tokenizer()
    return _saved(tmp_path_factory.mktemp("random"), _model(tokenizer), tokenizer)


@pytest.fixture(scope="module")
def taught_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained until it gives the answer to the one prompt."""
    tokenizer = _tokenizer()
    prompt = write_prompt(REQUEST, shipped_examples()["replace"], SHARE)
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    asked = tokenizer.apply_chat_template(messages, tokenize=False)
    ids, start = (
        tokenizer(asked + ANSWER + "</s>", return_tensors="pt")["input_ids"],
        len(tokenizer(asked)["input_ids"]),
    )
    labels = ids.clone()
    labels[:, :start] = -100
    model = _model(tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(300):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.01:
            break
    return _saved(tmp_path_factory.mktemp("taught"), model, tokenizer)


def test_what_a_model_has_learned_to_say_becomes_an_edit(taught_model: Path) -> None:
    answers = build_writer(_config(taught_model), {}).write([REQUEST])
    (told,) = answers.accepted
    assert told.instruction == "turn the horse into a camel" and told.thing == "horse" and told.task == "replace"
    assert answers.report.accepted == answers.report.tries == 1
    assert answers.report.prompt_tokens > 100 and 20 < answers.report.completion_tokens <= 80


def test_noise_is_rejected_and_counted(random_model: Path) -> None:
    writer = build_writer(_config(random_model, temperature=0.9, top_p=0.9), {})
    requests = [REQUEST, WriteRequest("a dog", "add", 1)]
    answers = writer.write(requests)
    assert [rejected.request for rejected in answers.rejected] == requests
    assert {rejected.reason for rejected in answers.rejected} == {"not JSON"}
    assert answers.report.tries == 4 and answers.report.completion_tokens > 0
    assert writer.write(requests).all == answers.all, "the same seeds say the same"
    assert writer.invert([InvertRequest("a dog", "a cat", "make it a cat", 0)]).rejected


def test_a_model_without_a_chat_template_is_given_lines(tmp_path: Path) -> None:
    tokenizer = _tokenizer(chat=False)
    folder = _saved(tmp_path, _model(tokenizer), tokenizer)
    assert build_writer(_config(folder), {}).write([REQUEST]).rejected[0].reason == "not JSON"


def test_a_prompt_beyond_the_models_context_is_rejected(tmp_path: Path) -> None:
    tokenizer = _tokenizer()
    folder = _saved(tmp_path, _model(tokenizer, room=128), tokenizer)
    assert "too long for the model" in build_writer(_config(folder), {}).write([REQUEST]).rejected[0].reason


def test_the_revision_is_that_of_the_weights(random_model: Path, taught_model: Path) -> None:
    revisions = [build_writer(_config(folder), {}).revision for folder in (random_model, taught_model, random_model)]
    assert revisions[0] == revisions[2] != revisions[1]


def test_what_cannot_be_loaded_is_a_clear_error(random_model: Path, tmp_path: Path) -> None:
    with pytest.raises(WriterError, match="no folder"):
        build_writer(_config(tmp_path / "none"), {})
    with pytest.raises(WriterError, match="safetensors and tokenizer"):
        build_writer(_config(tmp_path), {})
    for path in random_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(WriterError, match="causal language model"):
        build_writer(_config(tmp_path), {})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('Sure: {"a": {"b": 1}} and more }', '{"a": {"b": 1}}'),
        (r'{"a": "} \" {"} x', r'{"a": "} \" {"}'),
        ('{"a": "\\\\"} x', '{"a": "\\\\"}'),
        ("nothing", "nothing"),
        ('{"a": 1', '{"a": 1'),
        ("", ""),
    ],
)
def test_the_first_object_of_a_text(text: str, found: str) -> None:
    assert first_object(text) == found
