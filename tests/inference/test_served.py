"""Served models take bytes and give bytes, through the same door as everything else."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from inference import served
from inference.params import EditError
from models.build import autoencoder_bundle, build_text_encoder, editor_bundle
from models.weights import save_bundle
from stores.clip_files import probe, read_clip
from stores.clip_writer import encode_clip, encode_picture
from tests.inference import tiny
from tests.media import WIDE, moving_frames
from tests.tiny import minilm

CLIP = encode_clip(moving_frames(11, 40, 56), Fraction(12))
PICTURE = encode_picture(moving_frames(1, 40, 56)[0], "webp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    text = minilm(16)
    encoder = build_text_encoder(text)
    config = tiny.NETWORK_CONFIG.model_copy(
        update={"text": text, "text_revision": encoder.revision, "text_widths": encoder.widths}
    )
    loaded = tiny.loaded_editor(config)
    autoencoder = autoencoder_bundle(tiny.autoencoder().state_dict(), tiny.AUTOENCODER_CONFIG, {})
    save_bundle(autoencoder, folder / served.AUTOENCODER_FILE)
    lineage = {"autoencoder": autoencoder.digest()}
    save_bundle(
        editor_bundle(loaded.model.state_dict(), loaded.predictor, config, lineage), folder / served.EDITOR_FILE
    )
    (folder / served.PARAMS_FILE).write_text(tiny.params().model_dump_json())
    return folder


def test_edits_are_served(folder: Path) -> None:
    edit = served.serve(folder)
    rows = pd.DataFrame({"source": [CLIP, PICTURE], "instruction": ["make it red", "make it blue"]})
    edits = edit(rows, {"seed": 3, "num_inference_steps": 0})["edit"]
    clip, picture = (probe(data, WIDE) for data in edits)
    assert (clip.kind, clip.frames, clip.fps, clip.height, clip.width) == ("video", 11, Fraction(12), 40, 56)
    assert (picture.kind, picture.height, picture.width) == ("picture", 40, 56)
    assert edit(rows, {"seed": 3, "num_inference_steps": 0})["edit"].tolist() == edits.tolist()
    assert edit(rows, {"seed": 4, "num_inference_steps": 2})["edit"].tolist() != edits.tolist()


def test_bad_rows_are_named(folder: Path) -> None:
    edit = served.serve(folder)
    with pytest.raises(EditError, match="row 2: the instruction is empty"):
        edit(pd.DataFrame({"source": [PICTURE, PICTURE], "instruction": ["make it red", " "]}), {})
    with pytest.raises(ValueError, match="row 1: not a picture"):
        edit(pd.DataFrame({"source": [b"noise" * 9], "instruction": ["make it red"]}), {})
    with pytest.raises(EditError, match="at most 20"):
        edit(pd.DataFrame({"source": [PICTURE], "instruction": ["red"]}), {"num_inference_steps": 99})


def test_reconstructions_are_served(folder: Path) -> None:
    reconstruct = served.serve_autoencoder(folder)
    clip, picture = reconstruct(pd.DataFrame({"source": [CLIP, PICTURE]}), {})["reconstruction"]
    assert read_clip(clip, WIDE).frames.shape == (11, tiny.SIDE, tiny.SIDE, 3)
    small = read_clip(PICTURE, WIDE, size=(tiny.SIDE, tiny.SIDE)).frames
    # Registered weights are half precision, these are not.
    assert np.abs(read_clip(picture, WIDE).frames.astype(int) - tiny.editor().reconstruct(small)).mean() < 3


def test_a_folder_without_parameters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EditError, match=r"inference\.json"):
        served.serve(tmp_path)
    (tmp_path / served.PARAMS_FILE).write_text("{}")
    with pytest.raises(EditError, match="num_inference_steps: Field required"):
        served.serve_autoencoder(tmp_path)
    (tmp_path / served.PARAMS_FILE).write_text("{")
    with pytest.raises(EditError, match=r"inference\.json: Expecting"):
        served.serve_autoencoder(tmp_path)


def test_a_model_registered_before_the_share_of_linear_steps_keeps_the_papers(tmp_path: Path) -> None:
    told = json.loads(tiny.params(linear_share=0.25).model_dump_json())
    (tmp_path / served.PARAMS_FILE).write_text(json.dumps(told))
    assert served.served_params(tmp_path).linear_share == 0.25
    del told["linear_share"]
    (tmp_path / served.PARAMS_FILE).write_text(json.dumps(told))
    assert served.served_params(tmp_path).linear_share == 0.5
