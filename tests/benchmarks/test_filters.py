"""The records about filters and scorers say what was measured, flat and complete."""

import json

import numpy as np
import torch

from benchmarks import filters, scorers
from features.edit_filter import EditScores
from features.filter_report import ScoredEdit, filter_report
from features.params import EditFilterParams
from features.scorer_drafts import ScorerDraft
from flows.record import RESULTS
from models.scorers.towers import Towers, TowersScorer
from models.text_encoders.frozen import FrozenEncoder


def test_figures_of_a_filter_say_what_it_keeps_and_how_good_that_is() -> None:
    def edit(number: int, change: float) -> ScoredEdit:
        scores = EditScores(0.1, change, 1.0, 1.0, None, None)
        return ScoredEdit(str(number), scores, success=change > 40, edit_psnr=change / 2)

    params = EditFilterParams.model_validate(dict.fromkeys(EditFilterParams.model_fields) | {"least_change_inside": 30})
    found = filters.figures_of(filter_report([edit(1, 10.0), edit(2, 35.0), edit(3, 60.0)], params))
    assert (found["edits"], found["kept"]) == (3, 2)
    assert (found["success_of_kept"], found["success_of_rejected"], found["edit_psnr_of_rejected"]) == (0.5, 0, 5)
    assert found["separation/change"] == 1 and found["separation/sharpness of the source's"] == 0.5
    assert "separation/flicker" not in found, "it was defined for none"


def test_figures_of_a_scorer_have_every_task() -> None:
    encoder = FrozenEncoder(scorers.TEXT)
    shape = scorers.tower_shape(encoder).model_copy(update={"width": 8, "hidden": 16, "embedding": 8})
    torch.manual_seed(0)
    scorer = TowersScorer(Towers(shape).eval(), shape, encoder)
    pictures = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    captions = ("a park", "a park with an owl", "a park with a frog")
    found = scorers.figures_of(scorer, [ScorerDraft(task, pictures, captions) for task in ("add", "replace")])
    assert found["drafts"] == 2 and {"direction/add", "direction/replace"} <= set(found)
    assert all(0 <= value <= 1 for name, value in found.items() if name != "drafts")


def test_the_committed_filter_keeps_the_better_edits() -> None:
    figures = json.loads((RESULTS / "filters.json").read_text())["figures"]
    assert figures["edits"] >= 300 and 0.5 * figures["edits"] < figures["kept"] < figures["edits"]
    assert figures["success_of_kept"] > figures["success_of_rejected"]
