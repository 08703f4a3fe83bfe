"""Stage two's features: edits asked of the stage before, and the pairs that are made of its answers.

The door is the one that users come through (DESIGN: requests and edits). Features ask, inference answers, features
judge the answers and set them in motion.
"""

import os
from collections.abc import Sequence
from dataclasses import replace

from features.animated import (
    ORIGIN,
    AskedEdit,
    AskSetting,
    Judged,
    MotionSetting,
    answered,
    ask,
    judged,
    provenance,
    require_enough,
)
from features.edit_filter import EditJudge, Verdict
from features.fidelity import pair_checks
from features.filter_report import filter_report, write_filter_report
from features.maskers.build import build_masker
from features.maskers.config import MaskerConfig, SaliencyConfig
from features.multi_frame import (
    Making,
    SegmentSetting,
    animated_makings,
    build_makings,
    marked_makings,
    plan_marked,
    plan_requests,
    set_aside,
)
from features.pairs import PairSetting, build_constants
from features.plan import ANIMATED, MOVING, SEGMENTATION, PlannedRow, plan_pairs, shards
from features.writers.build import build_writer
from features.writers.protocol import WriterReport
from flows.audits import CODE, audited, finish, finish_requests, report_folder
from flows.features import build_shards, compose_setting, longest_first, pair_setting
from flows.job import Job
from flows.settings import ROOT
from flows.steps import Steps
from models.scorers.build import build_scorer
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import (
    CLIPS,
    CONSTANTS,
    EDIT_PAIRS,
    EDIT_REQUESTS,
    EDIT_SCORES,
    EDITS,
    GENERATED,
    QUARANTINE,
    content_id,
)

FILTER = "filter.md"


def ask_edits(job: Job, steps: Steps, stage: str) -> Receipt:
    """Frames of clips with instructions, into `edit_requests`; captions without an edit go to quarantine."""
    folder, params = f"requests-{stage}", job.params.features
    store, animated = job.folder(folder), params.multi_frame.animated
    compose = compose_setting(job, job.params.seed, CODE)
    writer = steps.run("open writer", lambda: build_writer(animated.writer, os.environ))
    setting = AskSetting(stage, compose, writer, animated)
    plan = plan_requests(animated, params.pairs[stage].validation_share)
    parts = shards(plan, params.pairs[stage].shard)
    reports = steps.each("write requests", lambda rows: _ask(rows, setting, store), parts)
    ids = [setting.request_id(row) for row in plan]
    store.retain(EDIT_REQUESTS, ids)
    set_aside(store, ORIGIN, (), keep=ids)
    table = store.publish(EDIT_REQUESTS)
    parents = {"clips": job.receipt("clips").table(CLIPS.name).digest}
    figures = {"requests": table.rows, "rejected": len(plan) - table.rows}
    receipt = Receipt(stage=folder, tables={EDIT_REQUESTS.name: table}, parents=parents, figures=figures)
    cost = sum(reports, WriterReport())
    return finish_requests(job, store, receipt, {f"writer/{name}": value for name, value in vars(cost).items()})


def build_multi_frame_pairs(job: Job, steps: Steps, stage: str, encoders: Receipt) -> Receipt:
    """Answered edits in motion, marked clips and captioned clips: encoded, checked, published."""
    folder, params = f"pairs-{stage}", job.params.features
    store = job.folder(folder)
    setting = steps.run("open encoders", lambda: pair_setting(job, stage, encoders))
    plan = plan_pairs(params.pairs[stage])
    # First, for if they are too few, that should be told before hours of encoding.
    edits = steps.run("judge edits", lambda: _judged(job, setting, store))
    motion = _motion_setting(job, setting)
    animated = animated_makings(edits.accepted, motion, params.multi_frame.animated.motions)
    marked = steps.run("open masker", lambda: _marked(job, setting))
    build_shards(job, steps, encoders, setting, longest_first(shards(plan, params.pairs[stage].shard)))
    _build(steps, [*animated, *marked], setting, store, params.pairs[stage].shard)
    set_aside(store, SEGMENTATION, (), keep=[one.id for one in marked])
    made = store.ids(EDIT_PAIRS)
    generated = [one for one in (*animated, *marked) if one.id in made]
    store.retain(EDIT_PAIRS, [*(setting.row_id(row) for row in plan), *(one.id for one in generated)])
    store.retain(CONSTANTS, build_constants(sorted({row.group for row in plan} | set(MOVING)), setting, store))
    _write_provenance(store, edits, motion, params.multi_frame.animated.motions)
    parents = {
        "clips": job.receipt("clips").table(CLIPS.name).digest,
        "autoencoder": setting.encoder.autoencoder,
        "text_encoder": setting.encoder.text_encoder,
        "requests": job.receipt(f"requests-{stage}").table(EDIT_REQUESTS.name).digest,
        "edits": job.receipt(f"answers-{stage}").table(EDITS.name).digest,
    }
    audit = audited(job, steps, "pairs", store, lambda: pair_checks(plan, setting, store, generated=generated), parents)
    tables = {spec.name: store.publish(spec) for spec in (EDIT_PAIRS, CONSTANTS, GENERATED, EDIT_SCORES)}
    figures = {
        "rows": tables[EDIT_PAIRS.name].rows,
        "accepted": len(edits.accepted),
        "rejected": len({row["row"] for row in edits.quarantined}),
        "animated": sum(one.group == ANIMATED for one in generated),
        "marked": sum(one.group == SEGMENTATION for one in generated),
    }
    return finish(job, steps, store, Receipt(stage=folder, tables=tables, parents=parents, figures=figures), audit)


def _ask(rows: Sequence[PlannedRow], setting: AskSetting, store: FeatureStore) -> WriterReport:
    """Write what the store lacks of some requests: answers of a model may have been paid for."""
    known = store.ids(EDIT_REQUESTS) | set(store.draft(QUARANTINE, ["row"])["row"].to_pylist())
    asked = ask([row for row in rows if setting.request_id(row) not in known], setting)
    store.upsert(EDIT_REQUESTS, asked.requests)
    store.quarantine(asked.quarantined)
    return asked.report


def _judged(job: Job, setting: PairSetting, store: FeatureStore) -> Judged:
    """Which answers may be trained on; the others are in quarantine with their reasons.

    Raises:
        TooFewEditsError: fewer of them than params.yaml asks for.
    """
    stage, params = setting.stage, job.params.features
    requests = job.folder(f"requests-{stage}").open(job.receipt(f"requests-{stage}").table(EDIT_REQUESTS.name))
    edits = job.folder(f"answers-{stage}").open(job.receipt(f"answers-{stage}").table(EDITS.name))
    filtered = EditJudge(params.filter.thresholds, build_scorer(params.filter.scorer) if params.filter.scorer else None)

    def judge(edit: AskedEdit) -> Verdict:
        return filtered(replace(edit, source=setting.encoder.through(edit.source[None])[0]))

    found = judged(answered(requests.rows().to_pylist(), edits.rows().to_pylist()), judge)
    set_aside(store, ORIGIN, found.quarantined)
    store.upsert(EDIT_SCORES, [one.score_row() for one in found.edits], replace=True)
    store.retain(EDIT_SCORES, [one.edit.edit_id for one in found.edits])
    write_filter_report(filter_report(found.scored(), params.filter.thresholds), report_folder(job, store) / FILTER)
    require_enough(found, params.multi_frame.animated.least_accepted)
    return found


def _made_with(setting: PairSetting) -> str:
    return content_id(setting.compose.code, setting.encoder.autoencoder, setting.encoder.text_encoder)


def _motion_setting(job: Job, setting: PairSetting) -> MotionSetting:
    params = job.params.features
    return MotionSetting(
        setting.stage, _made_with(setting), params.multi_frame.animated.motion, params.geometry.clip_frames
    )


def _marked(job: Job, setting: PairSetting) -> list[Making]:
    params = job.params.features
    wanted = params.multi_frame.segmentation
    masker = build_masker(_here(wanted.masker))
    segment = SegmentSetting(setting.stage, _made_with(setting), setting.compose, masker, wanted.composed_share)
    return marked_makings(plan_marked(wanted, params.pairs[setting.stage].validation_share), segment)


def _here(config: MaskerConfig) -> MaskerConfig:
    """The config with its network's file looked for in the checkout, wherever a worker was started."""
    if isinstance(config, SaliencyConfig):
        return config.model_copy(update={"network": str(ROOT / config.network)})
    return config


def _build(steps: Steps, makings: list[Making], setting: PairSetting, store: FeatureStore, size: int) -> None:
    parts = [makings[start : start + size] for start in range(0, len(makings), size)]
    steps.each("encode generated shard", lambda part: build_makings(part, setting.encoder, store), parts)


def _write_provenance(store: FeatureStore, edits: Judged, motion: MotionSetting, motions: int) -> None:
    numbered = [(edit, number) for edit in edits.accepted for number in range(motions)]
    rows = [provenance(motion.row_id(edit, number), edit) for edit, number in numbered]
    store.upsert(GENERATED, rows)
    store.retain(GENERATED, [row["id"] for row in rows])
