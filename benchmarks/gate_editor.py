"""What the gates train and edit: a few composed pairs in a table of their own, an editor over them, its edits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from features.encode import PairEncoder
from features.ingest import ingest
from features.pair_rows import Triple
from features.pairs import PairSetting, build_constants, build_shard, make_triple
from features.plan import IMAGE_EDIT, PlannedRow
from features.raw import read_raw
from features.setting import ComposeSetting
from flows.job import Job
from inference.editor import Editor, FramesRequest
from inference.params import InferenceParams, Overrides, edit_settings
from models.build import (
    BASE,
    AnyAutoencoder,
    LoadedEditor,
    NetworkConfig,
    build_text_encoder,
    editor_from_base,
    load_autoencoder,
    load_editor,
)
from models.editor import EditingConfig, EditModel
from models.pixels import Frames
from models.task_predictor import TaskPredictor, fit_predictor
from models.tasks import Task
from models.text import TextEncoder
from models.weights import Bundle
from stores.feature_store import FeatureStore
from stores.model_registry.tracking import Tracking
from stores.receipts import ModelReceipt
from stores.schema import CLIPS, CONSTANTS, EDIT_PAIRS
from training.data import TRAIN as TRAINED
from training.data import PairTable, StepLoader, ValidationLoader
from training.module import VelocityModule, error_at_fixed_times
from training.params import GroupParams, StageParams
from training.trainer import build_trainer, fit_or_resume

EDIT_BATCH = 16
GATE_RATE = 30.0  # of a copy skip that starts at zero


@dataclass(frozen=True)
class GateSize:
    """How much a run of the gates trains on, for how long, and on how many held-out pictures it looks."""

    pairs: int
    identities: int
    held_out: int
    steps: int
    batch: int


@dataclass(frozen=True)
class Material:
    """The rows as frames: edits and identities that are trained on, identities on pictures that are not."""

    edits: tuple[Triple, ...]
    held_out: tuple[Triple, ...]
    table: PairTable


class GateEditor:
    """An editor of its own, from an editor or a base, on its way to overfitted."""

    def __init__(self, job: Job, autoencoder: Bundle, start: Bundle) -> None:
        self._job, self._digest = job, autoencoder.digest()
        self._autoencoder: AnyAutoencoder = load_autoencoder(autoencoder)
        self._fresh = start.kind == BASE
        with torch.random.fork_rng():
            torch.manual_seed(job.params.seed)
            self._network, self._config = _opened(start, job.params.models.editing)
        self._text: TextEncoder = build_text_encoder(self._config.text)
        self._predictor = TaskPredictor(self._config.text_widths[0])

    def compose(self, size: GateSize, key: str) -> Material:
        """Make the pairs and their table, through the code that makes those of a stage."""
        setting = self._pair_setting(key)
        edits, identities, held_out = plan(size, tuple(self._job.params.features.pairs["one"].tasks))
        store = FeatureStore(self._job.state.store, "gates")
        rows = [*edits, *identities, *held_out]
        for shard in ([*edits, *identities], held_out):
            build_shard(shard, setting, store)
        store.retain(EDIT_PAIRS, [setting.row_id(row) for row in rows])
        store.retain(CONSTANTS, build_constants([IMAGE_EDIT], setting, store))
        pairs, constants = (store.open(store.publish(spec)) for spec in (EDIT_PAIRS, CONSTANTS))
        table = PairTable(pairs, constants, self._config.text_widths, self._job.state.packed)
        triples = [tuple(make_triple(row, setting.compose) for row in part) for part in (edits, held_out)]
        return Material(triples[0], triples[1], table)

    def train(self, material: Material, size: GateSize, key: str) -> None:
        """Stage one's training on the material alone: its module, loader, trainer, averaging and resuming."""
        params, table = self._job.params, material.table
        stage = self._stage(size)
        options = params.training.trainer.model_copy(
            update={"validate_every": size.steps, "checkpoint_every": max(1, size.steps // 4)}
        )
        self._network.train()
        module = VelocityModule(self._network, table.nulls, stage, params.seed, self._config.backbone.max_latent_frames)
        folder = self._job.state.checkpoints / "gates" / key
        told = {"pairs": size.pairs, "identities": size.identities, "steps": size.steps, "batch": size.batch}
        with Tracking(self._job.state).run("gates", "gates", key, told) as run:
            trainer = build_trainer(
                "gates", folder, size.steps, options, stage.optimizer, stage.ema_decay, run.lightning_logger()
            )
            loader = StepLoader(table, stage.groups, size.steps * options.accumulate, params.seed)
            weights = fit_or_resume(
                trainer, module, loader, ValidationLoader(table, stage.groups, 1), folder, size.steps
            )
        self._network.load_state_dict(weights)
        text, tasks = table.instructions(TRAINED)
        self._predictor = fit_predictor(
            text, tasks, params.training.predictor.steps, params.training.predictor.weight_decay
        )

    @torch.no_grad()
    def loss(self, material: Material) -> float:
        """Velocity error on everything trained on, at fixed noise and times: two points of a run can be compared."""
        table = material.table
        batch = table.batch(table.ids(IMAGE_EDIT, TRAINED), 0, IMAGE_EDIT)
        return float(error_at_fixed_times(self._network.cpu().eval(), batch, self._job.params.seed).mean())

    def edits(self, triples: Sequence[Triple], predicted_task: bool, guided: bool = True) -> list[Frames]:
        """The editor's answers, as a deployment would give them, or with the true task, or without guidance."""
        params = self._job.params.inference
        editor = self._editor(params)
        scales = {} if guided else {"guidance_scale": 1.0, "video_guidance_scale": 1.0}
        requests = []
        for number, triple in enumerate(triples):
            told = Overrides.checked(task=None if predicted_task else triple.task, seed=number, **scales)
            requests.append(FramesRequest(source_of(triple), triple.instruction, edit_settings(params, told)))
        made: list[Frames] = []
        for start in range(0, len(requests), EDIT_BATCH):
            made += [edited.frames for edited in editor.edit_batch(requests[start : start + EDIT_BATCH])]
        return made

    def through_autoencoder(self, clips: Sequence[Frames]) -> list[Frames]:
        """The most that an edit can reach."""
        editor = self._editor(self._job.params.inference)
        return [editor.reconstruct(clip) for clip in clips]

    def _editor(self, params: InferenceParams) -> Editor:
        loaded = LoadedEditor(self._network, self._predictor, self._config)
        return Editor(loaded, self._autoencoder, self._text, params, model=ModelReceipt(name="gates", digest=""))

    def _stage(self, size: GateSize) -> StageParams:
        """Stage one with the base's optimizer: the stage's own may be for going on a little."""
        training, group = self._job.params.training, GroupParams(weight=1, batch=size.batch)
        told = {"steps": size.steps, "groups": {IMAGE_EDIT: group}, "optimizer": training.base.optimizer}
        return training.stages["one"].model_copy(update=told | {"gate_rate": GATE_RATE if self._fresh else 1.0})

    def _pair_setting(self, key: str) -> PairSetting:
        job, params = self._job, self._job.params
        clips = job.folder("clips")
        ingest(read_raw(job.data), clips, params.features, job.limits)
        table = clips.open(clips.publish(CLIPS))
        edit = params.inference
        return PairSetting(
            stage="gates",
            compose=ComposeSetting.over(table, job.data, params.seed, key, params.features, job.limits),
            encoder=PairEncoder(self._autoencoder, self._digest, self._text, edit.precision, edit.tiling),
        )


def _opened(start: Bundle, editing: EditingConfig) -> tuple[EditModel, NetworkConfig]:
    if start.kind == BASE:
        return editor_from_base(start, editing)
    loaded = load_editor(start)
    return loaded.model.requires_grad_(True), loaded.config


def plan(size: GateSize, tasks: Sequence[str]) -> tuple[list[PlannedRow], list[PlannedRow], list[PlannedRow]]:
    """Edits of all tasks in turn, identities to train on, identities on held-out pictures in a held-out wording."""
    identity = Task.IDENTITY.label
    edited = [task for task in tasks if task != identity]
    edits = [PlannedRow(i, IMAGE_EDIT, "train", edited[i % len(edited)]) for i in range(size.pairs)]
    kept = [PlannedRow(size.pairs + i, IMAGE_EDIT, "train", identity) for i in range(size.identities)]
    return edits, kept, [PlannedRow(i, IMAGE_EDIT, "validation", identity) for i in range(size.held_out)]


def source_of(triple: Triple) -> Frames:
    """The frames an image edit starts from."""
    assert isinstance(triple.source, np.ndarray), "an image edit has a source"
    return triple.source
