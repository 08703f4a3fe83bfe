"""The step benchmark runs at a tiny size and says all it promises; how fast it was is never asked here."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import step
from benchmarks.step_sides import build_sides, model_flops, sample
from flows.params import Params
from tests.world import ROOT, TINY, tiny_params

WAN = "models.backbone={name: wan, num_attention_heads: 2, attention_head_dim: 12, num_layers: 1, ffn_dim: 8, "
WAN += "text_dim: 384, freq_dim: 8, cross_attn_norm: true, eps: 1.0e-6, rope_max_seq_len: 16, patch: 2, text_len: 16, "
WAN += "max_latent_frames: 4}"
PHASES = {f"{phase}_share" for phase in ("forward", "backward", "optimizer")}
FIGURES = {"step_vs_diffusers", "step_vs_diffusers_fp32", "mfu", "peak_gflops"}
FIGURES |= {"parameters_ours", "parameters_diffusers"}
FIGURES |= {f"{name}_{kind}" for name in ("step_vs_diffusers", "mfu", "gflop") for kind in ("pictures", "clips")}
FIGURES |= {
    f"{name}_{side}_{kind}"
    for name in ("milliseconds", *PHASES)
    for side in ("ours", "diffusers")
    for kind in ("pictures", "clips")
}


def test_the_record_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["step", "--rounds", "2", "--result", str(tmp_path / "step.json"), *TINY]
    monkeypatch.setattr(sys, "argv", told)
    step.main()
    record = json.loads((tmp_path / "step.json").read_text())
    assert set(record) == {"name", "commit", "date", "machine", "params", "figures"} and record["name"] == "step"
    assert set(record["figures"]) == FIGURES
    assert all(math.isfinite(value) and value > 0 for value in record["figures"].values())
    shares = [record["figures"][f"{phase}_ours_clips"] for phase in PHASES]
    assert all(share < 1 for share in shares)


def test_both_sides_predict_a_velocity_and_have_about_as_many_weights() -> None:
    models = Params.read(ROOT / "params.yaml").models
    given, counts = sample(models, 2, 5, 128), []
    for network, velocity in build_sides(models).values():
        assert velocity(given.noise, given).shape == given.target.shape
        counts.append(sum(p.numel() for p in network.parameters()))
    assert abs(counts[0] / counts[1] - 1) < 0.05


def test_the_operations_are_those_that_torch_counts() -> None:
    models = tiny_params().models
    given = sample(models, 3, 8, 32)
    _, velocity = build_sides(models)["ours"]
    # Under bf16 and with gradients attention is made of matrix products, which torch counts; its fused ones on CPU it
    # does not.
    with torch.autocast("cpu", torch.bfloat16), FlopCounterMode(display=False) as counter:
        velocity(given.noise, given)
    assert model_flops(models, given) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_backbone_of_others_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'wan'"):
        build_sides(tiny_params(WAN).models)
