"""One switch for the arithmetic of matrix work."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]


@cache
def has_bf16(kind: str) -> bool:
    """Whether devices of this kind multiply in bf16 here; a GPU is taken at its word.

    A CPU without AVX-512 or AMX (or, on ARM, bf16 instructions) does not: torch then computes such a product or
    convolution number by number, and was measured up to 360 times slower than in fp32.
    """
    if kind != "cpu":
        return True
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # not in builds without oneDNN
    return bool(asked and asked())


def arithmetic(device: torch.device | str, precision: Precision) -> Precision:
    """What is computed in where `precision` is asked for: fp32 in place of bf16 on a machine that has none."""
    return precision if precision == "fp32" or has_bf16(torch.device(device).type) else "fp32"


def autocast(device: torch.device | str, precision: Precision) -> AbstractContextManager[None]:
    """bf16 matrix products with fp32 weights, or nothing, as `arithmetic` says.

    On a CPU that has bf16 it was measured 4-10 times faster.
    """
    if arithmetic(device, precision) == "fp32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
