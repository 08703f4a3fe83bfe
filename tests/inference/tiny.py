"""Tiny random editors of the real classes, and requests for them."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from inference.editor import Editor
from inference.params import EditSettings, InferenceParams, Overrides, edit_settings
from inference.requests import EditRequest
from models.autoencoder import Autoencoder, AutoencoderConfig
from models.backbones.moviegen import MovieGenConfig
from models.build import LoadedEditor, NetworkConfig, build_editor
from models.editor import EditingConfig
from models.pixels import Frames
from models.task_predictor import TaskPredictor
from models.text import TextContext, pad_texts
from stores.frames import pack_frames
from stores.receipts import ModelReceipt
from stores.schema import content_id
from tests.media import moving_frames
from tests.tiny import minilm

ModuleT = TypeVar("ModuleT", bound=nn.Module)

SIDE = 16
WIDTH = 12
RATE = Fraction(8)


class WordEncoder:
    """A fixed vector a word, and one for the beginning: what the protocol asks, without weights."""

    widths: tuple[int, ...] = (WIDTH,)
    revision = "words-1"
    frame_rate_prefix: float | None = None

    def encode(self, texts: Sequence[str]) -> TextContext:
        return pad_texts([(torch.stack([_vector(word) for word in ("[begin]", *text.split())]),) for text in texts])


def _vector(word: str) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


AUTOENCODER_CONFIG = AutoencoderConfig(
    name="tae", latent_channels=4, channels=(8, 16), blocks=1, groups=4, pixel_patch=2, spatial_halvings=1,
    temporal_halvings=1, linear_path=False,
)  # fmt: skip
NETWORK_CONFIG = NetworkConfig(
    backbone=MovieGenConfig(
        name="moviegen",
        layers=1,
        width=32,
        hidden=64,
        heads=2,
        patch=2,
        max_latent_frames=8,
        max_rows=8,
        max_columns=8,
        query_key_norm=True,
        precondition=True,
    ),
    latent_channels=4,
    text=minilm(32),
    text_revision=WordEncoder.revision,
    text_widths=(WIDTH,),
    editing=EditingConfig(task_width=8, copy_skip=True),
)


def params(**changes: Any) -> InferenceParams:
    values = {
        "num_inference_steps": 3,
        "emulated_steps": 20,
        "linear_share": 0.5,
        "guidance_scale": 3.0,
        "video_guidance_scale": 1.5,
        "seed": 7,
        "precision": "fp32",
        "resolution": SIDE,
        "window_frames": 8,
        "window_overlap": 2,
        "tiling": {"latent_frames": 4, "overlap": 2},
        "keep_source_detail": False,
        "detail_threshold": 0.03,
        "limits": {"max_pixels": 1 << 24, "max_frames": 4000, "max_seconds": 600},
    }
    return InferenceParams.model_validate(values | changes)


def loaded_editor(config: NetworkConfig = NETWORK_CONFIG) -> LoadedEditor:
    """Random everywhere: freshly built, the last layers are zero and every edit would be its noise."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = _shaken(build_editor(config))
        predictor = _shaken(TaskPredictor(config.text_widths[0]))
    return LoadedEditor(model.eval().requires_grad_(False), predictor.eval().requires_grad_(False), config)


def autoencoder() -> Autoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return _shaken(Autoencoder(AUTOENCODER_CONFIG)).eval().requires_grad_(False)


def editor(name: str = "tiny", **changes: Any) -> Editor:
    receipt = ModelReceipt(name=name, digest=content_id(name))
    return Editor(loaded_editor(), autoencoder(), WordEncoder(), params(**changes), model=receipt)


def settings(of: Editor, **overrides: Any) -> EditSettings:
    return edit_settings(of.params, Overrides.checked(**overrides))


def window(count: int = 8, speed: int = 2) -> Frames:
    return moving_frames(count, SIDE, SIDE, speed)


def request(number: int, count: int = 4, purpose: str = "evaluate", **changes: Any) -> EditRequest:
    """A request of the pipeline, its media packed frames at model resolution."""
    values: dict[str, Any] = {
        "id": content_id("request", number, count, purpose),
        "purpose": purpose,
        "kind": "picture" if count == 1 else "clip",
        "clip_uri": None,
        "instruction": f"add {number} red balloons on the left",
        "task": None,
        "settings": None,
        "seed": number,
        "media": pack_frames(window(count, speed=number + 1)),
        "fps": float(RATE),
        "scene": f"scene {number}",
        "clip_ids": (f"clip {number}",),
        "name": None,
        "output_uri": None,
    }
    return EditRequest(**values | changes)


def write_lines(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _shaken(module: ModuleT) -> ModuleT:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


def levels(a: Frames, b: Frames) -> int:
    """Largest difference, in levels of 255."""
    return int(np.abs(a.astype(int) - b).max())
