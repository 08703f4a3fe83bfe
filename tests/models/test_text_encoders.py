"""Laws of the paper's text encoders, on tiny random checkpoints of the real classes (Movie Gen, section 3.1.4)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from models.build import build_text_encoder
from models.text import TextEncoder
from models.text_encoders.config import TextEncoderConfig
from models.text_encoders.frozen import FrozenEncoder
from models.text_encoders.minilm import packaged_model_folder
from models.text_encoders.positions import WELL_TRAINED, stretched
from models.text_encoders.source import TextEncoderError
from tests.text_models import WIDTHS, config, joined, save_model, save_whole_model
from tests.tiny import latents
from tests.world import ROOT

KINDS = ("ul2", "umt5", "byt5", "metaclip")
SIGN = 'add a sign that says "open now"'
LONG = 'make it "blue ' + "red " * 40 + '"'
TEXTS = (SIGN, "", "remove the dog", LONG, "a sign that says 'blue'")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {kind: save_model(kind, root / kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def states(encoder: FrozenEncoder, text: str) -> torch.Tensor:
    return encoder.encode([text]).trimmed(0)[0]


def test_states_do_not_depend_on_the_batch(folders: dict[str, Path], kind: str) -> None:
    encoder = FrozenEncoder(config(kind, folders[kind]))
    together = encoder.encode(TEXTS)
    (part,) = together.parts
    assert encoder.widths == (WIDTHS[kind],) and part.states.shape[2] == WIDTHS[kind]
    assert not part.states[~part.mask].any() and not part.states.requires_grad
    for row, text in enumerate(TEXTS):
        alone = states(encoder, text)
        assert torch.allclose(together.trimmed(row)[0], alone, atol=1e-5)
        assert torch.equal(states(encoder, text), alone)


def test_texts_are_cut_at_the_limit(folders: dict[str, Path], kind: str) -> None:
    for limit in (5, 16):
        assert len(states(FrozenEncoder(config(kind, folders[kind], limit)), LONG)) == limit


def test_order_of_words_matters(folders: dict[str, Path], kind: str) -> None:
    encoder = FrozenEncoder(config(kind, folders[kind]))
    one, other = (states(encoder, f"say '{said}'") for said in ("red dog", "dog red"))
    assert one.shape == other.shape and not torch.allclose(one, other, atol=1e-3)


def test_states_are_single_precision_whatever_the_weights(folders: dict[str, Path], kind: str) -> None:
    exact, half = (FrozenEncoder(config(kind, folders[kind], dtype=name)) for name in ("float32", "bfloat16"))
    one, other = states(exact, SIGN), states(half, SIGN)
    assert one.dtype == other.dtype == torch.float32
    assert not torch.equal(one, other) and (one - other).abs().mean() < 0.1 * one.abs().mean()
    assert half.revision == f"{exact.revision}-bfloat16"


def test_the_revision_knows_weights_tokenizer_kind_and_limit(
    folders: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    revision = FrozenEncoder(config(kind, folders[kind])).revision
    assert revision.startswith(f"{kind}-") and revision.endswith("-16")
    moved = Path(shutil.copytree(folders[kind], tmp_path / "moved"))
    assert FrozenEncoder(config(kind, moved)).revision == revision
    (moved / "README.md").write_text("read by nobody")
    assert FrozenEncoder(config(kind, moved)).revision == revision
    assert FrozenEncoder(config(kind, moved, 17)).revision != revision
    told = json.loads((moved / "tokenizer_config.json").read_text())
    (moved / "tokenizer_config.json").write_text(json.dumps(told | {"note": 1}))
    changed = FrozenEncoder(config(kind, moved)).revision
    assert changed != revision
    weights = load_file(moved / "model.safetensors")
    weights[min(weights)].view(-1)[0] += 1
    save_file(weights, moved / "model.safetensors", {"format": "pt"})
    assert FrozenEncoder(config(kind, moved)).revision not in (changed, revision)


def test_the_revision_is_the_same_in_another_process(folders: dict[str, Path]) -> None:
    told = config("metaclip", folders["metaclip"])
    code = (
        "from models.text_encoders.config import TextEncoderConfig as C; from models.text_encoders.frozen import *; "
        f"print(FrozenEncoder(C.model_validate_json({told.model_dump_json()!r})).revision)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == FrozenEncoder(told).revision


def test_the_layout_of_diffusers_gives_the_same_states(folders: dict[str, Path], tmp_path: Path) -> None:
    for folder, wanted in (("text_encoder", ("config", "model")), ("tokenizer", ("tokenizer",))):
        (tmp_path / folder).mkdir()
        for path in folders["umt5"].iterdir():
            if path.name.startswith(wanted):
                shutil.copy(path, tmp_path / folder)
    split, whole = FrozenEncoder(config("umt5", tmp_path)), FrozenEncoder(config("umt5", folders["umt5"]))
    assert torch.equal(states(split, SIGN), states(whole, SIGN))


@pytest.mark.parametrize("kind", ["ul2", "byt5", "metaclip"])
def test_an_encoder_is_read_out_of_the_whole_model(kind: str, tmp_path: Path) -> None:
    encoder = FrozenEncoder(config(kind, save_whole_model(kind, tmp_path)))
    assert encoder.widths == (WIDTHS[kind],) and torch.isfinite(states(encoder, SIGN)).all()


def test_byt5_reads_only_what_is_quoted(folders: dict[str, Path]) -> None:
    encoder = FrozenEncoder(config("byt5", folders["byt5"]))
    assert torch.equal(states(encoder, SIGN), states(encoder, "remove “open now” there"))
    assert len(states(encoder, SIGN)) == len("open now") + 1
    found = encoder.encode(TEXTS).parts[0].mask.sum(dim=1).tolist()
    assert found == [9, 0, 0, 16, 5]
    for batch in (["remove the dog"], ["", "don't"]):
        (part,) = encoder.encode(batch).parts
        assert part.states.shape == (len(batch), 0, WIDTHS["byt5"]) and part.mask.shape == (len(batch), 0)


def test_what_a_sign_says_is_never_a_special_token(folders: dict[str, Path]) -> None:
    encoder = FrozenEncoder(config("byt5", folders["byt5"]))
    assert len(states(encoder, "write '</s>'")) == len("</s>") + 1
    assert len(states(encoder, "write '<pad>a'")) == len("<pad>a") + 1


def test_a_long_prompt_fits_metaclip_and_short_ones_stay_as_they_were(folders: dict[str, Path]) -> None:
    long, short = (FrozenEncoder(config("metaclip", folders["metaclip"], limit)) for limit in (256, 77))
    text = "add a red balloon to the left of the tree"
    assert torch.equal(states(long, text), states(short, text))
    many = "red dog " * 200
    assert states(long, many).shape == (256, WIDTHS["metaclip"]) and states(short, many).shape[0] == 77
    # Attention is causal, so what comes later cannot change the well-trained first positions.
    assert torch.allclose(states(long, many)[:WELL_TRAINED], states(short, many)[:WELL_TRAINED], atol=1e-5)
    assert not torch.allclose(states(long, many)[100], states(long, many)[102], atol=1e-4)


def test_a_checkpoint_with_enough_positions_is_read_as_it_is(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["metaclip"], tmp_path / "tuned"))
    told = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 256}
    (folder / "config.json").write_text(json.dumps(told))
    weights = load_file(folder / "model.safetensors")
    (name,) = [name for name in weights if "position_embedding" in name]
    weights[name] = latents(256, WIDTHS["metaclip"], seed=3)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    encoder = FrozenEncoder(config("metaclip", folder, 256))
    many = "red dog " * 200
    tokens = encoder._tokenizer([many], truncation=True, max_length=256, return_tensors="pt")
    truth = CLIPTextModel.from_pretrained(folder).eval()(tokens["input_ids"]).last_hidden_state[0]
    assert torch.allclose(states(encoder, many), truth, atol=1e-5)


def test_stretching_positions_keeps_the_first_and_both_ends() -> None:
    table = latents(77, 5)
    longer = stretched(table, 256)
    assert longer.shape == (256, 5)
    assert torch.equal(longer[:WELL_TRAINED], table[:WELL_TRAINED])
    assert torch.allclose(longer[WELL_TRAINED], table[WELL_TRAINED]) and torch.allclose(longer[-1], table[-1])
    line = torch.arange(77.0)[:, None]
    assert (stretched(line, 256).diff(dim=0) > 0).all()


def test_encoders_are_parts_in_the_order_of_the_config(folders: dict[str, Path]) -> None:
    told = [config(kind, folders[kind]) for kind in ("ul2", "byt5", "metaclip")]
    encoder, turned = build_text_encoder(joined(*told)), build_text_encoder(joined(told[2], told[1], told[0]))
    assert encoder.widths == (16, 8, 20) and turned.widths == (20, 8, 16)
    assert isinstance(encoder, TextEncoder)
    context = encoder.encode([SIGN, "remove the dog"])
    for single, part in zip(told, context.parts, strict=True):
        assert torch.equal(FrozenEncoder(single).encode([SIGN, "remove the dog"]).parts[0].states, part.states)
    assert encoder.revision.startswith("ul2+byt5+metaclip-") and len(encoder.revision) < 40
    others = {
        build_text_encoder(joined(*choice, frame_rate=rate)).revision
        for choice, rate in ((told, None), (told, 16.0), (told[::-1][:1] + told[1:], None), (told[:2], None))
    } | {turned.revision}
    assert len(others) == 5 and encoder.revision in others


def test_one_encoder_alone_keeps_its_revision_and_a_frame_rate_is_added(folders: dict[str, Path]) -> None:
    told = config("ul2", folders["ul2"])
    revision = FrozenEncoder(told).revision
    assert build_text_encoder(joined(told)).revision == revision
    assert build_text_encoder(joined(told, frame_rate=16)).revision == f"{revision}-fps16"


def test_the_default_encoder_is_named_as_ever() -> None:
    encoder = build_text_encoder(joined(config("minilm", None, 48)))
    assert encoder.revision == "minilm-l6-53aa51172d14-48"
    copied = FrozenEncoder(config("minilm", packaged_model_folder(), 48))
    assert torch.equal(states(copied, SIGN), encoder.encode([SIGN]).trimmed(0)[0])


def opened(told: TextEncoderConfig) -> str:
    with pytest.raises(TextEncoderError) as error:
        FrozenEncoder(told)
    message = str(error.value)
    assert "\n" not in message and message.startswith(f"text encoder {told.kind}")
    return message


def test_a_source_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    for missing in (str(tmp_path / "none"), "./none", "~/no/such/model", "weights/text/none"):
        message = opened(config("ul2", missing))
        assert f"no folder {missing}" in message and "source" in message
    assert "no config.json" in opened(config("ul2", tmp_path))


def test_a_hub_out_of_reach_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for source in ("google/no-such-model", "google/no-such-model@0123abc"):
        message = opened(config("ul2", source))
        assert f"neither a folder nor on the hub: {source}" in message and "download it" in message
    assert "neither a folder nor on the hub: a b" in opened(config("ul2", "a b"))


def test_a_checkpoint_of_another_kind_is_refused(folders: dict[str, Path]) -> None:
    assert "a model of type 'umt5', not t5" in opened(config("ul2", folders["umt5"]))
    assert "a model of type 't5', not clip or clip_text_model" in opened(config("metaclip", folders["ul2"]))


def test_a_damaged_checkpoint_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["ul2"], tmp_path / "damaged"))
    weights = load_file(folder / "model.safetensors")
    lost = "encoder.final_layer_norm.weight"
    save_file({k: v for k, v in weights.items() if k != lost}, folder / "model.safetensors", {"format": "pt"})
    assert f"1 weights are missing or misshapen, first {lost}" in opened(config("ul2", folder))
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9])
    assert "safetensors" in opened(config("ul2", folder))
    save_file(weights | {lost: torch.ones(3)}, folder / "model.safetensors", {"format": "pt"})
    assert lost in opened(config("ul2", folder))
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert "safetensors" in opened(config("ul2", folder)), "nothing is unpickled"
    (folder / "config.json").write_text("{")
    assert "config" in opened(config("ul2", folder))
