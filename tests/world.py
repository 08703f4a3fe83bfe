"""A tiny real world: a few real photographs and clips at 32 pixels, their tables, small random models, registered."""

import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from features.backdrops import DRAWN, drawn_backdrops
from features.composer import Background, Cutouts, Scene, render
from features.encode import PairEncoder
from features.ingest import TEST, TRAIN, ingest
from features.materials import Backgrounds
from features.pairs import PairSetting, build_constants, build_shard
from features.params import FeaturesParams
from features.plan import plan_pairs, shards
from features.raw import read_cutouts, read_raw
from features.scenes import build_scenes, plan_scenes
from features.setting import EVERY_LOOK, ComposeSetting
from features.tasks.draft import Materials
from flows.params import Params
from models.build import (
    AUTOENCODER,
    BASE,
    AnyAutoencoder,
    NetworkConfig,
    autoencoder_bundle,
    base_bundle,
    build_autoencoder,
    build_base,
    build_text_encoder,
)
from models.text import TextEncoder
from models.text_encoders.config import TextConfig
from models.weights import Bundle, save_bundle
from stores.clip_types import MediaLimits
from stores.feature_store import FeatureStore
from stores.model_registry.models import CLIP_SIGNATURE, TEXT_SIGNATURE, ModelFiles, ModelRegistry
from stores.model_registry.tracking import Tracking
from stores.receipts import Receipt
from stores.schema import CLIPS, CONSTANTS, EDIT_PAIRS
from stores.state import State
from tests.tiny import minilm

ROOT = Path(__file__).resolve().parent.parent
SIDE, FRAMES = 32, 4
NOUNS = ("red apple", "banana", "avocado", "owl", "umbrella", "grapes", "star", "honeybee")
PHOTOS = 7
CLIP_FILES = ("bbb_00.mp4", "bbb_04.mp4", "city_00.mp4")

TINY = (
    "seed=3",
    "models.autoencoder.latent_channels=4",
    "models.autoencoder.channels=[8, 16]",
    "models.autoencoder.groups=4",
    "models.autoencoder.pixel_patch=2",
    "models.autoencoder.temporal_halvings=1",
    "models.backbone.layers=2",
    "models.backbone.width=32",
    "models.backbone.hidden=64",
    "models.backbone.heads=2",
    "models.backbone.max_rows=4",
    "models.backbone.max_columns=4",
    "models.editing.task_width=8",
    "models.text.encoders=[{kind: minilm, source: null, max_tokens: 24, dtype: float32}]",
    f"features.geometry={{resolution: {SIDE}, clip_frames: {FRAMES}, frame_rate: 8}}",
    # A clip and a photograph are held out.
    "features.split={test_share: 0.0, test_scenes: [city_00, renewable-windmill15], train_scenes: []}",
    "features.scenes={pictures: 4, clips: 2, held_out_share: 0.5}",
    "features.pairs.one={image_edit: 20, text_to_image: 0, text_to_video: 4, validation_share: 0.2, "
    "tasks: {add: 1, remove: 1, replace: 1, global: 1}, shard: 8}",
    # Its autoencoder knows nothing.
    "features.checks.min_decode_psnr=0.0",
    "features.cases={pictures: 8, clips: 2, framewise_clips: 1, decoys: 3}",
    "training.trainer={precision: 32-true, devices: 1, strategy: auto, accumulate: 1, gradient_checkpointing: false, "
    "compile: false, validate_every: 100, checkpoint_every: 5, preview_every: 100}",
    "training.autoencoder.steps=6",
    "training.autoencoder.crop=32",
    "training.autoencoder.frames=4",
    "training.autoencoder.picture_side=64",
    "training.autoencoder.clip_side=40",
    "training.autoencoder.pictures={weight: 1, batch: 2}",
    "training.autoencoder.clips={weight: 1, batch: 1}",
    "training.autoencoder.optimizer.warmup_steps=2",
    "training.stages.one.start=base",
    "training.stages.one.steps=12",
    "training.stages.one.groups={image_edit: {weight: 5, batch: 4}, text_to_video: {weight: 1, batch: 2}}",
    "training.stages.one.ema_decay=0.9",
    "training.stages.one.dropout={text: 0.1, source: 0.1, both: 0.1}",
    "training.stages.one.optimizer={learning_rate: 3.0e-3, weight_decay: 0.01, beta2: 0.95, warmup_steps: 3, "
    "decay_share: 0.4, clip_norm: 1.0, muon: null}",
    "training.predictor.steps=40",
)


@contextmanager
def without_mlflow_advice() -> Iterator[None]:
    """MLflow would like an input example with every model."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example was not provided")
        yield


def tiny_params(*overrides: str) -> Params:
    """The project's own params.yaml, made tiny."""
    return Params.read(ROOT / "params.yaml", (*TINY, *overrides))


def limits(params: Params) -> MediaLimits:
    return MediaLimits(**params.media.model_dump())


def raw_folder(folder: Path, photos: int = PHOTOS, clips: Sequence[str] = CLIP_FILES) -> Path:
    """Some of the real data, in the layout of `data/`."""
    for name in ("photos", "clips"):
        (folder / name).mkdir(parents=True)
    table = pq.read_table(ROOT / "data" / "photos" / "photos.parquet")
    step = len(table) // max(photos, 1)
    pq.write_table(
        table.take(pa.array(range(0, step * photos, step), pa.int64())), folder / "photos" / "photos.parquet"
    )
    lines = (ROOT / "data" / "clips" / "metadata.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["file_name"] in clips]
    (folder / "clips" / "metadata.jsonl").write_text("\n".join(kept) + "\n")
    for name in clips:
        shutil.copy(ROOT / "data" / "clips" / name, folder / "clips" / name)
    return folder


@cache
def cutouts() -> Cutouts:
    """Eight real cut-outs."""
    return Cutouts(read_cutouts(ROOT / "data", NOUNS))


@cache
def text_encoder(text: TextConfig | None = None) -> TextEncoder:
    """The real text encoder, or those of a config."""
    return build_text_encoder(text or minilm(24))


def colourful(frames: int = 1, side: int = SIDE, seed: int = 0) -> Background:
    """A background of rough squares under fine grain: no look leaves it as it is."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(40, 200, (frames, 4, 4, 3), dtype=np.uint8)
    squares = rough.repeat(side // 4, axis=1).repeat(side // 4, axis=2)
    grain = rng.integers(0, 40, squares.shape, dtype=np.uint8)
    return Background(squares + grain, "a wall of colours", f"clip-{seed}", f"scene-{seed}")


def with_subject(side: int = SIDE, seed: int = 0) -> Background:
    """A colourful picture whose subject is a disc in its middle, with a soft edge."""
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    alpha = np.clip((side / 4 - np.hypot(rows, columns)) * 64 + 128, 0, 255).astype(np.uint8)
    return replace(colourful(1, side, seed), subject=alpha)


def materials(background: Background, params: Params, held_out: bool = False) -> Materials:
    """A background with the eight cut-outs and the backdrops that are drawn."""
    return Materials(background, cutouts(), tuple(DRAWN), held_out, params.features.compose)


def drawn(scene: Scene, params: Params, things: Cutouts | None = None) -> np.ndarray:
    """The frames of a scene, whatever look and backdrop it has."""
    side = scene.background.frames.shape[1]
    return render(scene, things or cutouts(), params.features.compose, EVERY_LOOK, drawn_backdrops(side))


def tiny_autoencoder(params: Params, seed: int = 5) -> AnyAutoencoder:
    """Random weights, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_autoencoder(params.models.autoencoder).eval().requires_grad_(False)


def ingested(state: State, raw: Path, params: Params) -> Receipt:
    """The `clips` table of a raw folder, published."""
    store = FeatureStore(state.store, "clips")
    ingest(read_raw(raw), store, params.features, limits(params))
    return Receipt(stage="clips", tables={CLIPS.name: store.publish(CLIPS)})


def compose_setting(state: State, clips: Receipt, params: Params, code: str = "code") -> ComposeSetting:
    """What scenes, pairs and cases are composed from, over a published `clips` table."""
    table = FeatureStore(state.store, "clips").open(clips.table(CLIPS.name))
    geometry = params.features.geometry
    backgrounds = (
        Backgrounds(table, split, geometry, params.features.compose, limits(params)) for split in (TRAIN, TEST)
    )
    return ComposeSetting(params.seed, code, params.features, *backgrounds, cutouts(), drawn_backdrops(SIDE))


def composed(state: State, setting: ComposeSetting) -> Receipt:
    """The `scenes` folder, published."""
    store = FeatureStore(state.store, "scenes")
    build_scenes(plan_scenes(setting.params), setting, store)
    return Receipt(stage="scenes", tables={CLIPS.name: store.publish(CLIPS)})


def pair_setting(state: State, clips: Receipt, params: Params, digest: str = "ae", code: str = "code") -> PairSetting:
    """Builders of stage one over a published `clips` table."""
    encoder = PairEncoder(
        tiny_autoencoder(params), digest, text_encoder(params.models.text), "fp32", params.inference.tiling
    )
    return PairSetting("one", compose_setting(state, clips, params, code), encoder)


def paired(state: State, setting: PairSetting, features: FeaturesParams) -> Receipt:
    """The pairs and constants of stage one, published."""
    store = FeatureStore(state.store, "pairs-one")
    plan = plan_pairs(features.pairs["one"])
    for shard in shards(plan, features.pairs["one"].shard):
        build_shard(shard, setting, store)
    build_constants(sorted({row.group for row in plan}), setting, store)
    tables = {spec.name: store.publish(spec) for spec in (EDIT_PAIRS, CONSTANTS)}
    parents = {"text_encoder": setting.encoder.text_encoder, "autoencoder": setting.encoder.autoencoder}
    return Receipt(stage="pairs-one", tables=tables, parents=parents)


@dataclass(frozen=True)
class World:
    """A state root with clips, pairs of stage one, and a registered autoencoder and base to start from."""

    state: State
    params: Params
    clips: Receipt
    pairs: Receipt
    adopted: Receipt


def build_world(folder: Path, params: Params | None = None) -> World:
    """Everything a stage needs before it can train."""
    params = params or tiny_params()
    state = State.at(folder / "state")
    clips = ingested(state, raw_folder(folder / "raw"), params)
    adopted = _adopted(state, params, folder)
    setting = pair_setting(state, clips, params, adopted.model(AUTOENCODER).digest)
    return World(state, params, clips, paired(state, setting, params.features), adopted)


def _adopted(state: State, params: Params, folder: Path) -> Receipt:
    autoencoder = autoencoder_bundle(tiny_autoencoder(params).state_dict(), params.models.autoencoder, {})
    config = params.models.base_config(text_encoder(params.models.text))
    bundles = {AUTOENCODER: autoencoder, BASE: base_bundle(_base_weights(config), config, {})}
    files = {name: _saved(bundle, folder / f"{name}.safetensors") for name, bundle in bundles.items()}
    (folder / "inference.json").write_text(params.inference.model_dump_json())
    files["inference"] = folder / "inference.json"
    tracking = Tracking(state)
    models = {}
    for name, bundle in bundles.items():
        served = ("inference.served:serve_autoencoder", CLIP_SIGNATURE)
        entry, signature = served if name == AUTOENCODER else ("inference.generator:serve", TEXT_SIGNATURE)
        told = tracking.run("pretrain", f"adopt-{name}", bundle.digest()[:32], {})
        with told as run, without_mlflow_advice():
            model = ModelFiles(files, entry, signature, "tiny")
            models[name] = ModelRegistry(tracking).register(run, name, bundle.digest(), model, {})
    return Receipt(stage="adopt", models=models)


def _base_weights(config: NetworkConfig) -> dict[str, torch.Tensor]:
    """A base whose last layer is not zero, so that every part of it gets a gradient from the first step on."""
    with torch.random.fork_rng():
        torch.manual_seed(6)
        base = build_base(config)
        torch.nn.init.normal_(base.to_patch.weight, std=0.02)
        torch.nn.init.normal_(base.modulation[1].weight, std=0.02)
    return base.state_dict()


def _saved(bundle: Bundle, path: Path) -> Path:
    save_bundle(bundle, path)
    return path
