"""A training step of our editor beside one of diffusers' Wan transformer of the same size, and beside the machine.

`python -m benchmarks.step` builds the editor of params.yaml and a `WanTransformer3DModel` of the same width, depth,
heads and number of weights, and steps both on the same latents and text, in turns: forward, loss, backward, clipping,
the same AdamW, bf16 autocast. A ratio is taken within each round and the median over rounds is kept, so other work on
the machine meets both alike. `mfu` is the step's matrix products over time, as a share of the rate of one large bf16
product measured in the same rounds. Figures without a suffix are of the mix of picture and clip batches of stage one.
Writes `benchmarks/results/step.json`.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.step_sides import SIDES, Sample, Velocity, build_sides, model_flops, sample
from flows.params import Params
from flows.record import RESULTS, write_record
from flows.settings import ROOT
from models.loss import velocity_error
from models.path import LinearPath
from models.precision import Precision, arithmetic, autocast
from training.params import OptimizerParams
from training.schedule import build_optimizer

GROUPS = {"pictures": "image_edit", "clips": "text_to_video"}
PHASES = ("forward", "backward", "optimizer")
OURS, THEIRS = SIDES
PRODUCTS = 10


@dataclass(frozen=True)
class StepSize:
    """How much is measured; `product` is the large matrix product's rows and width."""

    rounds: int
    product: tuple[int, int]


@dataclass(frozen=True)
class Stepper:
    """A network with what trains it; a call makes one step and tells the seconds of its phases."""

    network: nn.Module
    velocity: Velocity
    optimizer: torch.optim.Optimizer
    clip_norm: float
    precision: Precision

    @staticmethod
    def of(network: nn.Module, velocity: Velocity, params: OptimizerParams, precision: Precision) -> "Stepper":
        return Stepper(
            network, velocity, build_optimizer(network.named_parameters(), params), params.clip_norm, precision
        )

    def __call__(self, given: Sample) -> tuple[float, ...]:
        path, start = LinearPath(), perf_counter()
        self.optimizer.zero_grad()
        with autocast("cpu", self.precision):
            predicted = self.velocity(path.at(given.noise, given.target, given.time).x_t, given)
            loss = velocity_error(predicted, given.noise, given.target, path, given.time).mean()
        forward = perf_counter()
        loss.backward()  # type: ignore[no-untyped-call]
        backward = perf_counter()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        self.optimizer.step()
        return forward - start, backward - forward, perf_counter() - backward


def peak_rate(rows: int, width: int) -> float:
    """Operations a second of a large product of the step's kind, for about as long as a step, to be as disturbed."""
    dtype = torch.bfloat16 if arithmetic("cpu", "bf16") == "bf16" else torch.float32
    x, weight = torch.randn(rows, width).to(dtype), torch.randn(width, width).to(dtype)
    F.linear(x, weight)
    start = perf_counter()
    for _ in range(PRODUCTS):
        F.linear(x, weight)
    return 2 * PRODUCTS * rows * width**2 / (perf_counter() - start)


def measure(params: Params, size: StepSize) -> dict[str, float]:
    """All figures; milliseconds and shares are medians over rounds."""
    torch.manual_seed(params.seed)
    stage = params.training.stages["one"]
    networks = build_sides(params.models)
    steppers = {
        name: Stepper.of(network, velocity, stage.optimizer, "bf16") for name, (network, velocity) in networks.items()
    }
    full = Stepper.of(*networks[THEIRS], stage.optimizer, "fp32")
    figures: dict[str, float] = {
        f"parameters_{name}": sum(p.numel() for p in stepper.network.parameters()) for name, stepper in steppers.items()
    }
    geometry = params.features.geometry
    weights = {kind: stage.groups[group].weight for kind, group in GROUPS.items()}
    rounds: dict[str, list[dict[str, float]]] = {}
    flops = dict.fromkeys(GROUPS, 0.0)
    for kind, group in GROUPS.items():
        frames = geometry.clip_frames if kind == "clips" else 1
        given = sample(params.models, stage.groups[group].batch, frames, geometry.resolution)
        flops[kind] = 3 * model_flops(params.models, given)
        rounds[kind] = [_round(steppers, full, given, size) for _ in range(size.rounds + 1)][1:]
        figures |= _figures_of(kind, rounds[kind], flops[kind])
    mixed = [
        {key: sum(weights[kind] * each[key] for kind, each in zip(GROUPS, pair, strict=True)) for key in pair[0]}
        for pair in zip(*rounds.values(), strict=True)
    ]
    total, count = sum(weights[kind] * flops[kind] for kind in GROUPS), sum(weights.values())
    figures["step_vs_diffusers"] = median(each[THEIRS] / each[OURS] for each in mixed)
    figures["step_vs_diffusers_fp32"] = median(each["fp32"] / each[OURS] for each in mixed)
    figures["mfu"] = median(total / each[OURS] / (each["peak"] / count) for each in mixed)
    figures["peak_gflops"] = median(each["peak"] / count for each in mixed) / 1e9
    return figures


def _round(steppers: dict[str, Stepper], full: Stepper, given: Sample, size: StepSize) -> dict[str, float]:
    found = {"peak": peak_rate(*size.product)}
    for name, stepper in steppers.items():
        phases = stepper(given)
        found |= {f"{name}_{phase}": seconds for phase, seconds in zip(PHASES, phases, strict=True)}
        found[name] = sum(phases)
    return found | {"fp32": sum(full(given))}


def _figures_of(kind: str, rounds: list[dict[str, float]], flops: float) -> dict[str, float]:
    figures = {
        f"step_vs_diffusers_{kind}": median(each[THEIRS] / each[OURS] for each in rounds),
        f"mfu_{kind}": median(flops / each[OURS] / each["peak"] for each in rounds),
        f"gflop_{kind}": flops / 1e9,
    }
    for name in SIDES:
        figures[f"milliseconds_{name}_{kind}"] = 1e3 * median(each[name] for each in rounds)
        for phase in PHASES:
            figures[f"{phase}_share_{name}_{kind}"] = median(each[f"{name}_{phase}"] / each[name] for each in rounds)
    return figures


def main() -> None:
    """`python -m benchmarks.step`."""
    parser = argparse.ArgumentParser(description="A training step beside diffusers' Wan transformer.")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--result", type=Path, default=RESULTS / "step.json")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    told = parser.parse_args()
    size = StepSize(rounds=told.rounds, product=(4096, 1024))
    figures = measure(Params.read(told.params, tuple(told.overrides)), size)
    record = write_record(told.result, asdict(size) | {"overrides": told.overrides}, figures)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
