"""Laws of text as data, and of the packaged encoder."""

from functools import cache

import pytest
import torch

from models.build import build_text_encoder
from models.text import TextContext, TextEncoder, TextPart, join_texts, pad_texts
from models.text_encoders.minilm import packaged_model_folder
from tests.tiny import TEXT_WIDTH, latents, minilm, texts

INSTRUCTION = "add a red balloon to the left of the tree"


@cache
def encoder(max_tokens: int = 16) -> TextEncoder:
    return build_text_encoder(minilm(max_tokens))


def test_trimming_undoes_padding_for_every_encoder() -> None:
    rows = [(latents(n, 6, seed=n), latents(m, 3, seed=m)) for n, m in ((2, 5), (4, 1), (1, 3))]
    context = pad_texts(rows)
    assert [part.states.shape for part in context.parts] == [(3, 4, 6), (3, 5, 3)]
    for i, row in enumerate(rows):
        assert all(torch.equal(a, b) for a, b in zip(context.trimmed(i), row, strict=True))
    assert not context.parts[0].states[~context.parts[0].mask].any()


def test_stored_half_precision_is_read_as_single() -> None:
    assert pad_texts([(latents(2, 3).half(),)]).parts[0].states.dtype == torch.float32


def test_joining_keeps_rows_in_order_and_repeating_copies_one() -> None:
    one, other = texts(2, 5), texts(7)
    joined = join_texts([one, other, one])
    assert len(joined) == 5
    expected = [*(one.trimmed(i)[0] for i in (0, 1)), other.trimmed(0)[0], *(one.trimmed(i)[0] for i in (0, 1))]
    assert all(torch.equal(joined.trimmed(i)[0], row) for i, row in enumerate(expected))
    assert all(torch.equal(other.repeat(3).trimmed(i)[0], other.trimmed(0)[0]) for i in range(3))


def test_a_text_without_tokens_survives_joining() -> None:
    empty = TextContext((TextPart(torch.zeros(1, 2, TEXT_WIDTH), torch.zeros(1, 2, dtype=torch.bool)),))
    assert join_texts([empty, texts(3)]).parts[0].mask.sum(dim=1).tolist() == [0, 3]


def test_the_encoder_gives_the_same_states_alone_and_in_a_batch() -> None:
    alone = encoder().encode([INSTRUCTION]).trimmed(0)[0]
    batch = encoder().encode(["", INSTRUCTION, "remove the dog"])
    assert torch.allclose(batch.trimmed(1)[0], alone, atol=1e-5)
    assert torch.equal(encoder().encode([INSTRUCTION]).trimmed(0)[0], alone)
    assert not batch.parts[0].states[~batch.parts[0].mask].any()


def test_the_empty_text_has_tokens_of_its_own() -> None:
    assert encoder().encode([""]).parts[0].mask.sum() == 2  # beginning and end


def test_other_words_and_another_order_of_words_give_other_states() -> None:
    said = ["put the dog on the cat", "put the cat on the dog", "put the dog on the mat"]
    states = encoder().encode(said).parts[0].states
    assert not torch.allclose(states[0], states[1], atol=1e-2)
    assert not torch.allclose(states[0], states[2], atol=1e-2)


@pytest.mark.parametrize("max_tokens", [4, 16])
def test_long_texts_are_cut_and_the_limit_is_part_of_the_revision(max_tokens: int) -> None:
    found = encoder(max_tokens).encode([INSTRUCTION * 20])
    assert found.parts[0].states.shape == (1, max_tokens, encoder(max_tokens).widths[0])
    assert encoder(max_tokens).revision.endswith(f"-{max_tokens}")
    assert isinstance(encoder(max_tokens), TextEncoder)


def test_the_encoder_is_frozen_and_its_folder_holds_no_pickle() -> None:
    assert not encoder().encode([INSTRUCTION]).parts[0].states.requires_grad
    names = [path.name for path in packaged_model_folder().rglob("*")]
    assert "model.safetensors" in names
    assert not [name for name in names if name.endswith((".bin", ".pkl", ".pt"))]
