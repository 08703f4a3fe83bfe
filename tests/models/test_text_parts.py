"""Laws of several text parts at once: order, padding, and a part without tokens, from the encoders to the velocity."""

from pathlib import Path

import pytest
import torch

from models.backbones.moviegen import MovieGenTransformer
from models.build import build_text_encoder
from models.conditioning import Condition, NullCondition, without_text
from models.editor import EditingConfig, EditModel
from models.guidance import GuidanceScales, guided
from models.task_predictor import pooled
from models.tasks import Task
from models.text import TextContext, TextEncoder, TextPart, join_texts, pad_texts, with_frame_rate
from tests.text_models import WIDTHS, config, joined, save_model
from tests.tiny import BACKBONE, CHANNELS, latents

PAPER = ("ul2", "byt5", "metaclip")
SIGN, PLAIN, EMPTY = 'add a sign that says "open now"', "remove the dog", ""
X, T = latents(), torch.tensor([0.2, 0.7])
OFFSETS = torch.zeros(2, dtype=torch.long)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    root = tmp_path_factory.mktemp("encoders")
    return build_text_encoder(joined(*(config(kind, save_model(kind, root / kind)) for kind in PAPER)))


def network(widths: tuple[int, ...]) -> MovieGenTransformer:
    """As if trained: nothing is left at zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = MovieGenTransformer(BACKBONE, CHANNELS, widths)
        for parameter in built.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return built


@pytest.fixture(scope="module")
def base(encoder: TextEncoder) -> MovieGenTransformer:
    return network(encoder.widths).eval()


def velocity(base: MovieGenTransformer, text: TextContext) -> torch.Tensor:
    with torch.no_grad():
        return base(X, T, text, OFFSETS)


def longer(text: TextContext, count: int) -> TextContext:
    """More padding in every part, with anything but zeros in it."""
    padded = []
    for part in text.parts:
        batch, _, width = part.states.shape
        noise = latents(batch, count, width, seed=count)
        mask = torch.cat([part.mask, torch.zeros(batch, count, dtype=torch.bool)], dim=1)
        padded.append(TextPart(torch.cat([part.states, noise], dim=1), mask))
    return TextContext(tuple(padded))


@pytest.mark.parametrize("texts", [(SIGN, PLAIN), (PLAIN, EMPTY), (EMPTY, SIGN)])
def test_padding_changes_nothing_whatever_has_tokens(
    encoder: TextEncoder, base: MovieGenTransformer, texts: tuple[str, str]
) -> None:
    text = encoder.encode(texts)
    for count in (1, 5):
        assert torch.allclose(velocity(base, longer(text, count)), velocity(base, text), atol=1e-5)


def test_a_part_without_tokens_is_a_part_that_is_not_there(encoder: TextEncoder, base: MovieGenTransformer) -> None:
    text = encoder.encode([PLAIN, EMPTY])
    assert text.parts[1].states.shape == (2, 0, WIDTHS["byt5"])
    without = network((encoder.widths[0], encoder.widths[2])).eval()
    kept = {name.replace("projections.2", "projections.1"): value for name, value in base.state_dict().items()
            if "projections.1" not in name}  # fmt: skip
    without.load_state_dict(kept)
    assert torch.equal(velocity(without, TextContext((text.parts[0], text.parts[2]))), velocity(base, text))


def test_quoted_text_is_seen_by_its_own_row_alone(encoder: TextEncoder, base: MovieGenTransformer) -> None:
    one = velocity(base, encoder.encode([SIGN, PLAIN]))
    other = velocity(base, encoder.encode([SIGN.replace("open now", "now open"), PLAIN]))
    assert not torch.allclose(one[0], other[0], atol=1e-5)
    assert torch.allclose(one[1], other[1], atol=1e-5)
    assert torch.allclose(one[1], velocity(base, encoder.encode([PLAIN, PLAIN]))[1], atol=1e-5)


def test_order_is_that_of_the_parts(encoder: TextEncoder, base: MovieGenTransformer) -> None:
    text = encoder.encode([SIGN, PLAIN])
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        velocity(base, TextContext(text.parts[::-1]))
    assert torch.equal(pooled(text), pooled(TextContext(text.parts[:1])))
    assert pooled(text).abs().sum(dim=1).min() > 0


@pytest.mark.parametrize("texts", [(SIGN, PLAIN), (PLAIN, PLAIN)])
def test_a_gradient_reaches_every_projection(encoder: TextEncoder, texts: tuple[str, str]) -> None:
    fresh = network(encoder.widths)
    fresh(X, T, encoder.encode(texts), OFFSETS).square().mean().backward()
    for i, projection in enumerate(fresh.text.projections):
        gradients = [parameter.grad for parameter in projection.parameters()]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
        silent = PAPER[i] == "byt5" and SIGN not in texts
        assert all(bool(gradient.any()) is not silent for gradient in gradients)


def test_rows_without_tokens_are_trimmed_joined_and_repeated(encoder: TextEncoder) -> None:
    plain, sign = encoder.encode([PLAIN]), encoder.encode([SIGN])
    assert plain.trimmed(0)[1].shape == (0, WIDTHS["byt5"])
    both = join_texts([plain, sign, plain.repeat(2)])
    assert both.parts[1].mask.sum(dim=1).tolist() == [0, len("open now") + 1, 0, 0]
    for row, truth in enumerate((plain, sign, plain, plain)):
        assert all(torch.equal(a, b) for a, b in zip(both.trimmed(row), truth.trimmed(0), strict=True))
    assert pad_texts([plain.trimmed(0)] * 2).parts[1].states.shape == (2, 0, WIDTHS["byt5"])


def test_text_is_dropped_and_guided_whatever_has_tokens(encoder: TextEncoder, base: MovieGenTransformer) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        editor = EditModel(network(encoder.widths), EditingConfig(task_width=8, copy_skip=False)).eval()
    null = NullCondition(encoder.encode([EMPTY]), latents(1, CHANNELS, 2, 8, 8, seed=9))
    source, task = latents(2, CHANNELS, 2, 8, 8, seed=7), torch.full((2,), int(Task.ADD))
    for texts in ((SIGN, PLAIN), (PLAIN, PLAIN)):
        condition = Condition(source, encoder.encode(texts), task, OFFSETS)
        dropped = without_text(condition, null, torch.tensor([True, False])).text
        for row, truth in enumerate((EMPTY, texts[1])):
            expected = encoder.encode([truth]).trimmed(0)
            found = dropped.trimmed(row)
            assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))
        with torch.no_grad():
            steered = guided(editor, condition, null, GuidanceScales(video=1.5, text=1.0))(X, T)
            plain = guided(editor, condition, null, GuidanceScales(video=1.0, text=1.0 + 1e-9))(X, T)
            assert torch.isfinite(steered).all()
            assert torch.allclose(plain, editor(X, T, condition), atol=1e-5)


def test_a_frame_rate_is_said_before_clips_alone() -> None:
    assert with_frame_rate(PLAIN, 16, 16.0) == "FPS-16 remove the dog"
    assert with_frame_rate(PLAIN, 16, 7.5) == "FPS-7.5 remove the dog"
    assert [with_frame_rate(*told) for told in ((PLAIN, 1, 16.0), (PLAIN, 16, None), (EMPTY, 16, 16.0))] == [
        PLAIN, PLAIN, EMPTY,
    ]  # fmt: skip


def test_the_encoders_know_the_rate_that_is_said(tmp_path: Path) -> None:
    told = config("ul2", save_model("ul2", tmp_path))
    assert build_text_encoder(joined(told, frame_rate=16)).frame_rate_prefix == 16
    assert build_text_encoder(joined(told)).frame_rate_prefix is None
