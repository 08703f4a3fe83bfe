"""Bundles of weights come back whole, and models are rebuilt from them; what does not fit is named."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models.build import (
    AUTOENCODER,
    BASE,
    EDITOR,
    NetworkConfig,
    autoencoder_bundle,
    base_bundle,
    build_editor,
    editor_bundle,
    editor_from_base,
    load_autoencoder,
    load_editor,
)
from models.editor import EditingConfig
from models.task_predictor import TaskPredictor
from models.weights import Bundle, WeightsError, load_bundle, load_into, save_bundle
from tests.tiny import BACKBONE, CHANNELS, TEXT_WIDTH, autoencoder, base, condition, latents, minilm, trained_editor

T = torch.tensor([0.2, 0.9])
TENSORS = {"b": torch.ones(2), "a": torch.zeros(3), "half": torch.ones(2, 2).half(), "scalar": torch.tensor(3)}
NETWORK = NetworkConfig(
    backbone=BACKBONE,
    latent_channels=CHANNELS,
    text=minilm(8),
    text_revision="r",
    text_widths=(TEXT_WIDTH,),
)
EDITING = EditingConfig(task_width=8, copy_skip=True)


def test_a_bundle_comes_back_with_config_and_lineage(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.safetensors"
    save_bundle(Bundle(BASE, TENSORS, {"x": [1, {"y": None}]}, {"run": "r"}), path)
    found = load_bundle(path, BASE)
    assert (found.kind, found.config, found.lineage) == (BASE, {"x": [1, {"y": None}]}, {"run": "r"})
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)
    assert all(found.tensors[name].dtype == TENSORS[name].dtype for name in TENSORS)
    assert [entry.name for entry in path.parent.iterdir()] == ["w.safetensors"]


def test_a_digest_knows_the_config_but_neither_order_nor_lineage_nor_layout() -> None:
    digest = Bundle(BASE, TENSORS, {"x": 1}, {"y": 2}).digest()
    assert Bundle(EDITOR, dict(reversed(TENSORS.items())), {"x": 1}, {}).digest() == digest
    assert Bundle(BASE, TENSORS, {"x": 2}, {"y": 2}).digest() != digest
    square = torch.arange(6.0).reshape(2, 3)
    views = [Bundle(BASE, {"s": tensor}, {}, {}).digest() for tensor in (square, square.T.contiguous().T)]
    assert views[0] == views[1]


@pytest.mark.parametrize(
    "change",
    [{"a": torch.ones(3)}, {"a": torch.zeros(3, 1)}, {"a": torch.zeros(3, dtype=torch.int32)}, {"c": torch.zeros(1)}],
)
def test_a_digest_knows_values_shapes_types_and_names(change: dict[str, torch.Tensor]) -> None:
    assert Bundle(BASE, TENSORS | change, {}, {}).digest() != Bundle(BASE, TENSORS, {}, {}).digest()


def test_only_floating_tensors_are_cast(tmp_path: Path) -> None:
    save_bundle(Bundle(BASE, TENSORS, {}, {}), tmp_path / "w.safetensors", dtype=torch.bfloat16)
    found = load_bundle(tmp_path / "w.safetensors", BASE).tensors
    assert [found[name].dtype for name in ("a", "scalar")] == [torch.bfloat16, torch.int64]


@pytest.mark.parametrize(("content", "message"), [(None, "no such"), (b"junk" * 9, "not a readable"), (b"", "not a")])
def test_bad_weights_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"w\.safetensors: {message}"):
        load_bundle(path, BASE)


def test_weights_cut_off_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_bundle(Bundle(BASE, TENSORS, {}, {}), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_bundle(path, BASE)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    save_bundle(Bundle(BASE, TENSORS, {}, {}), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="holds 'base', expected 'editor'"):
        load_bundle(tmp_path / "w.safetensors", EDITOR)


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight": torch.zeros(2, 3)},
        {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": torch.zeros(1)},
        {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)},
    ],
)
def test_tensors_that_do_not_fit_are_refused(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match="here: does not fit its own config"):
        load_into(nn.Linear(3, 2), tensors, "here")


@torch.no_grad()
def test_an_editor_comes_back_in_half_precision_with_its_predictor(tmp_path: Path) -> None:
    editor, predictor = trained_editor(), TaskPredictor(TEXT_WIDTH)
    config = NETWORK.model_copy(update={"editing": EDITING})
    save_bundle(editor_bundle(editor.state_dict(), predictor, config, {}), tmp_path / "e.safetensors")
    loaded = load_editor(load_bundle(tmp_path / "e.safetensors", EDITOR))
    told = condition()
    assert loaded.config == config
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert torch.equal(loaded.model(latents(), T, told), editor.half().float()(latents(), T, told))
    assert torch.equal(loaded.predictor(told.text), predictor.half().float()(told.text))


@torch.no_grad()
def test_an_editor_made_from_the_weights_of_a_base_equals_that_base(tmp_path: Path) -> None:
    save_bundle(base_bundle(base().state_dict(), NETWORK, {}), tmp_path / "b.safetensors")
    editor, config = editor_from_base(load_bundle(tmp_path / "b.safetensors", BASE), EDITING)
    told = condition()
    expected = base().half().float()(latents(), T, told.text, told.offsets)
    assert torch.equal(editor.eval()(latents(), T, told), expected)
    assert config.editing == EDITING


@torch.no_grad()
def test_an_autoencoder_comes_back_with_its_normalisation(tmp_path: Path) -> None:
    network, video = autoencoder(linear_path=True), latents(1, 3, 4, 8, 8)
    network.set_normalisation(torch.arange(4.0), torch.full((4,), 2.0))
    bundle = autoencoder_bundle(network.state_dict(), network.config, {})
    save_bundle(bundle, tmp_path / "a.safetensors")
    found = load_autoencoder(load_bundle(tmp_path / "a.safetensors", AUTOENCODER))
    assert torch.equal(found.encode(video), network.half().float().encode(video))


def test_what_cannot_be_built_is_told() -> None:
    with pytest.raises(ValueError, match="no editing parts"):
        build_editor(NETWORK)
