"""The learning rate, what is decayed, and the gate's reasons."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from models.build import build_base, editor_from_base
from models.editor import EditModel
from models.weights import Bundle
from tests.tiny import latents
from tests.training import runs
from tests.world import World, text_encoder, tiny_params
from training.gate import GateFigures, decide
from training.params import GateParams, OptimizerParams
from training.schedule import build_optimizer, rate_factor, step_generator

GATE = GateParams(min_success=0.6, max_wrong_instruction_success=0.2, max_keep_gap_db=3.0, max_colour_drift=2.0)
GOOD = GateFigures(0.7, 0.1, 30.0, 32.0, 1.0)


MUON = {"learning_rate": 0.02, "weight_decay": 0.05, "momentum": 0.95, "iterations": 5}


def _optimizer(**changes: object) -> OptimizerParams:
    values = {
        "learning_rate": 1e-3, "weight_decay": 0.1, "beta2": 0.95, "warmup_steps": 10, "decay_share": 0.5,
        "clip_norm": 1.0, "muon": None,
    }  # fmt: skip
    return OptimizerParams.model_validate(values | changes)


@pytest.mark.parametrize("warmup", [0, 1, 10, 500])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_rate_is_a_share_that_ends_at_zero(warmup: int, share: float) -> None:
    params = _optimizer(warmup_steps=warmup, decay_share=share)
    factors = [rate_factor(step, 100, params) for step in range(101)]
    assert all(0 <= factor <= 1 for factor in factors) and factors[0] > 0
    assert (factors[100] == 0) if share else (factors[100] == min(1.0, 101 / (warmup + 1)))


def test_the_rate_rises_stays_and_falls() -> None:
    factors = [rate_factor(step, 100, _optimizer()) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11) and factors[4] == pytest.approx(5 / 11)
    assert factors[10:51] == [1.0] * 41
    assert factors[75] == pytest.approx(0.5) and factors[99] == pytest.approx(0.02)
    assert factors[10:] == sorted(factors[10:], reverse=True)


def _editor() -> EditModel:
    """Of the tiny world, with one parameter frozen."""
    params = tiny_params()
    config = params.models.base_config(text_encoder())
    bundle = Bundle("base", build_base(config).state_dict(), config.model_dump(mode="json"), {})
    model, _ = editor_from_base(bundle, params.models.editing)
    next(model.backbone.final_norm.parameters()).requires_grad_(False)
    return model


def _is_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv3d)


@pytest.mark.parametrize("muon", [None, MUON])
def test_norms_biases_tables_and_gates_are_not_decayed(muon: dict | None) -> None:
    model = _editor()
    groups = build_optimizer(model.named_parameters(), _optimizer(muon=muon), gate_rate=20.0).param_groups
    found = {id(p): group for group in groups for p in group["params"]}
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert found.keys() == trained and len(trained) == sum(len(group["params"]) for group in groups)
    matrices = {id(module.weight) for module in model.modules() if _is_matrix(module)}
    assert {key for key, group in found.items() if group["weight_decay"]} == matrices
    gates = {id(p) for name, p in model.named_parameters() if "gates" in name}
    assert gates and {found[key]["lr"] for key in gates} == {20 * 1e-3}
    rates = {group["lr"] for key, group in found.items() if key not in gates}
    assert rates == ({1e-3} if muon is None else {1e-3, 0.02})


def test_muon_has_the_matrices_of_the_blocks_and_nothing_else() -> None:
    model = _editor()
    groups = build_optimizer(model.named_parameters(), _optimizer(muon=MUON)).param_groups
    (muon,) = [group for group in groups if "momentum" in group]
    linears = [module for block in model.backbone.blocks for module in block.modules() if _is_matrix(module)]
    assert {id(p) for p in muon["params"]} == {id(linear.weight) for linear in linears}
    assert (muon["lr"], muon["weight_decay"], muon["momentum"], muon["ns_steps"]) == (0.02, 0.05, 0.95, 5)


@pytest.mark.parametrize("muon", [None, MUON])
def test_an_optimizer_loaded_from_its_state_goes_on_bit_for_bit(muon: dict | None, tmp_path: Path) -> None:
    def stepped(layers: nn.Module, optimizer: torch.optim.Optimizer, schedule: LambdaLR, first: int) -> None:
        for step in range(first, first + 3):
            for i, parameter in enumerate(layers.parameters()):
                parameter.grad = latents(*parameter.shape, seed=100 * step + i)
            optimizer.step()
            schedule.step()

    def built() -> tuple[nn.Module, torch.optim.Optimizer, LambdaLR]:
        layers = nn.ModuleDict({"blocks": nn.Linear(4, 8), "out": nn.Linear(8, 4)})
        optimizer = build_optimizer(layers.named_parameters(), _optimizer(muon=muon))
        return layers, optimizer, LambdaLR(optimizer, lambda step: 1 / (1 + step))

    one, other = built(), built()
    stepped(*one, 0)
    saved = [part.state_dict() for part in one]
    torch.save(saved, tmp_path / "state.pt")
    stepped(*one, 3)
    for part, state in zip(other, torch.load(tmp_path / "state.pt", weights_only=True), strict=True):
        part.load_state_dict(state)
    stepped(*other, 3)
    assert all(torch.equal(a, b) for a, b in zip(one[0].parameters(), other[0].parameters(), strict=True))


def test_a_closure_is_called_once_with_gradients_on() -> None:
    layers = nn.ModuleDict({"blocks": nn.Linear(4, 8), "out": nn.Linear(8, 4)})
    optimizer = build_optimizer(layers.named_parameters(), _optimizer(muon=MUON))
    before, called = [p.clone() for p in layers.parameters()], []

    def closure() -> float:
        called.append(torch.is_grad_enabled())
        layers["out"](layers["blocks"](latents(2, 4))).square().sum().backward()
        return 7.0

    assert optimizer.step(closure) == 7.0 and called == [True]
    assert not any(torch.equal(a, b) for a, b in zip(before, layers.parameters(), strict=True))


def test_random_numbers_are_of_their_seed_and_step() -> None:
    drawn = [torch.rand(4, generator=step_generator(seed, step)).tolist() for seed in (0, 1) for step in (0, 1, 2)]
    assert torch.rand(4, generator=step_generator(1, 2)).tolist() == drawn[-1]
    assert len(set(map(tuple, drawn))) == 6
    assert step_generator(2**40, 7).initial_seed() >= 0


def test_the_gate_opens_at_its_thresholds() -> None:
    assert decide(GOOD, GATE).accepted and decide(GOOD, GATE).reasons == ()
    assert decide(GateFigures(0.6, 0.2, 29.0, 32.0, 2.0), GATE).accepted


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        (GateFigures(0.59, 0.1, 30.0, 32.0, 1.0), "success is 0.590, must be at least 0.6"),
        (GateFigures(0.7, 0.21, 30.0, 32.0, 1.0), "wrong instruction is 0.210"),
        (GateFigures(0.7, 0.1, 28.9, 32.0, 1.0), "keep_psnr below the ceiling"),
        (GateFigures(0.7, 0.1, 30.0, 32.0, 2.1), "colour drift"),
        (GateFigures(None, 0.1, 30.0, 32.0, 1.0), "success was not measured"),
        (GateFigures(0.7, 0.1, 30.0, None, 1.0), "was not measured"),
    ],
)
def test_the_gate_says_why_it_stays_shut(figures: GateFigures, word: str) -> None:
    decision = decide(figures, GATE)
    assert not decision.accepted and len(decision.reasons) == 1 and word in decision.reasons[0]


def test_the_gate_gives_every_reason() -> None:
    assert len(decide(GateFigures(0.0, 1.0, 0.0, 32.0, 9.0), GATE).reasons) == 4
    assert len(decide(GateFigures(None, None, None, None, None), GATE).reasons) == 4


def test_everything_that_decides_a_result_is_in_the_key(world: World) -> None:
    told = [
        runs.spec(world),
        runs.spec(world, "seed=4"),
        runs.spec(world, "training.stages.one.steps=13"),
        runs.spec(world, code="other"),
        runs.spec(world, kind="autoencoder"),
    ]
    assert len({each.key() for each in told}) == len(told)
    assert runs.spec(world).key() == told[0].key()
