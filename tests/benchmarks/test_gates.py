"""The gates run end to end on a tiny world, say all they promise, and are closed before anything has been trained."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks import gates
from benchmarks.gate_editor import GateSize, plan
from flows.job import Job
from flows.params import Params
from models.build import AUTOENCODER, BASE, autoencoder_bundle, base_bundle, build_base
from models.weights import save_bundle
from stores.state import State
from tests.world import ROOT, raw_folder, text_encoder, tiny_autoencoder, tiny_params

# Rows differ from run to run, since the folder is part of their key: two steps could end within the rounding.
SIZE = GateSize(pairs=4, identities=3, held_out=2, steps=8, batch=2)
FIGURES = {
    "loss_start", "loss_end", "overfit_ceiling_psnr", "overfit_psnr", "overfit_gap_db", "overfit_guided_gap_db",
    "overfit_copy_gap_db", "overfit_edit_psnr", "overfit_edit_ceiling_psnr", "overfit_success", "overfit_passed",
    "identity_gap_db", "identity_gap_untrained_db", "identity_passed",
}  # fmt: skip


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder = tmp_path_factory.mktemp("gates")
    raw = raw_folder(folder / "raw")
    (raw / "cutouts").symlink_to(ROOT / "data" / "cutouts")
    params = tiny_params(f"data={raw}", "inference.resolution=32", "inference.num_inference_steps=4")
    return gates.run_gates(Job(params, State.at(folder / "state")), _weights(folder / "weights", params), SIZE, BASE)


def _weights(folder: Path, params: Params) -> Path:
    """A base that knows nothing, and an autoencoder that does: the principal components of smooth colours."""
    autoencoder = tiny_autoencoder(params)
    assert autoencoder.linear is not None
    rough = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    smooth = torch.nn.functional.interpolate(rough, scale_factor=4, mode="bilinear")
    autoencoder.linear.set_components(autoencoder.linear.blocks(smooth[:, :, None]).flatten(0, -2))
    save_bundle(
        autoencoder_bundle(autoencoder.state_dict(), params.models.autoencoder, {}),
        folder / f"{AUTOENCODER}.safetensors",
    )
    config = params.models.base_config(text_encoder())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = base_bundle(build_base(config).state_dict(), config, {})
    save_bundle(base, folder / f"{BASE}.safetensors")
    return folder


def test_the_figures_are_complete_and_finite(figures: dict[str, float]) -> None:
    assert set(figures) == FIGURES
    assert all(isinstance(value, float) and math.isfinite(value) for value in figures.values())
    assert figures["overfit_ceiling_psnr"] > 15, "an autoencoder that shows something, or the gaps mean nothing"
    assert 0 <= figures["overfit_success"] <= 1


def test_both_gates_are_closed_to_an_editor_that_has_learned_nothing(figures: dict[str, float]) -> None:
    assert figures["identity_gap_untrained_db"] > gates.IDENTITY_MARGIN_DB
    assert figures["identity_gap_db"] > gates.IDENTITY_MARGIN_DB and figures["identity_passed"] == 0
    assert figures["overfit_gap_db"] > gates.OVERFIT_MARGIN_DB and figures["overfit_passed"] == 0


def test_a_few_steps_already_change_the_loss(figures: dict[str, float]) -> None:
    assert figures["loss_end"] != figures["loss_start"]


def test_edits_and_identities_are_trained_on_and_other_identities_held_out() -> None:
    edits, kept, held_out = plan(gates.DEFAULT, ("add", "identity", "remove"))
    assert Counter(row.task for row in edits) == {"add": 32, "remove": 32}
    assert {row.task for row in [*kept, *held_out]} == {"identity"}
    assert {row.split for row in [*edits, *kept]} == {"train"} and {row.split for row in held_out} == {"validation"}
    assert len({row.number for row in [*edits, *kept]}) == len(edits) + len(kept) == 96
