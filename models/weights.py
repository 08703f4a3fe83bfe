"""Weights as safetensors with config and lineage inside; nothing is ever unpickled."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


class WeightsError(ValueError):
    """A weights file that is missing, damaged or of another kind; the message names the file."""


@dataclass(frozen=True)
class Bundle:
    """Tensors with what is needed to rebuild their model (`config`) and to trace it (`lineage`)."""

    kind: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    lineage: Mapping[str, Any]

    def digest(self) -> str:
        """sha256 over the config, then names, shapes, types and bytes of the tensors in name order."""
        total = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for name in sorted(self.tensors):
            tensor = self.tensors[name].detach().cpu().contiguous()
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()


def save_bundle(bundle: Bundle, path: Path, dtype: torch.dtype | None = None) -> None:
    """Write a bundle in one atomic step, floating tensors cast to `dtype` if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().to(dtype if dtype and tensor.is_floating_point() else tensor.dtype).cpu().contiguous()
        for name, tensor in bundle.tensors.items()
    }
    metadata = {
        "kind": bundle.kind,
        "config": json.dumps(bundle.config, sort_keys=True),
        "lineage": json.dumps(bundle.lineage, sort_keys=True),
    }
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata)
    os.replace(partial, path)


def load_bundle(path: Path, kind: str) -> Bundle:
    """Read a bundle of the given kind.

    Raises:
        WeightsError: the file is missing, not safetensors, or holds another kind.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        found = metadata.get("kind", "weights without a kind")
        config, lineage = json.loads(metadata.get("config", "{}")), json.loads(metadata.get("lineage", "{}"))
    except Exception as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from error
    if found != kind:
        raise WeightsError(f"{path}: holds {found!r}, expected {kind!r}")
    return Bundle(kind, tensors, config, lineage)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], path: Path | str) -> None:
    """Copy tensors into a module, which must match to the last name and shape.

    Raises:
        WeightsError: names or shapes differ.
    """
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not fit its own config: {error}") from error
