"""Text to video with a base model: what pretraining learned, before any editing."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from inference.params import InferenceParams, checked_instruction
from inference.served import Serve, served_params
from models.backbones.protocol import TextToVideo
from models.build import (
    AUTOENCODER,
    BASE,
    AnyAutoencoder,
    NetworkConfig,
    build_base,
    build_text_encoder,
    load_autoencoder,
)
from models.conditioning import Condition, NullCondition
from models.guidance import GuidanceScales, guided
from models.pixels import Frames, to_frames
from models.precision import autocast
from models.sampler import euler, linear_quadratic_times
from models.tasks import Task
from models.text import TextEncoder, with_frame_rate
from models.tiling import decode_tiled
from models.weights import Bundle, load_bundle, load_into
from stores.clip_writer import encode_clip

SERVED_RATE = Fraction(8)  # frames a second, as the clips it is trained on


class Generator:
    """A text-to-video base with its autoencoder and text encoder."""

    def __init__(self, bundle: Bundle, autoencoder: AnyAutoencoder, params: InferenceParams) -> None:
        config = NetworkConfig.model_validate(dict(bundle.config))
        base = build_base(config)
        load_into(base, bundle.tensors, "base weights")
        self._network = TextToVideo(base).eval().requires_grad_(False)
        self._autoencoder = autoencoder
        self._text: TextEncoder = build_text_encoder(config.text)
        self._params = params

    @classmethod
    def from_files(cls, base: Path, autoencoder: Path, params: InferenceParams) -> "Generator":
        """The generator of two safetensors bundles."""
        return cls(load_bundle(base, BASE), load_autoencoder(load_bundle(autoencoder, AUTOENCODER)), params)

    @torch.inference_mode()
    def generate(self, prompt: str, frames: int, seed: int) -> Frames:
        """Frames [f R R 3] uint8 of a prompt; one frame is a picture."""
        params = self._params
        shape = self._autoencoder.config.latent_shape(frames, params.resolution, params.resolution).as_tuple()
        noise = torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed))
        # The base looks at neither source nor task; both are there because guidance is written for editors.
        black = torch.zeros_like(noise)
        tasks = torch.tensor([int(Task.TEXT_TO_VIDEO)])
        said = with_frame_rate(checked_instruction(prompt), frames, self._text.frame_rate_prefix)
        text = self._text.encode([said])
        condition = Condition(black, text, tasks, torch.zeros(1, dtype=torch.long))
        null = NullCondition(self._text.encode([""]), black)
        scales = GuidanceScales(video=1.0, text=params.guidance_scale)
        times = linear_quadratic_times(params.num_inference_steps, params.emulated_steps, params.linear_share)
        latents = euler(guided(self._velocity, condition, null, scales), noise, times)
        with autocast("cpu", params.precision):
            found: Frames = to_frames(decode_tiled(self._autoencoder, latents, frames, params.tiling))[0]
        return found

    def _velocity(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        with autocast("cpu", self._params.precision):
            predicted: Tensor = self._network(x, t, condition)
        return predicted.float()


def serve(folder: Path) -> Serve:
    """Entry point of the registered base: makes a clip (mp4 bytes, `video`) of every `instruction`.

    Raises:
        ValueError: weights or parameters are missing; when serving, an empty instruction.
    """
    params = served_params(folder)
    generator = Generator.from_files(folder / f"{BASE}.safetensors", folder / f"{AUTOENCODER}.safetensors", params)

    def generate(rows: pd.DataFrame, told: Mapping[str, Any]) -> pd.DataFrame:
        clips = [
            generator.generate(text, params.window_frames, int(told.get("seed", 0))) for text in rows["instruction"]
        ]
        return pd.DataFrame({"video": [encode_clip(clip, SERVED_RATE) for clip in clips]})

    return generate
