"""Entry points of the registered models, as MLflow serves them: bytes in, bytes out.

The folder of a served model holds `autoencoder.safetensors`, `inference.json` (`InferenceParams`) and, for the editor,
`editor.safetensors`.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import ValidationError

from inference.edit import edit_file
from inference.editor import Editor
from inference.params import EditError, InferenceParams, Overrides, edit_settings, plain_message
from inference.windows import edit_stream
from models.build import AUTOENCODER, AnyAutoencoder, load_autoencoder
from models.pixels import Frames, to_frames, to_video
from models.tiling import reconstruct_tiled
from models.weights import load_bundle
from stores.clip_files import probe, stream_frames
from stores.clip_writer import encode_clip, encode_picture

EDITOR_FILE, AUTOENCODER_FILE, PARAMS_FILE = "editor.safetensors", "autoencoder.safetensors", "inference.json"

Serve = Callable[[pd.DataFrame, Mapping[str, Any]], pd.DataFrame]


def serve(folder: Path) -> Serve:
    """Edits `source` (bytes of a picture or clip) by `instruction` into `edit` (PNG or mp4 bytes).

    Parameters: `seed`, and `num_inference_steps`, 0 for the deployment's own.

    Raises:
        ValueError: weights or parameters are missing or do not fit; when serving, a row that cannot be edited.
    """
    editor = Editor.from_files(folder / EDITOR_FILE, folder / AUTOENCODER_FILE, served_params(folder), _device())

    def edit(rows: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
        overrides = Overrides.checked(
            seed=params.get("seed"), num_inference_steps=params.get("num_inference_steps") or None
        )
        edits = [
            _edited(editor, number, source, instruction, overrides)
            for number, (source, instruction) in enumerate(zip(rows["source"], rows["instruction"], strict=True), 1)
        ]
        return pd.DataFrame({"edit": edits})

    return edit


def serve_autoencoder(folder: Path) -> Serve:
    """Encodes and decodes `source` (bytes) into `reconstruction` (PNG or mp4 bytes) at model resolution.

    Raises:
        ValueError: weights or parameters are missing or do not fit; when serving, media that cannot be read.
    """
    params, device = served_params(folder), _device()
    autoencoder = load_autoencoder(load_bundle(folder / AUTOENCODER_FILE, AUTOENCODER)).to(device)

    def reconstruct(rows: pd.DataFrame, _: Mapping[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(
            {"reconstruction": [_reconstructed(autoencoder, source, params) for source in rows["source"]]}
        )

    return reconstruct


def _edited(editor: Editor, number: int, source: bytes, instruction: str, overrides: Overrides) -> bytes:
    name = f"row {number}"
    kind = probe(bytes(source), editor.params.limits.media(), name).kind
    with tempfile.TemporaryDirectory() as folder:
        # Through files, for the writer copies sound from a file.
        path, output = Path(folder) / "source", Path(folder) / ("edit.png" if kind == "picture" else "edit.mp4")
        path.write_bytes(source)
        try:
            edit_file(editor, path, instruction, output, edit_settings(editor.params, overrides))
        except EditError as error:
            raise EditError(f"{name}: {error}") from error
        return output.read_bytes()


def _reconstructed(autoencoder: AnyAutoencoder, source: bytes, params: InferenceParams) -> bytes:
    device, limits = next(autoencoder.parameters()).device, params.limits.media()

    @torch.inference_mode()
    def through(window: Frames) -> Frames:
        decoded: Frames = to_frames(reconstruct_tiled(autoencoder, to_video(window).to(device), params.tiling))[0]
        return decoded

    info = probe(bytes(source), limits)
    frames = stream_frames(bytes(source), limits, size=(params.resolution, params.resolution))
    decoded = edit_stream(frames, through, params.window_frames, params.window_overlap)
    return encode_picture(next(decoded), "png") if info.kind == "picture" else encode_clip(decoded, info.fps)


def served_params(folder: Path) -> InferenceParams:
    """The inference parameters that a served model carries.

    Raises:
        EditError: there are none, or they are not valid.
    """
    path = folder / PARAMS_FILE
    if not path.is_file():
        raise EditError(f"{path}: no such file; a served model carries its inference parameters")
    try:
        # Models that were registered before the share could be chosen have the paper's.
        return InferenceParams.model_validate({"linear_share": 0.5, **json.loads(path.read_text())})
    except json.JSONDecodeError as error:
        raise EditError(f"{path}: {error}") from error
    except ValidationError as error:
        raise EditError(f"{path}: {plain_message(error)}") from error


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
