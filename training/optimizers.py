"""Several optimizers that step as one, so that schedules, clipping and checkpoints see one list of groups."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class JoinedOptimizer(Optimizer):
    """Steps its parts in turn; groups and state are kept here.

    Lightning refuses to clip gradients for a fused AdamW, which under fp16 would unscale them itself. Under bf16 there
    is nothing to unscale, so a fused one may be a part.
    """

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self._parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every part; the closure, which computes the gradients, is called once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = iter(self.param_groups)
        for part in self._parts:
            # Loading a checkpoint puts new groups and a new state into this object, not into its parts.
            part.param_groups = [next(groups) for _ in part.param_groups]
            part.state = self.state
            part.step()
        return loss
