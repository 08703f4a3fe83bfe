"""Two layers whose backward pass is written by hand: left to autograd, it takes two to four times as long on CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from models.shapes import Tokens

Modulation = Float[Tensor, "b 1 d"]


class _ModulatedRms(Function):
    """scale * x / rms(x) + shift."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        inverse = torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, scale)
        return torch.addcmul(shift, unit, scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        unit, inverse, scale = ctx.saved_tensors
        (gradient,) = gradients
        of_unit = gradient * scale
        along = (of_unit * unit).mean(dim=-1, keepdim=True)
        of_x = of_unit.addcmul_(unit, along, value=-1).mul_(inverse)
        return of_x, (gradient * unit).sum(1, keepdim=True), gradient.sum(1, keepdim=True), None


class _SwiGlu(Function):
    """silu(gate) * up of a tensor that holds both, whose gradient is written into one tensor too."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        opened = F.silu(gate)
        ctx.save_for_backward(gate_up, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gate_up, opened = ctx.saved_tensors
        (gradient,) = gradients
        result = torch.empty_like(gate_up)
        (gate, up), (of_gate, of_up) = gate_up.chunk(2, dim=-1), result.chunk(2, dim=-1)
        torch.mul(gradient, opened, out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=of_gate)
        return result


def modulated_rms_norm(x: Tokens, scale: Modulation, shift: Modulation, eps: float) -> Tokens:
    """RMSNorm over the width, times a scale, plus a shift, one of each a sample (AdaLN)."""
    result: Tensor = _ModulatedRms.apply(x, scale, shift, eps)  # type: ignore[no-untyped-call]
    return result


def swiglu(gate_up: Float[Tensor, "b n double"]) -> Float[Tensor, "b n hidden"]:
    """The first half of the last axis, through SiLU, times the second half."""
    result: Tensor = _SwiGlu.apply(gate_up)  # type: ignore[no-untyped-call]
    return result
