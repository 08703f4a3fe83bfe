"""Edits that a stage is trained on, asked of the stage before: requests out, answers judged.

The door is the one that users come through (DESIGN: requests and edits). Features ask, inference answers, features
judge the answers.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from features import animated, backtranslated
from features.asked import AskedEdit, AskSetting, Judged, answered, ask, judged, require_enough
from features.edit_filter import EditJudge, Verdict
from features.filter_report import filter_report, write_filter_report
from features.generated import set_aside
from features.pairs import PairSetting
from features.plan import PlannedRow, shards
from features.writers.build import build_writer
from features.writers.protocol import UNREACHED, WriterReport
from flows.audits import CODE, finish_requests, report_folder
from flows.features import compose_setting
from flows.job import Job
from flows.steps import Steps
from models.scorers.build import build_scorer
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import CLIPS, EDIT_REQUESTS, EDIT_SCORES, EDITS, QUARANTINE, content_id

FILTER = "filter.md"


def ask_frames(job: Job, steps: Steps, stage: str) -> Receipt:
    """Frames of clips with instructions, into `edit_requests`; captions without an edit go to quarantine."""
    params, compose = job.params.features.multi_frame.animated, compose_setting(job, job.params.seed, CODE)
    setting = AskSetting(
        stage=stage,
        purpose=animated.PURPOSE,
        compose=compose,
        writer=steps.run("open writer", lambda: build_writer(params.writer, os.environ)),
        moment=partial(animated.draw_frame, compose=compose, filmed_share=params.filmed_share),
        drawn_by=str(params.filmed_share),
        sampling=params.sampling.settings(),
    )
    plan = animated.plan_frames(params, job.params.features.pairs[stage].validation_share)
    return _ask_all(job, steps, setting, plan)


def ask_clips(job: Job, steps: Steps, stage: str) -> Receipt:
    """The same with clips, and with the way back; an edit that none can be written for is not asked."""
    params, compose = job.params.features.backtranslated, compose_setting(job, job.params.seed, CODE)
    setting = AskSetting(
        stage=stage,
        purpose=backtranslated.PURPOSE,
        compose=compose,
        writer=steps.run("open writer", lambda: build_writer(params.writer, os.environ)),
        moment=partial(backtranslated.draw_clip, compose=compose, composed_share=params.composed_share),
        drawn_by=str(params.composed_share),
        sampling=params.sampling.settings(),
        both_ways=True,
    )
    plan = backtranslated.plan_clips(params, job.params.features.pairs[stage].validation_share)
    return _ask_all(job, steps, setting, plan)


def judge_answers(job: Job, setting: PairSetting, store: FeatureStore, purpose: str, least: int) -> Judged:
    """Which answers may be trained on; the others are in quarantine with their reasons.

    Raises:
        TooFewEditsError: fewer than `least` of them.
    """
    stage, params = setting.stage, job.params.features.filter
    requests = job.folder(f"requests-{stage}").open(job.receipt(f"requests-{stage}").table(EDIT_REQUESTS.name))
    edits = job.folder(f"answers-{stage}").open(job.receipt(f"answers-{stage}").table(EDITS.name))
    filtered = EditJudge(params.thresholds, build_scorer(params.scorer) if params.scorer else None)

    def judge(edit: AskedEdit) -> Verdict:
        return filtered(replace(edit, source=setting.encoder.through(edit.source)))

    asked = answered(requests.rows().to_pylist(), edits.rows().to_pylist(), purpose)
    found = judged(asked, judge, purpose)
    set_aside(store, purpose, found.quarantined)
    store.upsert(EDIT_SCORES, [one.score_row() for one in found.edits], replace=True)
    store.retain(EDIT_SCORES, [one.edit.edit_id for one in found.edits])
    write_filter_report(filter_report(found.scored(), params.thresholds), report_folder(job, store) / FILTER)
    require_enough(found, least)
    return found


def answer_parents(job: Job, setting: PairSetting) -> dict[str, str]:
    """The digests of what a stage's generated pairs are made from."""
    stage = setting.stage
    return {
        "clips": job.receipt("clips").table(CLIPS.name).digest,
        "autoencoder": setting.encoder.autoencoder,
        "text_encoder": setting.encoder.text_encoder,
        "requests": job.receipt(f"requests-{stage}").table(EDIT_REQUESTS.name).digest,
        "edits": job.receipt(f"answers-{stage}").table(EDITS.name).digest,
    }


def made_with(setting: PairSetting) -> str:
    """A digest of the code and the encoders that generated pairs are made with."""
    return content_id(setting.compose.code, setting.encoder.autoencoder, setting.encoder.text_encoder)


def _ask_all(job: Job, steps: Steps, setting: AskSetting, plan: list[PlannedRow]) -> Receipt:
    folder = f"requests-{setting.stage}"
    store = job.folder(folder)
    _forget_unanswered(store)
    parts = shards(plan, job.params.features.pairs[setting.stage].shard)
    reports = steps.each("write requests", lambda rows: _ask(rows, setting, store), parts)
    ids = [setting.request_id(row) for row in plan]
    store.retain(EDIT_REQUESTS, ids)
    set_aside(store, setting.purpose, (), keep=ids)
    table = store.publish(EDIT_REQUESTS)
    parents = {"clips": job.receipt("clips").table(CLIPS.name).digest}
    figures = {"requests": table.rows, "rejected": len(plan) - table.rows}
    receipt = Receipt(stage=folder, tables={EDIT_REQUESTS.name: table}, parents=parents, figures=figures)
    cost = sum(reports, WriterReport())
    return finish_requests(job, store, receipt, {f"writer/{name}": value for name, value in vars(cost).items()})


def _forget_unanswered(store: FeatureStore) -> None:
    """What an endpoint did not answer is asked again; what it answered badly is not."""
    if store.has(QUARANTINE):
        found = store.draft(QUARANTINE, ["id", "reason"]).to_pylist()
        store.retain(QUARANTINE, [row["id"] for row in found if not row["reason"].startswith(UNREACHED)])


def _ask(rows: Sequence[PlannedRow], setting: AskSetting, store: FeatureStore) -> WriterReport:
    """Write what the store lacks of some requests: answers of a model may have been paid for."""
    known = store.ids(EDIT_REQUESTS) | set(store.draft(QUARANTINE, ["row"])["row"].to_pylist())
    asked = ask([row for row in rows if setting.request_id(row) not in known], setting)
    store.upsert(EDIT_REQUESTS, asked.requests)
    store.quarantine(asked.quarantined)
    return asked.report
