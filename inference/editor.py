"""The editor at work: one window of frames, or several of equal shape at once, from source and instruction to edit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.params import EditError, EditSettings, InferenceParams, checked_instruction
from models.build import (
    AUTOENCODER,
    EDITOR,
    AnyAutoencoder,
    LoadedEditor,
    build_text_encoder,
    load_autoencoder,
    load_editor,
)
from models.conditioning import Condition, NullCondition
from models.cores import on_cores
from models.guidance import GuidanceScales, guided
from models.pixels import Frames, to_frames, to_video
from models.precision import autocast
from models.sampler import euler, linear_quadratic_times
from models.shapes import FlowTime, Latent, LatentShape
from models.tasks import Task
from models.text import TextContext, TextEncoder, join_texts, with_frame_rate
from models.tiling import decode_tiled, encode_tiled
from models.weights import load_bundle
from stores.receipts import ModelReceipt

TOGETHER = 2  # samples in one pass on a CPU: measured faster than one or four, as their states stay in its cache
TEXT_CACHE = 256  # instructions; all windows of a clip share one


class EditorMismatchError(RuntimeError):
    """Weights that were not made for one another; the message names both sides."""


@dataclass(frozen=True, eq=False)
class FramesRequest:
    """One window at model resolution, uint8 [f, R, R, 3], and what to make of it."""

    frames: Frames
    instruction: str
    settings: EditSettings


@dataclass(frozen=True, eq=False)
class EditedFrames:
    """An edited window, uint8 [f, R, R, 3]; `seconds` is its share of the time its batch took."""

    frames: Frames
    task: Task
    seconds: float


class Editor:
    """An edit model with the autoencoder and the text encoder it was trained with, on one device.

    Raises:
        EditorMismatchError: the text encoder is another one, or the autoencoder's latents do not fit the model.
    """

    def __init__(
        self,
        loaded: LoadedEditor,
        autoencoder: AnyAutoencoder,
        text_encoder: TextEncoder,
        params: InferenceParams,
        device: torch.device | str = "cpu",
        *,
        model: ModelReceipt,
    ) -> None:
        self.params = params
        self.model = model  # carried along, so that no edit can be filed under another model's name
        self.device = torch.device(device)
        _check_fit(loaded, autoencoder, text_encoder, params)
        self._network = loaded.model.to(self.device).eval()
        self._predictor = loaded.predictor.to(self.device).eval()
        self._autoencoder = autoencoder.to(self.device).eval()
        self._text_encoder = text_encoder
        self._text = lru_cache(TEXT_CACHE)(self._encode_text)
        self._black = lru_cache(8)(self._encode_black)

    @classmethod
    def from_files(
        cls,
        editor_path: Path,
        autoencoder_path: Path,
        params: InferenceParams,
        device: torch.device | str = "cpu",
        *,
        name: str = EDITOR,
    ) -> Self:
        """The editor of two safetensors bundles; `name` is how its edits call it, together with its digest.

        Raises:
            WeightsError: a file is missing, damaged or of another kind.
            EditorMismatchError: the editor was trained with another autoencoder or text encoder.
        """
        editor, autoencoder = load_bundle(editor_path, EDITOR), load_bundle(autoencoder_path, AUTOENCODER)
        trained_with = editor.lineage.get("autoencoder")
        if trained_with is not None and trained_with != autoencoder.digest():
            raise EditorMismatchError(
                f"{editor_path}: trained with autoencoder {str(trained_with)[:12]}, "
                f"but {autoencoder_path} is {autoencoder.digest()[:12]}"
            )
        loaded = load_editor(editor)
        receipt = ModelReceipt(name=name, digest=editor.digest())
        text_encoder = build_text_encoder(loaded.config.text)
        return cls(loaded, load_autoencoder(autoencoder), text_encoder, params, device, model=receipt)

    def edit_frames(self, frames: Frames, instruction: str, settings: EditSettings) -> EditedFrames:
        """Edit one window of at most `window_frames` frames; a picture is one frame.

        Raises:
            EditError: frames of another shape, no instruction, or the model gave no finite result.
        """
        return self.edit_batch([FramesRequest(frames, instruction, settings)])[0]

    @torch.inference_mode()
    def edit_batch(self, requests: Sequence[FramesRequest]) -> list[EditedFrames]:
        """Edit windows of one shape and one sampling together; seeds, tasks and instructions are their own.

        Raises:
            EditError: as `edit_frames`, or the requests differ in shape or sampling.
        """
        started = time.perf_counter()
        self._check_batch(requests)
        tasks = [self.task_of(request.instruction, request.settings) for request in requests]
        asked = list(zip(requests, tasks, strict=True))
        if self.device.type == "cpu" and len(asked) > TOGETHER:
            parts = [asked[start : start + TOGETHER] for start in range(0, len(asked), TOGETHER)]
            edited = [frames for part in on_cores(self._edited, parts) for frames in part]
        else:
            edited = self._edited(asked)
        seconds = (time.perf_counter() - started) / len(requests)
        return [EditedFrames(frames, task, seconds) for frames, task in zip(edited, tasks, strict=True)]

    @torch.inference_mode()
    def _edited(self, asked: Sequence[tuple[FramesRequest, Task]]) -> list[Frames]:
        requests = [request for request, _ in asked]
        latents = self._sample(self._condition(requests, [task for _, task in asked]), requests)
        if not torch.isfinite(latents).all():
            raise EditError(
                "the model gave values that are not finite: weights, guidance scale and precision do not fit"
            )
        return list(self._decode(latents, requests[0].frames.shape[0]))

    @torch.inference_mode()
    def reconstruct(self, frames: Frames) -> Frames:
        """Frames through the autoencoder and back: the most that an edit can keep of its source."""
        decoded: Frames = self._decode(self._encode(frames), frames.shape[0])[0]
        return decoded

    @torch.inference_mode()
    def task_of(self, instruction: str, settings: EditSettings) -> Task:
        """The task the settings state, else the one predicted from the instruction alone."""
        if settings.task is not None:
            return settings.task
        return Task(int(self._predictor.predict(self._text(checked_instruction(instruction)))[0]))

    def _condition(self, requests: Sequence[FramesRequest], tasks: Sequence[Task]) -> Condition:
        return Condition(
            source=self._encode(*(request.frames for request in requests)),
            # Encoded one by one and then padded, so that no text's states depend on its neighbours' lengths.
            text=join_texts([self._text(self._prompt(request)) for request in requests]),
            task=torch.tensor([int(task) for task in tasks], device=self.device),
            # Single frames were trained at random temporal positions (Movie Gen Edit, section 5.1.2), so any will do;
            # 0 exists in every model, makes a picture the first frame of a clip, and is where clips were trained.
            offsets=torch.zeros(len(requests), dtype=torch.long, device=self.device),
        )

    def _prompt(self, request: FramesRequest) -> str:
        rate = self._text_encoder.frame_rate_prefix
        return with_frame_rate(checked_instruction(request.instruction), len(request.frames), rate)

    def _sample(self, condition: Condition, requests: Sequence[FramesRequest]) -> Latent:
        settings, shape = requests[0].settings, condition.source.shape[1:]
        scales = GuidanceScales(video=settings.video_guidance_scale, text=settings.guidance_scale)
        null = NullCondition(self._text(""), self._black(requests[0].frames.shape[0]))
        velocity = guided(self._velocity(), condition, null, scales)
        # One generator a sample, on the CPU: a sample depends neither on its batch nor on the device. All full windows
        # of a clip have one seed and one shape, hence the same noise, which keeps what is drawn alike over windows.
        noise = torch.stack([_noise(tuple(shape), request.settings.seed) for request in requests])
        params = self.params
        times = linear_quadratic_times(settings.num_inference_steps, params.emulated_steps, params.linear_share)
        return euler(velocity, noise.to(self.device), times.to(self.device))

    def _velocity(self) -> Callable[[Latent, FlowTime, Condition], Latent]:
        def velocity(x: Tensor, t: Tensor, condition: Condition) -> Tensor:
            with autocast(self.device, self.params.precision):
                predicted: Tensor = self._network(x, t, condition)
            # Guidance multiplies differences of passes, which bf16 would round away.
            return predicted.float()

        return velocity

    def _encode_text(self, text: str) -> TextContext:
        return self._text_encoder.encode([text]).to(self.device)

    def _encode_black(self, frames: int) -> Tensor:
        side = self.params.resolution
        return self._encode(np.zeros((frames, side, side, 3), np.uint8))

    def _encode(self, *clips: Frames) -> Latent:
        # In the precision of the training tables. Decoding is always fp32: bf16 would band smooth areas.
        with autocast(self.device, self.params.precision):
            videos = torch.cat([to_video(clip) for clip in clips]).to(self.device)
            latents: Latent = encode_tiled(self._autoencoder, videos, self.params.tiling)
        return latents.float()

    def _decode(self, latents: Latent, frames: int) -> NDArray[np.uint8]:
        return to_frames(decode_tiled(self._autoencoder, latents, frames, self.params.tiling))

    def _check_batch(self, requests: Sequence[FramesRequest]) -> None:
        if not requests:
            raise EditError("no frames to edit")
        frames, side, longest = requests[0].frames, self.params.resolution, self.params.window_frames
        if frames.dtype != np.uint8 or frames.shape[1:] != (side, side, 3) or not 1 <= len(frames) <= longest:
            found = f"{frames.dtype} {list(frames.shape)}"
            raise EditError(f"expected uint8 [1..{longest}, {side}, {side}, 3], got {found}")
        same = {(r.frames.dtype, r.frames.shape, r.settings.sampling) for r in requests}
        if len(same) > 1:
            raise EditError("edits of one batch must share their shape, steps and guidance scales")


def _noise(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _check_fit(
    loaded: LoadedEditor, autoencoder: AnyAutoencoder, text_encoder: TextEncoder, params: InferenceParams
) -> None:
    config = loaded.config
    if config.text_revision != text_encoder.revision:
        raise EditorMismatchError(
            f"the editor was trained with text encoder {config.text_revision!r}, this one is {text_encoder.revision!r}"
        )
    latent = _window_shape(autoencoder, params)
    if latent.channels != config.latent_channels:
        raise EditorMismatchError(
            f"the autoencoder has {latent.channels} latent channels, the editor reads {config.latent_channels}"
        )
    if latent.frames > loaded.model.max_latent_frames:
        raise EditorMismatchError(
            f"window_frames {params.window_frames} is {latent.frames} latent frames; "
            f"the editor knows positions for {loaded.model.max_latent_frames}"
        )


def _window_shape(autoencoder: AnyAutoencoder, params: InferenceParams) -> LatentShape:
    try:
        return autoencoder.config.latent_shape(params.window_frames, params.resolution, params.resolution)
    except ValueError as error:
        raise EditorMismatchError(f"resolution does not fit the autoencoder: {error}") from error
