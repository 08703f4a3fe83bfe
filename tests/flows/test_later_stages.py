"""Where edits come from, and the later stages in the chain: each learns from edits that the one before answered."""

import pytest

from features.asked import TooFewEditsError
from flows.stages import run_stages
from flows.steps import PlainSteps
from flows.workers import threads
from models.build import EDITOR
from stores.feature_store import FeatureStore
from stores.lineage import trace
from stores.schema import EDIT_PAIRS, EDITS, GENERATED
from tests.flows.checkout import Made


def test_an_edit_is_traced_back_to_raw_files(made: Made) -> None:
    state = made.checkout.job().state
    (edit, *_) = FeatureStore(state.store, "edits-one").draft(EDITS, ["id"])["id"].to_pylist()
    tree = trace(state, edit)
    assert [node.name for node in tree.made_from if node.kind == "model"] == ["editor version 2"]
    # The first is the shipped one, from which the stage started; its card tells what that went on from.
    assert {"autoencoder version 1", "editor version 1"} <= {node.name for node in tree.find("model")}
    files = {node.name for node in tree.find("file")}
    assert files and all(name.startswith(("photos/photos.parquet#", "clips/")) for name in files)
    assert f"digest: {made.checkout.job().receipt('pairs-one').table('edit_pairs').digest}" in tree.text()


def test_an_edit_of_stage_two_leads_to_the_edits_it_learned_from_and_the_model_that_made_them(made: Made) -> None:
    state = made.checkout.job().state
    (edit, *_) = FeatureStore(state.store, "edits-two").draft(EDITS, ["id"])["id"].to_pylist()
    pairs = next(node for node in trace(state, edit).find("table") if node.name.startswith("pairs-two/"))
    assert {node.name for node in pairs.made_from if node.kind == "model"} == {"editor version 2"}
    answers = set(FeatureStore(state.store, "answers-two").draft(EDITS, ["id"])["id"].to_pylist())
    told = [node.name for node in pairs.made_from if node.kind == "edit" and not node.name.startswith("and ")]
    assert told and set(told) <= answers


def test_animated_targets_come_only_from_edits_that_were_answered(made: Made) -> None:
    """Never from the composer, which knows the truth."""
    root = made.checkout.job().state.store
    rows = FeatureStore(root, "pairs-two").draft(EDIT_PAIRS, ["id", "group", "maker"]).to_pylist()
    answered = {row["id"]: row["model_digest"] for row in FeatureStore(root, "answers-two").draft(EDITS).to_pylist()}
    origin = {row["id"]: row for row in FeatureStore(root, "pairs-two").draft(GENERATED).to_pylist()}
    animated = [row for row in rows if row["group"] == "animated"]
    assert animated and {row["id"] for row in animated} == set(origin)
    for row in animated:
        assert answered[origin[row["id"]]["edit_id"]] == origin[row["id"]]["model_digest"] == row["maker"]
        assert row["maker"] == made.checkout.job().receipt("one").model(EDITOR).digest


def test_backtranslated_sources_come_only_from_edits_of_stage_two(made: Made) -> None:
    """And their targets from the clips that it was asked about: `tests/features/test_backtranslated.py`."""
    root, job = made.checkout.job().state.store, made.checkout.job()
    rows = FeatureStore(root, "pairs-three").draft(EDIT_PAIRS, ["id", "group", "maker"]).to_pylist()
    origin = {row["id"]: row for row in FeatureStore(root, "pairs-three").draft(GENERATED).to_pylist()}
    answered = FeatureStore(root, "answers-three").ids(EDITS)
    turned = [row for row in rows if row["group"] == "backtranslated"]
    assert len(turned) == job.receipt("pairs-three").figures["backtranslated"] > 0
    for row in turned:
        assert origin[row["id"]]["edit_id"] in answered
        assert row["maker"] == origin[row["id"]]["model_digest"] == job.receipt("two").model(EDITOR).digest


def test_stage_three_holds_all_pairs_of_stage_two_as_they_are(made: Made) -> None:
    root = made.checkout.job().state.store
    two, three = (
        FeatureStore(root, f"pairs-{stage}").draft(EDIT_PAIRS, ["id", "sha256"]) for stage in ("two", "three")
    )
    assert {(row["id"], row["sha256"]) for row in two.to_pylist()} <= {
        (row["id"], row["sha256"]) for row in three.to_pylist()
    }


def test_every_stage_tells_what_it_forgets_of_its_base(made: Made) -> None:
    """The untouched base is the same for all; what it says of the same clips differs with the stage's table alone."""
    for stage in ("one", "two", "three"):
        figures = made.checkout.job().receipt(stage).figures
        for scenes in ("seen", "unseen"):
            assert figures[f"text_to_video_{scenes}"] > 0 and figures[f"text_to_video_{scenes}_of_base"] > 0


def test_too_few_accepted_edits_stop_stage_two_and_say_why(made: Made) -> None:
    strict = ("features.multi_frame.animated.least_accepted=99", "features.filter.thresholds.least_change_share=0.99")
    with pytest.raises(
        TooFewEditsError, match=r"accepted, 99 are needed; rejected: \d+ x share of changed pixels below"
    ):
        run_stages(("pairs-two",), made.checkout.job(*strict), PlainSteps())
    report = made.checkout.root / "outputs" / "checks" / "pairs-two" / "filter.md"
    assert "share of changed pixels below 0.99" in report.read_text()
    with threads(1):
        run_stages(("pairs-two",), made.checkout.job(), PlainSteps())
    assert made.checkout.receipts() == made.receipts
