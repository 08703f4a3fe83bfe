"""A stage learns, is decided by its seed, and registers what it made."""

import pytest
import torch

from models.build import AUTOENCODER, EDITOR, load_editor
from models.weights import load_bundle
from tests.training import runs
from tests.world import World
from training.data import PairBatch
from training.fit_stage import fit_stage
from training.module import VelocityModule

SHORT = "training.stages.one.steps=4"


@pytest.fixture(scope="module")
def short(world: World) -> dict[str, torch.Tensor]:
    told = runs.spec(world, SHORT)
    runs.train(world, told)
    return runs.final_weights(world, told, 4)


def test_a_stage_lowers_its_fixed_validation_loss(world: World) -> None:
    still = runs.train(world, runs.spec(world, "training.stages.one.steps=1", _rate(1e-9)))
    learnt = runs.train(world, runs.spec(world, "training.stages.one.steps=80", _rate(3e-3)))
    assert learnt.figures["val/loss"] < 0.8 * still.figures["val/loss"]
    assert learnt.figures["predictor_accuracy"] >= 0.75
    assert learnt.models[EDITOR].digest != still.models[EDITOR].digest


def _rate(rate: float) -> str:
    return f"training.stages.one.optimizer.learning_rate={rate:.10f}"


def test_what_is_registered_is_what_was_trained(world: World) -> None:
    told = runs.spec(world, SHORT)
    receipt = runs.train(world, told)
    model = runs.registry(world).fetch(receipt.model(EDITOR))
    bundle = load_bundle(model.folder / "editor.safetensors", EDITOR)
    assert bundle.digest() == receipt.model(EDITOR).digest == model.digest
    weights = runs.final_weights(world, told, 4)
    loaded = load_editor(bundle).model.state_dict()
    for name, value in loaded.items():
        assert torch.equal(value, weights[f"network.{name}"].half().float()), name
    assert (model.folder / "autoencoder.safetensors").is_file() and (model.folder / "inference.json").is_file()
    assert receipt.parents["pairs"] == world.pairs.table("edit_pairs").digest
    assert receipt.parents["autoencoder"] == world.adopted.model(AUTOENCODER).digest
    assert receipt.parents["start"] == world.adopted.model("base").digest
    assert {"val/loss", "predictor_accuracy", "val/task/add", "val/reach/image_edit"} <= set(receipt.figures)


def test_a_training_is_validated_on_its_way_and_once_at_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    real = VelocityModule.validation_step

    def noted(module: VelocityModule, batch: PairBatch, batch_idx: int) -> None:
        seen.append((module.trainer.global_step, batch_idx))
        real(module, batch, batch_idx)

    monkeypatch.setattr(VelocityModule, "validation_step", noted)
    runs.train(world, runs.spec(world, SHORT, "training.trainer.validate_every=3", code="validated"))
    assert {step for step, _ in seen} == {3, 4} and len(seen) == len(set(seen))


def test_an_earlier_seed_gives_the_same_weights_and_another_does_not(world: World, short: dict) -> None:
    # Other code is another key, so nothing is taken from the first run's checkpoints.
    same, other = runs.spec(world, SHORT, code="again"), runs.spec(world, SHORT, "seed=4")
    for told in (same, other):
        runs.train(world, told)
    assert runs.equal(runs.final_weights(world, same, 4), short)
    assert not runs.equal(runs.final_weights(world, other, 4), short)


def test_gradient_checkpointing_changes_nothing(world: World, short: dict) -> None:
    told = runs.spec(world, SHORT, "training.trainer.gradient_checkpointing=true")
    runs.train(world, told)
    for name, value in runs.final_weights(world, told, 4).items():
        torch.testing.assert_close(value, short[name], rtol=1e-5, atol=1e-6, msg=name)


def test_a_stage_without_its_start_says_so(world: World) -> None:
    told = runs.spec(world)
    inputs = {name: receipt for name, receipt in told.inputs.items() if name != "start"}
    with pytest.raises(ValueError, match="starts from 'base', but has no receipt"):
        fit_stage(told.model_copy(update={"inputs": inputs}), world.state)
