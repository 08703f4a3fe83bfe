"""Learning rate, optimizer and the seeds of a step: plain functions."""

from collections.abc import Iterable

import torch
from torch import nn

from training.params import OptimizerParams


def rate_factor(step: int, steps: int, params: OptimizerParams) -> float:
    """Factor on the learning rate: linear warm-up, flat, linear decay to zero at the last step."""
    warm = min(1.0, (step + 1) / (params.warmup_steps + 1))
    decay_steps = params.decay_share * steps
    left = (steps - step) / decay_steps if decay_steps else 1.0
    return max(0.0, min(warm, left, 1.0))


def build_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]], params: OptimizerParams, gate_rate: float = 1.0
) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only, not on norms, biases, tables and gates.

    The copy skip's gates learn `gate_rate` times faster: they have to grow from zero to the order of one.
    """
    trained = [(name, p) for name, p in named_parameters if p.requires_grad]
    gates = [p for name, p in trained if "gates" in name]
    matrices = [p for name, p in trained if p.ndim >= 2 and "table" not in name and "gates" not in name]
    known = {id(p) for p in (*gates, *matrices)}
    rest = [p for _, p in trained if id(p) not in known]
    groups = [{"params": matrices, "weight_decay": params.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    if gates:
        groups.append({"params": gates, "weight_decay": 0.0, "lr": gate_rate * params.learning_rate})
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=(0.9, params.beta2))


def step_generator(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step, a function of seed and step: a resumed run draws the same ones."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
