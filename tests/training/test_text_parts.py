"""A stage over two text encoders, one of them mostly silent: rows made, read back, trained on, registered."""

from dataclasses import dataclass

import pytest
import torch

from features.encode import PairEncoder
from models.build import EDITOR, NetworkConfig, build_text_encoder
from models.text import pad_texts, with_frame_rate
from models.weights import load_bundle
from stores.feature_store import FeatureStore
from tests.text_models import save_model
from tests.training import runs
from tests.world import World, build_world, tiny_autoencoder, tiny_params
from training.data import states_of

SIGN = 'add a sign that says "open"'


@dataclass(frozen=True)
class Paired:
    """A tiny world whose text is MiniLM and ByT5, with a frame rate before the prompts of clips."""

    world: World
    overrides: tuple[str, ...]


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Paired:
    folder = tmp_path_factory.mktemp("parts")
    encoders = (
        "[{kind: minilm, source: null, max_tokens: 24, dtype: float32}, "
        f"{{kind: byt5, source: {save_model('byt5', folder / 'byt5')}, max_tokens: 16, dtype: float32}}]"
    )
    overrides = (f"models.text.encoders={encoders}", "models.text.frame_rate_prefix=8")
    return Paired(build_world(folder, tiny_params(*overrides)), overrides)


def test_rows_hold_a_part_an_encoder_and_say_the_rate_of_clips(paired: Paired) -> None:
    world = paired.world
    encoder = build_text_encoder(world.params.models.text)
    rows = FeatureStore(world.state.store, "pairs-one").open(world.pairs.table("edit_pairs")).rows().to_pylist()
    assert {row["text_encoder"] for row in rows} == {encoder.revision}
    for row in rows:
        frames = 1 if row["kind"] == "picture" else 4
        said = with_frame_rate(row["instruction"], frames, 8.0)
        assert said.startswith("FPS-8 ") is (row["kind"] == "video")
        stored = states_of(row["text_states"], encoder.widths)
        assert stored[1].shape == (0, encoder.widths[1]) and row["text_states"][1] == b""
        truth = encoder.encode([said]).trimmed(0)
        assert all(torch.equal(a, b.half().float()) for a, b in zip(stored, truth, strict=True))


def test_quoted_text_is_stored_and_read_back(paired: Paired) -> None:
    params = paired.world.params
    encoder = build_text_encoder(params.models.text)
    pairs = PairEncoder(tiny_autoencoder(params), "digest", encoder, "fp32", params.inference.tiling)
    rows = [states_of(parts, encoder.widths) for parts in pairs.texts([SIGN, "remove the dog", ""])]
    assert [len(row[1]) for row in rows] == [len("open") + 1, 0, 0]
    assert pad_texts(rows).parts[1].mask.sum(dim=1).tolist() == [5, 0, 0]
    assert torch.equal(rows[0][1], encoder.encode([SIGN]).trimmed(0)[1].half().float())


def test_a_stage_trains_and_its_editor_knows_its_encoders(paired: Paired) -> None:
    world = paired.world
    told = runs.spec(world, "training.stages.one.steps=3", *paired.overrides)
    receipt = runs.train(world, told)
    model = runs.registry(world).fetch(receipt.model(EDITOR))
    config = NetworkConfig.model_validate(dict(load_bundle(model.folder / "editor.safetensors", EDITOR).config))
    encoder = build_text_encoder(config.text)
    assert (config.text_revision, config.text_widths) == (encoder.revision, encoder.widths)
    assert encoder.frame_rate_prefix == 8
