"""Stage two's pairs: answered edits of frames set in motion, clips with a thing marked, captioned clips."""

from features.animated import PURPOSE, MotionSetting, animated_makings
from features.fidelity import pair_checks
from features.generated import Making, build_makings, set_aside, write_provenance
from features.maskers.build import build_masker
from features.maskers.config import MaskerConfig, SaliencyConfig
from features.pairs import PairSetting, build_constants
from features.plan import ANIMATED, MOVING, SEGMENTATION, plan_pairs, shards
from features.segmentation import SegmentSetting, marked_makings, plan_marked
from flows.asking import answer_parents, judge_answers, made_with
from flows.audits import audited, finish
from flows.features import build_shards, longest_first, pair_setting
from flows.job import Job
from flows.settings import ROOT
from flows.steps import Steps
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import CONSTANTS, EDIT_PAIRS, EDIT_SCORES, GENERATED


def build_multi_frame_pairs(job: Job, steps: Steps, stage: str, encoders: Receipt) -> Receipt:
    """Encode, check and publish the three materials of stage two."""
    folder, params = f"pairs-{stage}", job.params.features
    wanted, size = params.multi_frame.animated, params.pairs[stage].shard
    store = job.folder(folder)
    setting = steps.run("open encoders", lambda: pair_setting(job, stage, encoders))
    plan = plan_pairs(params.pairs[stage])
    # First, for if they are too few, that should be told before hours of encoding.
    edits = steps.run("judge edits", lambda: judge_answers(job, setting, store, PURPOSE, wanted.least_accepted))
    motion = MotionSetting(stage, made_with(setting), wanted.motion, params.geometry.clip_frames)
    moved = animated_makings(edits.accepted, motion, wanted.motions)
    marked = steps.run("open masker", lambda: _marked(job, setting))
    build_shards(job, steps, encoders, setting, longest_first(shards(plan, size)))
    build_in_shards(steps, [*moved, *marked], setting, store, size)
    set_aside(store, SEGMENTATION, (), keep=[one.id for one in marked])
    made = store.ids(EDIT_PAIRS)
    generated = [one for one in (*moved, *marked) if one.id in made]
    store.retain(EDIT_PAIRS, [*(setting.row_id(row) for row in plan), *(one.id for one in generated)])
    store.retain(CONSTANTS, build_constants(sorted({row.group for row in plan} | set(MOVING)), setting, store))
    store.retain(GENERATED, write_provenance(moved, store))
    parents = answer_parents(job, setting)
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


def build_in_shards(steps: Steps, makings: list[Making], setting: PairSetting, store: FeatureStore, size: int) -> None:
    """Make and encode generated pairs, one task a shard."""
    parts = [makings[start : start + size] for start in range(0, len(makings), size)]
    steps.each("encode generated shard", lambda part: build_makings(part, setting.encoder, store), parts)


def _marked(job: Job, setting: PairSetting) -> list[Making]:
    params = job.params.features
    wanted = params.multi_frame.segmentation
    masker = build_masker(_here(wanted.masker))
    segment = SegmentSetting(setting.stage, made_with(setting), setting.compose, masker, wanted.composed_share)
    return marked_makings(plan_marked(wanted, params.pairs[setting.stage].validation_share), segment)


def _here(config: MaskerConfig) -> MaskerConfig:
    """The config with its network's file looked for in the checkout, wherever a worker was started."""
    if isinstance(config, SaliencyConfig):
        return config.model_copy(update={"network": str(ROOT / config.network)})
    return config
