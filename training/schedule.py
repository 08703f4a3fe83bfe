"""Learning rate, optimizer and the seeds of a step: plain functions."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from training.optimizers import JoinedOptimizer
from training.params import OptimizerParams


def rate_factor(step: int, steps: int, params: OptimizerParams) -> float:
    """Factor on the learning rate: linear warm-up, flat, linear decay to zero at the last step."""
    warm = min(1.0, (step + 1) / (params.warmup_steps + 1))
    decay_steps = params.decay_share * steps
    left = (steps - step) / decay_steps if decay_steps else 1.0
    return max(0.0, min(warm, left, 1.0))


def build_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]], params: OptimizerParams, gate_rate: float = 1.0
) -> JoinedOptimizer:
    """AdamW, or with `params.muon` Muon for the matrices of transformer blocks and AdamW for all else.

    Weight decay is for matrices only, not for norms, biases, tables and gates. The copy skip's gates learn `gate_rate`
    times faster: they have to grow from zero to the order of one.
    """
    rate, muon = params.learning_rate, params.muon
    kinds: dict[str, list[nn.Parameter]] = {"muon": [], "matrix": [], "other": [], "gates": []}
    for name, parameter in named_parameters:
        if parameter.requires_grad:
            kinds[_kind(name, parameter, muon is not None)].append(parameter)
    groups = [
        {"params": kinds["matrix"], "weight_decay": params.weight_decay},
        {"params": kinds["other"], "weight_decay": 0.0},
        {"params": kinds["gates"], "weight_decay": 0.0, "lr": gate_rate * rate},
    ]
    filled = [group for group in groups if group["params"]]
    parts: list[Optimizer] = [AdamW(filled, lr=rate, betas=(0.9, params.beta2), fused=True)]
    if muon is not None and kinds["muon"]:
        matrices = Muon(
            kinds["muon"],
            lr=muon.learning_rate,
            weight_decay=muon.weight_decay,
            momentum=muon.momentum,
            ns_steps=muon.iterations,
        )
        parts.append(matrices)
    return JoinedOptimizer(parts)


def _kind(name: str, parameter: nn.Parameter, muon: bool) -> str:
    if "gates" in name:
        return "gates"
    if parameter.ndim < 2 or not name.endswith("weight") or "table" in name:
        return "other"
    return "muon" if muon and parameter.ndim == 2 and ".blocks." in f".{name}" else "matrix"


def step_generator(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step, a function of seed and step: a resumed run draws the same ones."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
