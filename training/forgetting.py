"""Whether an editor still makes videos from text: its loss on captioned clips beside that of its base.

Movie Gen Edit, sections 5.1.2 and 5.1.3, trains on text-to-video in every stage so that it is not forgotten; the paper
reports no figure of it.
"""

from collections.abc import Mapping

import torch
from torch import nn

from models.precision import autocast
from training.data import TRAIN, VALIDATION, PairTable, ValidationLoader
from training.module import error_at_fixed_times
from training.params import GroupParams

GROUP = "text_to_video"
SPLITS = {"seen": TRAIN, "unseen": VALIDATION}
BATCHES = 2


def forgetting(
    editor: nn.Module, base: nn.Module, table: PairTable, groups: Mapping[str, GroupParams], seed: int
) -> dict[str, float]:
    """Velocity errors of both on clips of training scenes and of unseen ones; empty where a stage has no such clips.

    Both are given the same rows, noise and times, and the same whole condition: a base as freshly widened.
    """
    if GROUP not in groups:
        return {}
    found: dict[str, float] = {}
    for name, split in SPLITS.items():
        loader = ValidationLoader(table, {GROUP: groups[GROUP]}, BATCHES, split)
        if len(loader):
            found[f"{GROUP}_{name}"] = _error(editor, loader, seed)
            found[f"{GROUP}_{name}_of_base"] = _error(base, loader, seed)
    return found


@torch.no_grad()
def _error(network: nn.Module, loader: ValidationLoader, seed: int) -> float:
    device = next(network.parameters()).device
    with autocast(device, "bf16"):
        errors = [error_at_fixed_times(network, batch.to(device), seed) for batch in loader]
    return round(float(torch.cat(errors).mean()), 5)
