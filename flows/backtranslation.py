"""Stage three's pairs: answered edits of clips turned round, and all pairs of an earlier stage once more."""

from features.backtranslated import PURPOSE, BackSetting, backtranslated_makings
from features.fidelity import pair_checks
from features.generated import replay, write_provenance
from features.pairs import PairSetting, build_constants
from features.plan import BACKTRANSLATED, MOVING, plan_pairs, shards
from flows.asking import answer_parents, judge_answers, made_with
from flows.audits import audited, finish
from flows.features import build_shards, longest_first, pair_setting
from flows.job import Job
from flows.multi_frame import build_in_shards
from flows.steps import Steps
from stores.feature_store import FeatureStore
from stores.receipts import Receipt
from stores.schema import CONSTANTS, EDIT_PAIRS, EDIT_SCORES, GENERATED


class OtherEncodersError(ValueError):
    """The pairs to be replayed were encoded by other encoders than this stage's."""


def build_backtranslated_pairs(job: Job, steps: Steps, stage: str, encoders: Receipt) -> Receipt:
    """Encode, check and publish the materials of stage three.

    Raises:
        OtherEncodersError: as said.
    """
    folder, params = f"pairs-{stage}", job.params.features
    wanted, size = params.backtranslated, params.pairs[stage].shard
    store, earlier = job.folder(folder), job.receipt(f"pairs-{wanted.replay}")
    setting = steps.run("open encoders", lambda: pair_setting(job, stage, encoders))
    _require_same_encoders(setting, earlier)
    plan = plan_pairs(params.pairs[stage])
    edits = steps.run("judge edits", lambda: judge_answers(job, setting, store, PURPOSE, wanted.least_accepted))
    turned = backtranslated_makings(edits.accepted, BackSetting(stage, made_with(setting), wanted.backwards))
    build_shards(job, steps, encoders, setting, longest_first(shards(plan, size)))
    build_in_shards(steps, turned, setting, store, size)
    replayed, origins = steps.run("replay pairs", lambda: _replayed(job, earlier, store))
    made = [*(setting.row_id(row) for row in plan), *(one.id for one in turned)]
    store.retain(EDIT_PAIRS, [*made, *replayed])
    store.retain(CONSTANTS, build_constants(sorted({row.group for row in plan} | set(MOVING)), setting, store))
    store.retain(GENERATED, [*write_provenance(turned, store), *origins])
    parents = answer_parents(job, setting) | {"replayed": earlier.table(EDIT_PAIRS.name).digest}
    audit = audited(
        job, steps, "pairs", store, lambda: pair_checks(plan, setting, store, len(replayed), turned), parents
    )
    tables = {spec.name: store.publish(spec) for spec in (EDIT_PAIRS, CONSTANTS, GENERATED, EDIT_SCORES)}
    figures = {
        "rows": tables[EDIT_PAIRS.name].rows,
        "accepted": len(edits.accepted),
        "rejected": len({row["row"] for row in edits.quarantined}),
        BACKTRANSLATED: len(turned),
        "replayed": len(replayed),
    }
    return finish(job, steps, store, Receipt(stage=folder, tables=tables, parents=parents, figures=figures), audit)


def _replayed(job: Job, earlier: Receipt, store: FeatureStore) -> tuple[list[str], list[str]]:
    """Ids of the pairs taken over, and of those among them that were made from answered requests."""
    pairs, origins = earlier.table(EDIT_PAIRS.name), earlier.tables.get(GENERATED.name)
    ids = replay(job.folder(pairs.folder).open(pairs), EDIT_PAIRS, store)
    if origins is None:
        return ids, []
    return ids, replay(job.folder(origins.folder).open(origins), GENERATED, store)


def _require_same_encoders(setting: PairSetting, earlier: Receipt) -> None:
    own = {"autoencoder": setting.encoder.autoencoder, "text_encoder": setting.encoder.text_encoder}
    other = {role: earlier.parents.get(role) for role in own}
    if other != own:
        raise OtherEncodersError(
            f"{earlier.stage} was encoded by {other}, stage {setting.stage!r} encodes by {own}: rerun {earlier.stage}"
        )
