"""From a Wan pipeline in a folder to an editor trained on it: the real classes, tiny and random."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file

from features.encode import PairEncoder
from flows import training
from flows.import_wan import import_wan
from flows.job import Job
from flows.steps import PlainSteps
from inference.editor import Editor
from inference.generator import Generator
from inference.params import EditSettings
from models.backbones.protocol import TASK_TOKENS
from models.backbones.wan import WanConfig
from models.build import AUTOENCODER, BASE, EDITOR, build_base, editor_from_base, load_autoencoder
from models.tasks import Task
from models.text import TextContext
from models.text_encoders.config import TextConfig
from models.weights import load_bundle, load_into
from stores.receipts import Receipt, save_receipt
from stores.state import State
from tests.text_models import WIDTHS, config, save_model
from tests.tiny import WAN, WAN_AUTOENCODER, condition, latents, network, wan_autoencoder
from tests.training import runs
from tests.world import (
    ROOT,
    World,
    ingested,
    pair_setting,
    paired,
    raw_folder,
    text_encoder,
    tiny_params,
    without_mlflow_advice,
)
from training.fit_autoencoder import fit_autoencoder

TEXT_DIM = 384  # MiniLM, the encoder that is there
BACKBONE = WAN.model_copy(update={"text_dim": TEXT_DIM, "text_len": 32})
OVERRIDES = (
    f"models.backbone={json.dumps(BACKBONE.model_dump())}",
    f"models.autoencoder={json.dumps(WAN_AUTOENCODER.model_dump())}",
    "training.stages.one.steps=2",
    "training.trainer.precision=bf16-mixed",
    "training.trainer.gradient_checkpointing=true",
    "inference.resolution=32",
    "inference.window_frames=4",
    "inference.window_overlap=1",
    "inference.num_inference_steps=2",
)
T = torch.tensor([0.2, 0.9])


def padded(text: TextContext) -> torch.Tensor:
    """Zeros for padding, to the fixed length."""
    (part,) = text.parts
    return torch.nn.functional.pad(
        part.states * part.mask[..., None], (0, 0, 0, BACKBONE.text_len - part.mask.shape[1])
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline as diffusers saves it."""
    folder = tmp_path_factory.mktemp("pipeline")
    _save_pipeline(folder, BACKBONE)
    return folder


def _save_pipeline(folder: Path, backbone: WanConfig) -> None:
    told = network("wan").model_copy(update={"backbone": backbone, "text_widths": (backbone.text_dim,)})
    with torch.random.fork_rng():
        torch.manual_seed(3)
        build_base(told).transformer.save_pretrained(folder / "transformer")
    vae = wan_autoencoder().vae
    vae.register_to_config(latents_mean=[0.1, -0.2, 0.0, 0.3], latents_std=[0.5, 1.0, 0.7, 2.0])
    vae.save_pretrained(folder / "vae")


@pytest.fixture(scope="module")
def imported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's root with the weights of that pipeline."""
    root = tmp_path_factory.mktemp("checkout")
    import_wan(tiny_params(*OVERRIDES).models, str(source), root / "weights")
    return root


def test_a_pipeline_with_its_own_text_encoder_is_all_that_is_needed(tmp_path: Path) -> None:
    folder, weights = tmp_path / "pipeline", tmp_path / "weights"
    _save_pipeline(folder, WAN.model_copy(update={"text_dim": WIDTHS["umt5"]}))
    saved = save_model("umt5", tmp_path / "umt5")
    for part, wanted in (("text_encoder", ("config", "model")), ("tokenizer", ("tokenizer",))):
        (folder / part).mkdir()
        for file in saved.iterdir():
            if file.name.startswith(wanted):
                shutil.copy(file, folder / part)
    told = TextConfig(encoders=(config("umt5", folder, WAN.text_len - TASK_TOKENS),), frame_rate_prefix=None)
    backbone = WAN.model_copy(update={"text_dim": WIDTHS["umt5"]})
    params = tiny_params(
        *OVERRIDES, f"models.backbone={backbone.model_dump_json()}", f"models.text={told.model_dump_json()}"
    )
    import_wan(params.models, str(folder), weights)
    made = Generator.from_files(weights / "base.safetensors", weights / "autoencoder.safetensors", params.inference)
    # Longer than there is room for: the encoder cuts it where the task's slots begin.
    assert made.generate("a red balloon " * WAN.text_len, 4, 0).shape == (4, 32, 32, 3)


@torch.no_grad()
def test_the_imported_base_predicts_what_the_pipeline_does_and_so_does_its_fresh_editor(
    source: Path, imported: Path
) -> None:
    params, bundle = tiny_params(*OVERRIDES), load_bundle(imported / "weights" / "base.safetensors", BASE)
    pipeline = WanTransformer3DModel.from_config(WanTransformer3DModel.load_config(source / "transformer"))
    released = load_file(source / "transformer" / "diffusion_pytorch_model.safetensors")
    pipeline.load_state_dict({name: value.half().float() for name, value in released.items()})
    told = replace(condition(), text=text_encoder().encode(["make the sky red", "add a banana"]))
    made = build_base(params.models.base_config(text_encoder())).eval()
    load_into(made, bundle.tensors, "test")
    editor, config = editor_from_base(bundle, params.models.editing)
    velocity = made(latents(), T, told.text, told.offsets)
    noise_minus_video = pipeline(latents(), 1000 * (1 - T), padded(told.text)).sample
    assert torch.allclose(velocity, -noise_minus_video, atol=1e-6)
    assert torch.equal(editor.eval()(latents(), T, told), velocity)
    assert config.backbone == BACKBONE and bundle.lineage == {"source": str(source)}


def test_the_imported_autoencoder_has_the_statistics_of_the_pipeline(source: Path, imported: Path) -> None:
    found = load_autoencoder(load_bundle(imported / "weights" / "autoencoder.safetensors", AUTOENCODER))
    assert found.config == WAN_AUTOENCODER
    assert torch.allclose(found.latent_std, torch.tensor([0.5, 1.0, 0.7, 2.0]), rtol=1e-3)
    assert {path.suffix for path in (imported / "weights").iterdir()} == {".safetensors", ".md"}


@pytest.fixture(scope="module")
def world(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The imported weights adopted as they are, clips, and pairs encoded by the imported autoencoder."""
    folder = tmp_path_factory.mktemp("world")
    params, state = tiny_params(*OVERRIDES), State.at(folder / "state")
    with pytest.MonkeyPatch.context() as patch, without_mlflow_advice():
        patch.setattr(training, "ROOT", imported)
        adopted = training.adopt_weights(Job(params, state), PlainSteps())
    clips = ingested(state, raw_folder(folder / "raw"), params)
    autoencoder = load_autoencoder(load_bundle(imported / "weights" / "autoencoder.safetensors", AUTOENCODER))
    encoder = PairEncoder(
        autoencoder, adopted.model(AUTOENCODER).digest, text_encoder(), "fp32", params.inference.tiling
    )
    setting = replace(pair_setting(state, clips, params), encoder=encoder)
    return World(state, params, clips, paired(state, setting, params.features), adopted)


def test_a_stage_trains_from_the_imported_base_and_the_editor_edits(world: World) -> None:
    receipt = runs.train(world, runs.spec(world, *OVERRIDES))
    assert np.isfinite(receipt.figures["val/loss"])
    folder = runs.registry(world).fetch(receipt.model(EDITOR)).folder
    editor = Editor.from_files(
        folder / "editor.safetensors", folder / "autoencoder.safetensors", world.params.inference
    )
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    settings = EditSettings(
        num_inference_steps=2, guidance_scale=3.0, video_guidance_scale=1.5, seed=0, task=Task.GLOBAL
    )
    for count in (1, 4):
        assert editor.edit_frames(frames[:count], "make it red", settings).frames.shape == (count, 32, 32, 3)


def test_an_editor_of_another_autoencoder_is_not_adopted(imported: Path, tmp_path: Path) -> None:
    shutil.copytree(imported / "weights", tmp_path / "weights")
    shutil.copy(ROOT / "weights" / "one.safetensors", tmp_path / "weights")
    job = Job(tiny_params(*OVERRIDES, "training.stages.one.start=shipped"), State.at(tmp_path / "state"))
    with pytest.MonkeyPatch.context() as patch, without_mlflow_advice():
        patch.setattr(training, "ROOT", tmp_path)
        adopted = training.adopt_weights(job, PlainSteps())
    assert set(adopted.models) == {AUTOENCODER, BASE}
    save_receipt(Receipt(stage="pairs-one"), job.state)
    with pytest.raises(ValueError, match="has no editor that goes with its autoencoder: start it from 'base'"):
        training.train_stage(job, PlainSteps(), "one")


def test_the_imported_base_generates(imported: Path) -> None:
    weights = imported / "weights"
    made = Generator.from_files(
        weights / "base.safetensors", weights / "autoencoder.safetensors", tiny_params(*OVERRIDES).inference
    )
    assert made.generate("a red apple", 4, 0).shape == (4, 32, 32, 3)


def test_the_autoencoder_of_wan_is_not_trained(world: World) -> None:
    with pytest.raises(ValueError, match="the autoencoder 'wan' is not trained here"):
        fit_autoencoder(runs.spec(world, *OVERRIDES, kind="autoencoder"), world.state)


@pytest.mark.parametrize(
    "overrides, reason",
    [
        ((), "not of wan: apply a preset"),
        ((*OVERRIDES, "models.backbone.num_layers=3"), "models.backbone.num_layers: 3, the source has 2"),
        ((*OVERRIDES, "models.autoencoder.num_res_blocks=2"), "models.autoencoder.num_res_blocks: 2, the source has 1"),
        ((*OVERRIDES, "models.backbone.text_dim=12"), "wan reads one text encoder of width 12"),
    ],
)
def test_parameters_of_another_model_are_refused(
    source: Path, tmp_path: Path, overrides: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        import_wan(tiny_params(*overrides).models, str(source), tmp_path)
    assert not (tmp_path / "base.safetensors").exists()
