"""Fit the autoencoder on the training clips, fix its latent statistics, register it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from einops import rearrange

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
from training.spec import TrainingSpec
from training.trainer import build_trainer, fit_or_resume

STATISTICS_BATCHES = 16
COMPONENT_BLOCKS = 8000


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
    clips = FeatureStore(state.store, "clips").open(spec.inputs["clips"].table("clips"))
    limits = MediaLimits(**spec.media.model_dump())
    # Crops are a fifth smaller than the material, so that they differ in place.
    working = WorkingSize(params.crop * 5 // 4, spec.frame_rate, params.frames)
    train, held_out = (load_media(clips, split, working, limits) for split in ("train", "test"))
    loader = CropLoader(train, params, spec.seed)
    autoencoder = Autoencoder(spec.models.autoencoder)
    start_from_components(autoencoder, loader)
    module = AutoencoderModule(autoencoder, params, spec.seed)
    folder = state.checkpoints / spec.stage / spec.key()
    with Tracking(state).run(spec.experiment, spec.stage, spec.key(), spec.model_dump(exclude={"inputs"})) as run:
        run.input(spec.inputs["clips"].table("clips"), "training")
        trainer = build_trainer(
            spec.stage, folder, params.steps, spec.training.trainer, params.optimizer, params.ema_decay,
            run.lightning_logger(),
        )  # fmt: skip
        weights = fit_or_resume(trainer, module, loader, CropValidation(held_out, params.crop), folder, params.steps)
        if not trainer.is_global_zero:
            return None
        autoencoder.load_state_dict(weights)
        fix_statistics(autoencoder.eval(), loader)
        figures = measure(autoencoder, held_out, params.crop)
        run.metrics(figures)
        return _register(spec, run, autoencoder, figures)


def start_from_components(autoencoder: Autoencoder, loader: CropLoader) -> None:
    """Set the linear path, if there is one, to the principal components of some training blocks."""
    if autoencoder.linear is None:
        return
    side = autoencoder.config.spatial_factor
    batches = [loader.at(step).video[:, :, :1] for step in range(min(STATISTICS_BATCHES, len(loader)))]
    blocks = rearrange(torch.cat(batches), "b c 1 (h p) (w q) -> (b h w) (c p q)", p=side, q=side)
    autoencoder.linear.set_components(blocks[torch.randperm(len(blocks))[:COMPONENT_BLOCKS]])


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
def fix_statistics(autoencoder: Autoencoder, loader: CropLoader) -> None:
    """Give latents zero mean and unit variance per channel over some training batches."""
    values = []
    for step in range(min(STATISTICS_BATCHES, len(loader))):
        with autocast("cpu", "bf16"):
            mean = autoencoder.posterior(loader.at(step).video).mean
        values.append(mean.transpose(0, 1).flatten(1))
    channels = torch.cat(values, dim=1)
    autoencoder.set_normalisation(channels.mean(1), channels.std(1).clamp(min=1e-4))


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
    lineage = {"clips": spec.inputs["clips"].table("clips").digest, "run": spec.key(), "figures": figures}
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
        parents = {"clips": spec.inputs["clips"].table("clips").digest}
        receipt = ModelRegistry(run.tracking).register(run, AUTOENCODER, digest, files, parents)
    result = Receipt(stage=spec.stage, models={AUTOENCODER: receipt}, parents=parents, figures=figures)
    run.tags(lineage_tags(result))
    return result
