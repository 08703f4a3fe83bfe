"""Fit the autoencoder on the training clips, fix its latent statistics, register it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.build import AUTOENCODER, autoencoder_bundle
from models.metrics import psnr
from models.pixels import to_frames, to_video
from models.precision import autocast
from models.weights import save_bundle
from stores.clip_types import MediaLimits
from stores.feature_store import FeatureStore
from stores.media_rows import WorkingSize
from stores.model_registry.models import CLIP_SIGNATURE, ModelFiles, ModelRegistry
from stores.model_registry.tracking import TrackedRun, Tracking, lineage_tags
from stores.receipts import Receipt
from stores.state import State
from training.autoencoder_module import AutoencoderModule, CropLoader, Media, VideoBatch
from training.material import load_media
from training.params import AutoencoderTrainingParams
from training.spec import TrainingSpec
from training.trainer import build_trainer, fit_or_resume

STATISTICS_BATCHES = 64
COMPONENT_BATCHES = 128
COMPONENT_BLOCKS = 24000
ROLES = ("clips", "scenes")


def fit_autoencoder(spec: TrainingSpec, state: State) -> Receipt | None:
    """Train, measure on held-out scenes, register; None on ranks other than the first.

    Raises:
        ValueError: the configured autoencoder is one that is not trained here.
    """
    if not isinstance(spec.models.autoencoder, AutoencoderConfig):
        raise ValueError(
            f"the autoencoder {spec.models.autoencoder.name!r} is not trained here; its weights are brought by "
            "`python -m flows.import_wan`"
        )
    params = spec.training.autoencoder
    train, composed, raw = _load(spec, state)
    loader = CropLoader(train, params, spec.seed)
    autoencoder = Autoencoder(spec.models.autoencoder)
    start_from_components(autoencoder, loader)
    module = AutoencoderModule(autoencoder, params, spec.seed)
    folder = state.checkpoints / spec.stage / spec.key()
    with Tracking(state).run(spec.experiment, spec.stage, spec.key(), spec.model_dump(exclude={"inputs"})) as run:
        for role in ROLES:
            run.input(spec.inputs[role].table("clips"), "training")
        trainer = build_trainer(
            spec.stage, folder, params.steps, spec.training.trainer, params.optimizer, params.ema_decay,
            run.lightning_logger(),
        )  # fmt: skip
        run.tags({"moviegen.precision": str(trainer.precision)})
        side = measured_side(params)
        validation = CropValidation(raw, side)
        weights = fit_or_resume(trainer, module, loader, validation, folder, params.steps)
        if not trainer.is_global_zero:
            return None
        autoencoder.load_state_dict(weights)
        trainer.validate(module, validation, verbose=False)  # the last point of the curve
        fix_statistics(autoencoder.eval(), loader, params.evenness)
        figures = measure(autoencoder, raw, side)
        figures |= {f"composed_{name}": value for name, value in measure(autoencoder, composed, side).items()}
        run.metrics(figures, params.steps)
        return _register(spec, run, autoencoder, figures)


def measured_side(params: AutoencoderTrainingParams) -> int:
    """Side of the centre crops that are measured: a fifth less than that of clips, as backgrounds of pairs."""
    return params.clip_side * 4 // 5


def _load(spec: TrainingSpec, state: State) -> tuple[Media, Media, Media]:
    """Training media, raw and composed together, then held-out composed and held-out raw media."""
    params, limits = spec.training.autoencoder, MediaLimits(**spec.media.model_dump())
    tables = {
        role: FeatureStore(state.store, spec.inputs[role].table("clips").folder).open(spec.inputs[role].table("clips"))
        for role in ROLES
    }
    clips = WorkingSize(params.clip_side, spec.frame_rate, params.frames)
    least = measured_side(params)
    train = load_media(list(tables.values()), "train", params.picture_side, clips, least, limits)
    composed, raw = (
        load_media([tables[role]], "test", params.clip_side, clips, least, limits) for role in ("scenes", "clips")
    )
    return train, composed, raw


def start_from_components(autoencoder: Autoencoder, loader: CropLoader) -> None:
    """Set the linear path, if there is one, to the principal components of some training blocks.

    Pictures give as many blocks a picture as clips a latent frame, so still blocks outweigh moving ones as far as the
    batches and weights of the two groups say.
    """
    if autoencoder.linear is None:
        return
    linear = autoencoder.linear
    batches = [
        linear.blocks(loader.at(step).video).flatten(0, 3) for step in range(min(COMPONENT_BATCHES, len(loader)))
    ]
    blocks = torch.cat(batches)
    linear.set_components(blocks[torch.randperm(len(blocks))[:COMPONENT_BLOCKS]])


class CropValidation:
    """Centre crops of held-out media, a fixed few."""

    def __init__(self, media: Media, crop: int, most: int = 8) -> None:
        groups = (("pictures", media.pictures), ("clips", media.clips))
        self._batches = [
            VideoBatch(i, name, to_video(centre_crop(clip[:16], crop)))
            for name, clips in groups
            for i, clip in enumerate(clips[:most])
        ]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[VideoBatch]:
        return iter(self._batches)


def centre_crop(clip: np.ndarray, size: int) -> np.ndarray:
    """The middle [f size size 3] of a clip."""
    _, h, w, _ = clip.shape
    top, left = (h - size) // 2, (w - size) // 2
    return np.ascontiguousarray(clip[:, top : top + size, left : left + size])


@torch.no_grad()
def fix_statistics(autoencoder: Autoencoder, loader: CropLoader, evenness: float) -> None:
    """Give latents zero mean, and each channel a spread that follows what it carries, over some training batches.

    With a linear path, what a unit of a channel is worth in pixels is known; `evenness` 1 gives all channels unit
    variance, 0 the spread they have in pixels. Their mean variance is 1 in any case.
    """
    values = []
    for step in range(min(STATISTICS_BATCHES, len(loader))):
        with autocast("cpu", "bf16"):
            mean = autoencoder.posterior(loader.at(step).video).mean
        values.append(mean.transpose(0, 1).flatten(1))
    channels = torch.cat(values, dim=1)
    std = channels.std(1).clamp(min=1e-4)
    autoencoder.set_normalisation(channels.mean(1), std / channel_spread(autoencoder, std, evenness))


def channel_spread(autoencoder: Autoencoder, std: Float[Tensor, " c"], evenness: float) -> Float[Tensor, " c"]:
    """Standard deviation that the normalised latents shall have, from that of the raw ones."""
    if autoencoder.linear is None:
        return torch.ones_like(std)
    spread = (autoencoder.linear.up.weight.norm(dim=0) * std) ** (1 - evenness)
    even: Tensor = spread / spread.square().mean().sqrt()
    return even


@torch.no_grad()
def measure(autoencoder: Autoencoder, media: Media, crop: int) -> dict[str, float]:
    """Median PSNR (dB) of decode(encode(x)) on held-out pictures and clips, at centre crops."""
    figures = {}
    for name, clips in (("pictures", media.pictures), ("clips", media.clips)):
        scores = []
        for clip in clips:
            truth = centre_crop(clip[:16], crop)
            with autocast("cpu", "bf16"):
                made = autoencoder.decode(autoencoder.encode(to_video(truth)), len(truth))
            scores.append(psnr(truth, to_frames(made)[0]))
        if scores:
            figures[f"psnr_{name}"] = round(float(np.median(scores)), 3)
    return figures


def _register(spec: TrainingSpec, run: TrackedRun, autoencoder: Autoencoder, figures: dict[str, float]) -> Receipt:
    parents = {role: spec.inputs[role].table("clips").digest for role in ROLES}
    lineage = {**parents, "run": spec.key(), "figures": figures}
    bundle = autoencoder_bundle(autoencoder.state_dict(), autoencoder.config, lineage)
    digest = bundle.digest()
    card = f"Temporal autoencoder. Held-out PSNR: {figures}. Config: {autoencoder.config.model_dump_json()}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "autoencoder.safetensors"
        save_bundle(bundle, path)
        settings = path.with_name("inference.json")
        settings.write_text(spec.inference)
        weights = {AUTOENCODER: path, "inference": settings}
        files = ModelFiles(weights, "inference.served:serve_autoencoder", CLIP_SIGNATURE, card)
        receipt = ModelRegistry(run.tracking).register(run, AUTOENCODER, digest, files, parents)
    result = Receipt(stage=spec.stage, models={AUTOENCODER: receipt}, parents=parents, figures=figures)
    run.tags(lineage_tags(result))
    return result
