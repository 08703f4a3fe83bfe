"""The layer with a backward pass of its own agrees with autograd, and with torch's own attention."""

import pytest
import torch
from torch.autograd import gradcheck

from models import layers
from models.fused import modulated_rms_norm
from models.layers import attend, modulated_norm
from tests.tiny import latents


def _double(*shape: int, seed: int = 0) -> torch.Tensor:
    return latents(*shape, seed=seed).double().requires_grad_()


def test_the_gradient_of_the_modulated_norm_is_that_of_its_finite_differences() -> None:
    x, scale, shift = _double(2, 3, 4), _double(2, 1, 4, seed=1), _double(2, 1, 4, seed=2)
    assert gradcheck(modulated_rms_norm, (x, scale, shift, 1e-5))


def test_the_layer_computes_its_formula() -> None:
    norm = torch.nn.RMSNorm(16, eps=layers.NORM_EPS)
    torch.nn.init.normal_(norm.weight)
    x, scale, shift = latents(2, 5, 16), latents(2, 1, 16, seed=1), latents(2, 1, 16, seed=2)
    assert torch.allclose(modulated_norm(norm, x, scale, shift), norm(x) * (1 + scale) + shift, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("keys", [6, 40])
def test_attention_in_training_is_torch_s_own_within_the_rounding_of_bf16(masked: bool, keys: int) -> None:
    mask = torch.arange(keys)[None] < torch.tensor([[3], [keys]]) if masked else None
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        shapes = ((2, 3, 7, 8), (2, 3, keys, 8), (2, 3, keys, 8))
        inputs = [latents(*shape, seed=i).to(dtype).requires_grad_() for i, shape in enumerate(shapes)]
        out = attend(*inputs, mask)
        out.backward(latents(2, 3, 7, 8, seed=9).to(dtype))
        found.append([out.detach(), *(each.grad for each in inputs)])
    for exact, rounded in zip(*found, strict=True):
        assert exact is not None and rounded is not None
        assert (rounded.float() - exact).norm() < 0.02 * exact.norm()
    if masked:
        assert not any(each[0, :, 3:].any() for each in found[1][2:])


def test_very_long_sequences_do_not_build_the_matrix_of_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_explicit", None)
    monkeypatch.setattr(layers, "MOST_EXPLICIT", 6)
    query = latents(1, 1, 7, 8).bfloat16().requires_grad_()
    assert attend(query, query, query).shape == query.shape
