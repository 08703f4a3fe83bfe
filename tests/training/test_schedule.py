"""The learning rate, what is decayed, and the gate's reasons."""

import pytest
import torch

from models.build import build_base, editor_from_base
from models.weights import Bundle
from tests.training import runs
from tests.world import World, text_encoder, tiny_params
from training.gate import GateFigures, decide
from training.params import GateParams, OptimizerParams
from training.schedule import build_optimizer, rate_factor, step_generator

GATE = GateParams(min_success=0.6, max_wrong_instruction_success=0.2, max_keep_gap_db=3.0, max_colour_drift=2.0)
GOOD = GateFigures(0.7, 0.1, 30.0, 32.0, 1.0)


def _optimizer(**changes: float) -> OptimizerParams:
    values = {
        "learning_rate": 1e-3, "weight_decay": 0.1, "beta2": 0.95, "warmup_steps": 10, "decay_share": 0.5,
        "clip_norm": 1.0,
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


def test_norms_biases_tables_and_gates_are_not_decayed() -> None:
    params = tiny_params()
    config = params.models.base_config(text_encoder())
    bundle = Bundle("base", build_base(config).state_dict(), config.model_dump(mode="json"), {})
    model, _ = editor_from_base(bundle, params.models.editing)
    next(model.backbone.final_norm.parameters()).requires_grad_(False)
    decayed, *others = build_optimizer(model.named_parameters(), _optimizer(), gate_rate=20.0).param_groups
    assert decayed["weight_decay"] == 0.1 and all(group["weight_decay"] == 0.0 for group in others)
    in_decayed = {id(p) for p in decayed["params"]}
    for name, parameter in model.named_parameters():
        matrix = parameter.ndim >= 2 and "table" not in name and "gates" not in name
        assert (id(parameter) in in_decayed) == matrix, name
    named = dict(model.named_parameters())
    assert any("table" in name for name in named)
    rates = {id(p): group["lr"] for group in others for p in group["params"]}
    gates = [id(p) for name, p in named.items() if "gates" in name]
    assert gates and all(rates[key] == pytest.approx(20 * 1e-3) for key in gates)
    assert {rate for key, rate in rates.items() if key not in gates} == {decayed["lr"]} == {1e-3}
    assert len(rates) + len(in_decayed) == len(named) - 1 and not in_decayed & set(rates)


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
