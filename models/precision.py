"""One switch for the arithmetic of matrix work."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]


def autocast(device: torch.device | str, precision: Precision) -> AbstractContextManager[None]:
    """bf16 matrix products with fp32 weights, or nothing. On CPU bf16 was measured 4-10 times faster."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
