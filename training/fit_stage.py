"""Fit the base or one editing stage, with its task predictor, and register the result."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor, nn

from models.backbones.moviegen import MovieGenTransformer
from models.backbones.protocol import TextToVideo
from models.build import (
    AUTOENCODER,
    BASE,
    EDITOR,
    NetworkConfig,
    base_bundle,
    build_base,
    build_text_encoder,
    editor_bundle,
    editor_from_base,
    load_autoencoder,
    load_editor,
)
from models.task_predictor import TaskPredictor, fit_predictor
from models.weights import Bundle, load_bundle, save_bundle
from stores.feature_store import FeatureStore
from stores.model_registry.models import EDIT_SIGNATURE, TEXT_SIGNATURE, ModelFiles, ModelRegistry
from stores.model_registry.tracking import TrackedRun, Tracking, lineage_tags
from stores.receipts import Receipt
from stores.state import State
from training.data import TRAIN, VALIDATION, PairTable, StepLoader, ValidationLoader
from training.forgetting import forgetting
from training.module import VelocityModule
from training.preview_callback import PreviewCallback
from training.spec import TrainingSpec
from training.trainer import build_trainer, fit_or_resume

VALIDATION_BATCHES = 4
SPREAD_ROWS = 512


def fit_stage(spec: TrainingSpec, state: State) -> Receipt | None:
    """Train, validate, register; None on ranks other than the first."""
    stage, options = spec.stage_params(), spec.training.trainer
    registry = ModelRegistry(Tracking(state))
    network, config = start_network(spec, registry)
    inherited = None if stage.fit_predictor or spec.kind == "base" else _inherited_predictor(spec, registry)
    table = open_pairs(spec, state, config)
    if spec.kind == "base" and isinstance(network.backbone, MovieGenTransformer):
        network.backbone.set_spread(table.spread(TRAIN, SPREAD_ROWS))
    module = VelocityModule(network, table.nulls, stage, spec.seed, config.backbone.max_latent_frames)
    _apply_options(network, spec)
    folder = state.checkpoints / spec.stage / spec.key()
    with Tracking(state).run(spec.experiment, spec.stage, spec.key(), spec.model_dump(exclude={"inputs"})) as run:
        run.input(spec.inputs["pairs"].table("edit_pairs"), "training")
        autoencoder_file = (
            registry.fetch(spec.inputs["autoencoder"].model(AUTOENCODER)).folder / "autoencoder.safetensors"
        )
        previews = PreviewCallback(
            run, table, load_autoencoder(load_bundle(autoencoder_file, AUTOENCODER)), stage, options.preview_every
        )
        trainer = build_trainer(
            spec.stage, folder, stage.steps, options, stage.optimizer, stage.ema_decay,
            run.lightning_logger(), [previews],
        )  # fmt: skip
        run.tags({"moviegen.precision": str(trainer.precision)})
        train = StepLoader(
            table, stage.groups, stage.steps * options.accumulate, spec.seed, trainer.global_rank,
            trainer.world_size,
        )  # fmt: skip
        validation = ValidationLoader(table, stage.groups, VALIDATION_BATCHES)
        weights = fit_or_resume(trainer, module, train, validation, folder, stage.steps)
        if not trainer.is_global_zero:
            return None
        network.load_state_dict(weights)
        figures = {k: round(float(v), 5) for k, v in trainer.validate(module, validation, verbose=False)[0].items()}
        if "base" in spec.inputs:
            figures |= forgetting(network.eval(), _widened_base(spec, registry), table, stage.groups, spec.seed)
        return _register(spec, run, registry, table, weights, config, figures, autoencoder_file, inherited)


def start_network(spec: TrainingSpec, registry: ModelRegistry) -> tuple[nn.Module, NetworkConfig]:
    """The network a stage starts from: fresh, a widened base, or an earlier editor."""
    start = spec.inputs.get("start")
    if spec.kind == "base":
        # Opened here alone: the paper's encoders are too large to be opened for their widths by every stage.
        config = spec.models.base_config(build_text_encoder(spec.models.text))
        return TextToVideo(build_base(config)), config
    if start is None:
        raise ValueError(f"stage {spec.stage!r} starts from {spec.stage_params().start!r}, but has no receipt of it")
    if BASE in start.models:
        return editor_from_base(_base_bundle(start, registry), spec.models.editing)
    bundle = load_bundle(registry.fetch(start.model(EDITOR)).folder / "editor.safetensors", EDITOR)
    loaded = load_editor(bundle)
    return loaded.model.train().requires_grad_(True), loaded.config


def open_pairs(spec: TrainingSpec, state: State, config: NetworkConfig) -> PairTable:
    """The stage's pairs, refused if they were encoded by another text encoder.

    Raises:
        ValueError: the text states are not of the encoder the network reads.
    """
    receipt = spec.inputs["pairs"]
    pairs = receipt.table("edit_pairs")
    encoder = receipt.parents.get("text_encoder")
    if encoder != config.text_revision:
        raise ValueError(
            f"stage {spec.stage!r}: pairs were encoded by text encoder {encoder}, "
            f"the model reads {config.text_revision}"
        )
    store = FeatureStore(state.store, pairs.folder)
    return PairTable(store.open(pairs), store.open(receipt.table("constants")), config.text_widths, state.packed)


def _apply_options(network: nn.Module, spec: TrainingSpec) -> None:
    options = spec.training.trainer
    network.backbone.gradient_checkpointing = options.gradient_checkpointing  # type: ignore[union-attr]
    if options.compile:
        network.compile()


def _base_bundle(receipt: Receipt, registry: ModelRegistry) -> Bundle:
    return load_bundle(registry.fetch(receipt.model(BASE)).folder / "base.safetensors", BASE)


def _widened_base(spec: TrainingSpec, registry: ModelRegistry) -> nn.Module:
    """What an editor is before it has learned anything: it predicts what the base predicts."""
    model, _ = editor_from_base(_base_bundle(spec.inputs["base"], registry), spec.models.editing)
    return model.eval()


def _inherited_predictor(spec: TrainingSpec, registry: ModelRegistry) -> TaskPredictor:
    """That of the editor the stage starts from.

    Raises:
        ValueError: the stage starts from a base, which has none.
    """
    start = spec.inputs["start"]
    if EDITOR not in start.models:
        raise ValueError(
            f"stage {spec.stage!r} starts from {spec.stage_params().start!r}, which has no task predictor to hand on: "
            f"set training.stages.{spec.stage}.fit_predictor to true"
        )
    folder = registry.fetch(start.model(EDITOR)).folder
    return load_editor(load_bundle(folder / "editor.safetensors", EDITOR)).predictor


def _predictor(
    spec: TrainingSpec, table: PairTable, inherited: TaskPredictor | None
) -> tuple[TaskPredictor, dict[str, float]]:
    """The inherited one, or one fitted on the stage's instructions, with its accuracy on held-out wordings."""
    params = spec.training.predictor
    predictor = inherited or fit_predictor(*table.instructions(TRAIN), params.steps, params.weight_decay)
    held_text, held_tasks = table.instructions(VALIDATION)
    accuracy = (predictor.predict(held_text) == held_tasks).float().mean()
    return predictor, {"predictor_accuracy": round(float(accuracy), 4)}


def _register(
    spec: TrainingSpec, run: TrackedRun, registry: ModelRegistry, table: PairTable, weights: Mapping[str, Tensor],
    config: NetworkConfig, figures: dict[str, float], autoencoder_file: Path, inherited: TaskPredictor | None,
) -> Receipt:  # fmt: skip
    parents = {
        "pairs": spec.inputs["pairs"].table("edit_pairs").digest,
        "autoencoder": spec.inputs["autoencoder"].model(AUTOENCODER).digest,
    }
    if "start" in spec.inputs:
        started = spec.inputs["start"].models
        parents["start"] = started[BASE if BASE in started else EDITOR].digest
    name = BASE if spec.kind == "base" else EDITOR
    lineage = {**parents, "stage": spec.stage, "run": spec.key()}
    if spec.kind == "base":
        stripped = {key.removeprefix("backbone."): value for key, value in weights.items()}
        bundle = base_bundle(stripped, config, lineage)
    else:
        predictor, accuracy = _predictor(spec, table, inherited)
        figures = figures | accuracy
        bundle = editor_bundle(weights, predictor, config, lineage)
    run.metrics(figures, spec.stage_params().steps)
    card = f"Stage `{spec.stage}`, {spec.stage_params().steps} steps. Held-out figures: {figures}."
    with TemporaryDirectory() as folder:
        files = _model_files(Path(folder), name, bundle, autoencoder_file, spec.inference, card)
        receipt = registry.register(run, name, bundle.digest(), files, {"stage": spec.stage, **parents})
    result = Receipt(stage=spec.stage, models={name: receipt}, parents=parents, figures=figures)
    run.tags(lineage_tags(result))
    return result


def _model_files(folder: Path, name: str, bundle: Bundle, autoencoder: Path, inference: str, card: str) -> ModelFiles:
    own = folder / f"{name}.safetensors"
    save_bundle(bundle, own)
    settings = folder / "inference.json"
    settings.write_text(inference)
    files = {name: own, AUTOENCODER: autoencoder, "inference": settings}
    if name == BASE:
        return ModelFiles(files, "inference.generator:serve", TEXT_SIGNATURE, card)
    return ModelFiles(files, "inference.served:serve", EDIT_SIGNATURE, card)
