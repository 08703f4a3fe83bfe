"""The feature pipeline: raw files to `clips`, composed pairs of a stage, held-out cases. One function a stage."""

import hashlib

import pandas as pd

from features.cases import build_cases, build_requests
from features.checks import Audit, audit_and_quarantine
from features.encode import PairEncoder
from features.ingest import ingest
from features.pairs import PairSetting, build_constants, build_shard
from features.plan import plan_pairs, shards
from features.raw import CUTOUTS, read_raw
from features.scenes import build_scenes as compose_scenes
from features.scenes import plan_scenes, scene_id
from features.setting import ComposeSetting
from flows.job import Job
from flows.revision import code_digest
from flows.steps import Steps
from models.build import AUTOENCODER, build_text_encoder, load_autoencoder
from models.tasks import Task
from models.weights import load_bundle
from stores.feature_store import FeatureStore
from stores.model_registry.tracking import Tracking, lineage_tags
from stores.receipts import Receipt, save_receipt
from stores.schema import CASES, CLIPS, CONSTANTS, EDIT_PAIRS, EDIT_REQUESTS, QUARANTINE, content_id

EXPERIMENT = "features"
CODE = ("features", "models", "stores")


def build_clips(job: Job, steps: Steps) -> Receipt:
    """Ingest raw pictures and clips into `clips`; what fails goes to quarantine with its reason."""
    store = job.folder("clips")
    steps.run("ingest", lambda: ingest(read_raw(job.data), store, job.params.features, job.limits))
    audit = steps.run("check clips", lambda: audit_and_quarantine(CLIPS, store, job.params.features.checks))
    table = store.publish(CLIPS)
    rejected = store.draft(QUARANTINE).num_rows
    receipt = Receipt(stage="clips", tables={CLIPS.name: table}, figures={"rows": table.rows, "rejected": rejected})
    return _finish(job, steps, store, receipt, audit)


def build_scenes(job: Job, steps: Steps) -> Receipt:
    """Composed pictures and clips into a table of the same columns as `clips`, for the autoencoder."""
    store, params = job.folder("scenes"), job.params.features
    setting = _compose_setting(job, job.params.seed, ("features", "stores"))
    plan = plan_scenes(params)
    steps.run("compose scenes", lambda: compose_scenes(plan, setting, store))
    store.retain(CLIPS, [scene_id(row, setting) for row in plan])
    audit = steps.run("check scenes", lambda: audit_and_quarantine(CLIPS, store, params.checks))
    table = store.publish(CLIPS)
    parents = {"clips": job.receipt("clips").table(CLIPS.name).digest}
    receipt = Receipt(stage="scenes", tables={CLIPS.name: table}, parents=parents, figures={"rows": table.rows})
    return _finish(job, steps, store, receipt, audit)


def build_pairs(job: Job, steps: Steps, stage: str, encoders: Receipt) -> Receipt:
    """Compose, encode, check and publish the pairs of a stage. `encoders` is the receipt that names the autoencoder."""
    name = f"pairs-{stage}"
    store = job.folder(name)
    params = job.params.features
    setting = steps.run("open encoders", lambda: _pair_setting(job, stage, encoders))
    plan = plan_pairs(params.pairs[stage])
    steps.each("encode shard", lambda s: build_shard(s, setting, store), shards(plan, params.pairs[stage].shard))
    store.retain(EDIT_PAIRS, [setting.row_id(row) for row in plan])
    store.retain(CONSTANTS, build_constants(sorted({row.group for row in plan}), setting, store))
    audit = steps.run("check pairs", lambda: audit_and_quarantine(EDIT_PAIRS, store, params.checks))
    tables = {spec.name: store.publish(spec) for spec in (EDIT_PAIRS, CONSTANTS)}
    parents = {
        "clips": job.receipt("clips").table(CLIPS.name).digest,
        "autoencoder": setting.encoder.autoencoder,
        "text_encoder": setting.encoder.text_encoder,
    }
    figures = {"rows": tables[EDIT_PAIRS.name].rows, "planned": len(plan)}
    return _finish(job, steps, store, Receipt(stage=name, tables=tables, parents=parents, figures=figures), audit)


def build_evaluation_cases(job: Job, steps: Steps) -> Receipt:
    """Held-out cases with truths and decoys, and the edit requests they lead to."""
    store = job.folder("cases")
    clips = job.receipt("clips").table(CLIPS.name)
    params = job.params.features
    setting = _compose_setting(job, job.params.evaluation.seed, ("features",))
    # Of an identity nothing can be scored but what it keeps, and it has no decoys; see benchmarks/gates.py.
    tasks = [task for task in params.pairs["one"].tasks if task != Task.IDENTITY.label]
    steps.run("compose cases", lambda: build_cases(setting, tasks, store))
    steps.run("write requests", lambda: build_requests(store, job.params.evaluation.seed, params.cases.framewise_clips))
    tables = {spec.name: store.publish(spec) for spec in (CASES, EDIT_REQUESTS)}
    figures = {"cases": tables[CASES.name].rows, "requests": tables[EDIT_REQUESTS.name].rows}
    receipt = Receipt(stage="cases", tables=tables, parents={"clips": clips.digest}, figures=figures)
    save_receipt(receipt, job.state)
    return receipt


def _pair_setting(job: Job, stage: str, encoders: Receipt) -> PairSetting:
    model, edit = job.model(encoders, AUTOENCODER), job.params.inference
    autoencoder = load_autoencoder(load_bundle(model.folder / "autoencoder.safetensors", AUTOENCODER))
    text = build_text_encoder(job.params.models.text)
    return PairSetting(
        stage=stage,
        compose=_compose_setting(job, job.params.seed, CODE, edit.precision, edit.tiling.model_dump_json()),
        encoder=PairEncoder(autoencoder, model.digest, text, edit.precision, edit.tiling),
    )


def _compose_setting(job: Job, seed: int, rooms: tuple[str, ...], *made_with: str) -> ComposeSetting:
    clips = job.folder("clips").open(job.receipt("clips").table(CLIPS.name))
    cutouts = hashlib.sha256((job.data / CUTOUTS).read_bytes()).hexdigest()
    # All that a row is made from besides the parameters: when any of it changes, rows are made anew.
    code = content_id(code_digest(*rooms), clips.receipt.digest, cutouts, *made_with)
    return ComposeSetting.over(clips, job.data, seed, code, job.params.features, job.limits)


def _finish(job: Job, steps: Steps, store: FeatureStore, receipt: Receipt, audit: Audit) -> Receipt:
    """Show in MLflow and Prefect what was made, then leave the receipt: last of all."""
    values = job.params.features.model_dump(mode="json")
    key = job.key(receipt.stage, CODE, values, receipt.parents)
    with Tracking(job.state).run(EXPERIMENT, receipt.stage, key, values) as run:
        run.metrics(receipt.figures)
        run.tags(lineage_tags(receipt))
        run.note(audit.text())
        run.text(audit.text(), "checks.md")
        run.table(_rows_to_show(store, audit.table), f"{audit.table}.json")
        rejected = store.draft(QUARANTINE).to_pandas()
        if len(rejected):
            run.table(rejected, "quarantine.json")
        steps.note(f"checks-{receipt.stage}", f"{audit.text()}\n{run.link()}\n")
    save_receipt(receipt, job.state)
    return receipt


def _rows_to_show(store: FeatureStore, table: str) -> pd.DataFrame:
    spec = CLIPS if table == CLIPS.name else EDIT_PAIRS
    columns = ["id", "kind", "caption", "scene", "split", "source_uri", "licence"]
    if spec is EDIT_PAIRS:
        columns = ["id", "group", "task", "instruction", "target_caption", "scene", "split", "edit_share"]
    rows: pd.DataFrame = store.draft(spec, columns).to_pandas()
    return rows.head(500)
