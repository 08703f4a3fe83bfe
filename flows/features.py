"""The feature pipeline: raw files to `clips`, composed pairs of a stage, held-out cases. One function a stage."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from features.cases import build_cases, build_requests, case_checks
from features.check_tables import ClipChecks
from features.encode import PairEncoder
from features.fidelity import pair_checks
from features.folders import read_folder
from features.imports import Imports, import_table, require_both_sides, settled
from features.ingest import ingest
from features.pairs import PairSetting, build_constants, build_shard
from features.plan import IMAGE_EDIT, TEXT_TO_VIDEO, PlannedRow, plan_pairs, shards
from features.raw import CUTOUTS, RawItem, read_raw
from features.scenes import build_scenes as compose_scenes
from features.scenes import plan_scenes, scene_id
from features.setting import ComposeSetting
from features.triple_intake import ImportSetting
from flows.audits import CODE, audited, finish
from flows.job import Job
from flows.revision import code_digest
from flows.settings import ROOT, processes
from flows.steps import Steps
from flows.workers import at_work
from models.build import AUTOENCODER, build_text_encoder, load_autoencoder
from models.tasks import Task
from models.weights import load_bundle
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import CASES, CLIPS, CONSTANTS, EDIT_PAIRS, EDIT_REQUESTS, QUARANTINE, TRIPLES, content_id

IMPORTING = "one"  # the stage that takes the user's triples


def build_clips(job: Job, steps: Steps) -> Receipt:
    """Ingest raw pictures and clips into `clips`; what fails goes to quarantine with its reason."""
    store = job.folder("clips")
    steps.run("ingest", lambda: ingest(_offered(job), store, job.params.features, job.limits))
    audit = audited(job, steps, "clips", store, ClipChecks, {})
    table = store.publish(CLIPS)
    rejected = store.draft(QUARANTINE).num_rows
    receipt = Receipt(stage="clips", tables={CLIPS.name: table}, figures={"rows": table.rows, "rejected": rejected})
    return finish(job, steps, store, receipt, audit)


def build_scenes(job: Job, steps: Steps) -> Receipt:
    """Composed pictures and clips into a table of the same columns as `clips`, for the autoencoder."""
    store, params = job.folder("scenes"), job.params.features
    setting = compose_setting(job, job.params.seed, ("features", "stores"))
    plan = plan_scenes(params)
    steps.run("compose scenes", lambda: compose_scenes(plan, setting, store))
    store.retain(CLIPS, [scene_id(row, setting) for row in plan])
    parents = {"clips": job.receipt("clips").table(CLIPS.name).digest}
    audit = audited(job, steps, "scenes", store, ClipChecks, parents)
    table = store.publish(CLIPS)
    receipt = Receipt(stage="scenes", tables={CLIPS.name: table}, parents=parents, figures={"rows": table.rows})
    return finish(job, steps, store, receipt, audit)


def build_pairs(job: Job, steps: Steps, stage: str, encoders: Receipt) -> Receipt:
    """Import, compose, encode, check and publish the pairs of a stage. `encoders` is the receipt of the autoencoder."""
    name = f"pairs-{stage}"
    store = job.folder(name)
    params = job.params.features
    setting = steps.run("open encoders", lambda: pair_setting(job, stage, encoders))
    plan = plan_pairs(params.pairs[stage])
    # First, for what is wrong with a table should be told before hours of composing.
    imports = _import_triples(job, steps, setting, store)
    build_shards(job, steps, encoders, setting, longest_first(shards(plan, params.pairs[stage].shard)))
    store.retain(EDIT_PAIRS, [*(setting.row_id(row) for row in plan), *imports.ids])
    groups = {row.group for row in plan} | ({IMAGE_EDIT} if imports.ids else set())
    store.retain(CONSTANTS, build_constants(sorted(groups), setting, store))
    parents = {
        "clips": job.receipt("clips").table(CLIPS.name).digest,
        "autoencoder": setting.encoder.autoencoder,
        "text_encoder": setting.encoder.text_encoder,
    }
    audit = audited(job, steps, "pairs", store, lambda: pair_checks(plan, setting, store, len(imports.ids)), parents)
    tables = {spec.name: store.publish(spec) for spec in (EDIT_PAIRS, CONSTANTS)}
    figures = {"rows": tables[EDIT_PAIRS.name].rows, "planned": len(plan) + len(imports.ids)}
    if job.params.features.sources.triples and stage == IMPORTING:
        tables[TRIPLES.name] = store.publish(TRIPLES)
        figures |= {"imported": len(imports.ids), "rejected": len(imports.refused)}
    return finish(job, steps, store, Receipt(stage=name, tables=tables, parents=parents, figures=figures), audit)


def build_shards(
    job: Job, steps: Steps, encoders: Receipt, setting: PairSetting, parts: Sequence[list[PlannedRow]]
) -> None:
    """Compose, encode and write what the store lacks of some shards, in as many processes as the environment says."""
    count = min(processes(), len(parts))
    if count <= 1:
        store = job.folder(f"pairs-{setting.stage}")
        steps.each("encode shard", lambda part: build_shard(part, setting, store), parts)
        return
    with at_work(count, partial(shard_builder, job, setting.stage, encoders)) as build:
        steps.each("encode shard", build, parts, count)


def longest_first(parts: Sequence[list[PlannedRow]]) -> list[list[PlannedRow]]:
    """Clips before pictures: begun last, a shard of clips would keep one process busy when the others are done."""
    return sorted(parts, key=lambda part: part[0].group != TEXT_TO_VIDEO)


def shard_builder(job: Job, stage: str, encoders: Receipt) -> Callable[[Sequence[PlannedRow]], int]:
    """Open what a shard of pairs is built with, in the process that shall build it."""
    setting, store = pair_setting(job, stage, encoders), job.folder(f"pairs-{stage}")
    return lambda part: build_shard(part, setting, store)


def build_evaluation_cases(job: Job, steps: Steps) -> Receipt:
    """Held-out cases with truths and decoys, and the edit requests they lead to."""
    store = job.folder("cases")
    parents = {"clips": job.receipt("clips").table(CLIPS.name).digest}
    params = job.params.features
    setting = compose_setting(job, job.params.evaluation.seed, ("features",))
    # Of an identity nothing can be scored but what it keeps, and it has no decoys; see benchmarks/gates.py.
    tasks = [task for task in params.pairs["one"].tasks if task != Task.IDENTITY.label]
    steps.run("compose cases", lambda: build_cases(setting, tasks, store))
    audit = audited(job, steps, "cases", store, lambda: case_checks(setting, tasks), parents)
    steps.run("write requests", lambda: build_requests(store, job.params.evaluation.seed, params.cases.framewise_clips))
    tables = {spec.name: store.publish(spec) for spec in (CASES, EDIT_REQUESTS)}
    figures = {"cases": tables[CASES.name].rows, "requests": tables[EDIT_REQUESTS.name].rows}
    return finish(job, steps, store, Receipt(stage="cases", tables=tables, parents=parents, figures=figures), audit)


def _offered(job: Job) -> Iterator[RawItem]:
    """The data folder, then the user's own folders."""
    yield from read_raw(job.data)
    for name in job.params.features.sources.clips:
        yield from read_folder(ROOT / name, name)


def _import_triples(job: Job, steps: Steps, setting: PairSetting, store: FeatureStore) -> Imports:
    """The user's own triples, written; what cannot be used is in quarantine."""
    params, edit = job.params.features, job.params.inference
    names = params.sources.triples if setting.stage == IMPORTING else ()
    code = content_id(code_digest(*CODE), edit.precision, edit.tiling.model_dump_json())
    importing = ImportSetting(setting.stage, code, params, job.limits, setting.encoder)
    read = steps.each("import table", lambda name: import_table(ROOT / name, name, importing, store), names)
    clips = job.folder("clips").open(job.receipt("clips").table(CLIPS.name))
    imports = settled(read, clips, params.quality)
    if names and not params.pairs[setting.stage].image_edit:
        require_both_sides(imports)
    rejected = imports.quarantined()
    others = store.draft(QUARANTINE, ["id"], where="origin != 'triples'")["id"].to_pylist()
    store.upsert(QUARANTINE, rejected)
    store.retain(QUARANTINE, [*others, *(row["id"] for row in rejected)])
    store.retain(TRIPLES, imports.ids)
    return imports


def pair_setting(job: Job, stage: str, encoders: Receipt) -> PairSetting:
    """What the pairs of a stage are built with: clips, cut-outs and the encoders that a receipt names."""
    model, edit = job.model(encoders, AUTOENCODER), job.params.inference
    autoencoder = load_autoencoder(load_bundle(model.folder / "autoencoder.safetensors", AUTOENCODER))
    text = build_text_encoder(job.params.models.text)
    return PairSetting(
        stage=stage,
        compose=compose_setting(job, job.params.seed, CODE, edit.precision, edit.tiling.model_dump_json()),
        encoder=PairEncoder(autoencoder, model.digest, text, edit.precision, edit.tiling),
    )


def compose_setting(job: Job, seed: int, rooms: tuple[str, ...], *made_with: str) -> ComposeSetting:
    """What scenes, pairs and cases are composed from; `rooms` hold the code that their rows depend on."""
    clips = job.folder("clips").open(job.receipt("clips").table(CLIPS.name))
    cutouts = hashlib.sha256((job.data / CUTOUTS).read_bytes()).hexdigest()
    # All that a row is made from besides the parameters: when any of it changes, rows are made anew.
    code = content_id(code_digest(*rooms), clips.receipt.digest, cutouts, *made_with)
    return ComposeSetting.over(clips, job.data, seed, code, job.params.features, job.limits)
