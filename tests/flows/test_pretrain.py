"""Pretraining end to end at a tiny size: two parts, each trained and published on its own, with cards that say how."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from flows.job import Job
from flows.params import Params
from flows.pretrain import PARTS, publish
from flows.steps import PlainSteps
from models.build import (
    AUTOENCODER,
    BASE,
    EDITOR,
    build_base,
    build_text_encoder,
    load_autoencoder,
    load_editor,
)
from models.weights import load_bundle, load_into
from stores.receipts import Receipt, load_receipt
from stores.state import State
from tests.world import ROOT, raw_folder, tiny_params, without_mlflow_advice

OVERRIDES = (
    "features.pairs.base={image_edit: 0, text_to_image: 8, text_to_video: 4, validation_share: 0.5, tasks: {add: 1}, "
    "shard: 8}",
    "training.base.steps=4",
    "training.base.groups={text_to_image: {weight: 1, batch: 2}, text_to_video: {weight: 1, batch: 2}}",
    "inference.resolution=32",
    "inference.window_frames=4",
    "inference.window_overlap=1",
    "inference.num_inference_steps=2",
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("pretrain")
    raw = raw_folder(folder / "raw")
    (raw / "cutouts").symlink_to(Path(__file__).resolve().parents[2] / "data" / "cutouts")
    params = tiny_params(f"data={raw}", *OVERRIDES)
    return Job(params, State.at(folder / "state"))


@pytest.fixture(scope="module")
def autoencoder(job: Job) -> Receipt:
    return PARTS[AUTOENCODER](job, PlainSteps())


@pytest.fixture(scope="module")
def base(job: Job, autoencoder: Receipt) -> Receipt:
    return PARTS[BASE](job, PlainSteps())


def published(job: Job, folder: Path) -> Receipt:
    with without_mlflow_advice():
        return publish(job, folder / "weights", State.at(folder))


def test_an_autoencoder_alone_can_be_published_and_leaves_the_base_as_it_was(
    job: Job, autoencoder: Receipt, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "base.safetensors").write_bytes(b"another's")
    receipt = published(job, tmp_path)
    assert receipt == load_receipt(State.at(tmp_path), "pretrain")
    assert set(receipt.models) == {AUTOENCODER}
    assert (tmp_path / "weights" / "base.safetensors").read_bytes() == b"another's"
    shipped = load_bundle(tmp_path / "weights" / "autoencoder.safetensors", AUTOENCODER)
    assert shipped.digest() == receipt.model(AUTOENCODER).digest == autoencoder.model(AUTOENCODER).digest
    load_autoencoder(shipped)
    with Image.open(tmp_path / "weights" / "autoencoder.jpg") as sheet:
        assert sheet.size[0] > 4 * 2 * 32


def test_a_base_is_trained_on_the_autoencoder_of_its_state_and_both_cards_say_how(
    job: Job, autoencoder: Receipt, base: Receipt, tmp_path: Path
) -> None:
    assert base.parents["autoencoder"] == autoencoder.model(AUTOENCODER).digest
    receipt = published(job, tmp_path)
    assert set(receipt.models) == {AUTOENCODER, BASE}
    assert receipt.parents["base.autoencoder"] == autoencoder.model(AUTOENCODER).digest
    bundle = load_bundle(tmp_path / "weights" / "base.safetensors", BASE)
    config = job.params.models.base_config(build_text_encoder(job.params.models.text))
    load_into(build_base(config), bundle.tensors, "base")
    for name, steps, figure in ((AUTOENCODER, 6, "psnr_clips"), (BASE, 4, "val/loss")):
        card = (tmp_path / "weights" / f"{name}.md").read_text()
        assert f"{steps} steps" in card and receipt.model(name).digest in card and figure in card
        assert f"({name}.jpg)" in card and (tmp_path / "weights" / f"{name}.jpg").stat().st_size > 1000
        curve = [line for line in card.splitlines() if line.startswith(f"| {steps} |")]
        assert curve and not curve[0].endswith("|  |")
        assert "\n| 0 |" not in card  # the figures of the end do not stand at the beginning


def test_what_is_trained_is_not_trained_again(job: Job, autoencoder: Receipt) -> None:
    checkpoints = sorted(job.state.checkpoints.rglob("*.ckpt"))
    before = [path.stat().st_mtime_ns for path in checkpoints]
    assert PARTS[AUTOENCODER](job, PlainSteps()) == autoencoder
    assert [path.stat().st_mtime_ns for path in checkpoints] == before


def test_an_editor_is_trained_on_the_base_of_its_state_and_its_card_shows_edits(
    job: Job, autoencoder: Receipt, base: Receipt, tmp_path: Path
) -> None:
    editor = PARTS[EDITOR](job, PlainSteps())
    assert editor.parents["start"] == base.model(BASE).digest
    assert editor.parents["autoencoder"] == autoencoder.model(AUTOENCODER).digest
    receipt = published(job, tmp_path)
    assert set(receipt.models) == {AUTOENCODER, BASE, EDITOR}
    bundle = load_bundle(tmp_path / "weights" / "one.safetensors", EDITOR)
    assert bundle.digest() == receipt.model(EDITOR).digest
    load_editor(bundle)
    card = (tmp_path / "weights" / "one.md").read_text()
    assert "12 steps" in card and "val/loss/image_edit" in card and "(one.jpg)" in card
    with Image.open(tmp_path / "weights" / "one.jpg") as sheet:
        assert sheet.size[0] > 4 * 3 * 32


def test_an_editor_of_another_autoencoder_is_not_gone_on_from(job: Job, autoencoder: Receipt) -> None:
    params = tiny_params(f"data={job.params.data}", *OVERRIDES, "training.stages.one.start=shipped")
    assert autoencoder.model(AUTOENCODER).digest
    with pytest.raises(ValueError, match="is of another autoencoder: start it from 'base'"):
        PARTS[EDITOR](replace(job, params=params), PlainSteps())


def test_an_editor_goes_on_from_the_shipped_one(job: Job, tmp_path: Path) -> None:
    shipped = Params.read(ROOT / "params.yaml").models
    told = ("training.stages.one.start=shipped", "training.stages.one.steps=2")
    params = tiny_params(f"data={job.params.data}", *OVERRIDES, *told).model_copy(update={"models": shipped})
    going_on = Job(params, State.at(tmp_path / "state"))
    editor = PARTS[EDITOR](going_on, PlainSteps())
    assert editor.parents["start"] == load_bundle(ROOT / "weights" / "one.safetensors", EDITOR).digest()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "one.md").write_text("# one\n\nMade elsewhere.\n\n![samples](one.jpg)\n")
    publish(going_on, tmp_path / "weights", State.at(tmp_path))
    card = (tmp_path / "weights" / "one.md").read_text()
    assert "2 steps" in card and card.count("(one.jpg)") == 1
    assert "It went on from an editor with this card:\n\n> Made elsewhere." in card
