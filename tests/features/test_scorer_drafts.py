"""The small scorer: it learns from composed edits, is the same for the same seed, and comes back from its file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from features.scorer_drafts import ScorerDraft, agreement_with_truth, draw_drafts, examples
from models.scorers.build import build_scorer
from models.scorers.config import TowersConfig
from models.scorers.protocol import Scorer, ScorerError
from models.scorers.towers import Towers, TowersScorer, TowersShape, pooled_texts, save_towers, small_frames
from models.scorers.towers_fit import ScorerExamples, directions, fit_towers, rate
from models.text_encoders.frozen import FrozenEncoder
from tests.features.conftest import Made
from tests.tiny import minilm
from tests.world import colourful

TASKS = {"add": 2, "replace": 1, "identity": 1}


@pytest.fixture(scope="module")
def encoder() -> FrozenEncoder:
    return FrozenEncoder(minilm(48).encoders[0])


@pytest.fixture(scope="module")
def shape(encoder: FrozenEncoder) -> TowersShape:
    return TowersShape(
        side=32, width=16, hidden=64, embedding=32, text=minilm(48).encoders[0], text_width=encoder.widths[0],
        text_revision=encoder.revision,
    )  # fmt: skip


@pytest.fixture(scope="module")
def drafts(made: Made) -> list[ScorerDraft]:
    return draw_drafts(made.setting.compose, TASKS, 24, edits=2, held_out=False)


@pytest.fixture(scope="module")
def learnt(drafts: Sequence[ScorerDraft], shape: TowersShape, encoder: FrozenEncoder) -> Towers:
    return fit_towers(examples(drafts, shape, encoder), shape, steps=60, batch=12, seed=0)


@pytest.fixture(scope="module")
def scorer(learnt: Towers, shape: TowersShape, encoder: FrozenEncoder) -> Scorer:
    return TowersScorer(learnt, shape, encoder)


def test_a_draft_is_a_source_with_different_edits_of_one_task(drafts: Sequence[ScorerDraft]) -> None:
    assert drafts and {draft.task for draft in drafts} == {"add", "replace"}
    for draft in drafts:
        assert draft.frames.dtype == np.uint8 and len(draft.frames) == len(draft.captions) == 3
        assert len(set(draft.captions)) == 3 and not np.array_equal(draft.frames[1], draft.frames[2])


def test_drafts_do_not_depend_on_how_many_are_drawn(made: Made, drafts: Sequence[ScorerDraft]) -> None:
    fewer = draw_drafts(made.setting.compose, TASKS, 3, edits=2, held_out=False)
    assert [draft.captions for draft in fewer] == [draft.captions for draft in drafts[: len(fewer)]]


def test_what_was_learnt_agrees_with_the_truth(drafts: Sequence[ScorerDraft], scorer: Scorer) -> None:
    found = agreement_with_truth(scorer, drafts)
    assert found.drafts == len(drafts)
    assert found.direction > 0.8 and found.directions_apart > 0.7


def test_swapping_the_true_edit_for_another_turns_the_agreement_round(
    drafts: Sequence[ScorerDraft], scorer: Scorer
) -> None:
    swapped = [ScorerDraft(draft.task, draft.frames[[0, 2, 1]], draft.captions) for draft in drafts]
    there, back = (agreement_with_truth(scorer, each) for each in (drafts, swapped))
    assert back.direction == pytest.approx(1 - there.direction)
    assert back.over_other == pytest.approx(1 - there.over_other)


def test_the_same_seed_gives_the_same_towers(
    drafts: Sequence[ScorerDraft], shape: TowersShape, encoder: FrozenEncoder
) -> None:
    few = examples(drafts[:4], shape, encoder)
    one, same, other = (fit_towers(few, shape, steps=2, batch=2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_embeddings_are_unit_vectors_and_the_batch_does_not_matter(scorer: Scorer) -> None:
    assert isinstance(scorer, Scorer)
    frames, texts = colourful(5, 64).frames[:, :48], ["a dog", "a wall of colours with a big owl on the left", "owl"]
    seen, read = scorer.embed_frames(frames), scorer.embed_texts(texts)
    assert torch.allclose(seen.norm(dim=-1), torch.ones(5)) and torch.allclose(read.norm(dim=-1), torch.ones(3))
    assert torch.allclose(seen[3:], scorer.embed_frames(frames[3:]), atol=1e-5)
    assert torch.allclose(read[:1], scorer.embed_texts(texts[:1]), atol=1e-5)
    assert scorer.embed_clip(frames[:1]) @ seen[0] == pytest.approx(1)


def test_a_scorer_comes_back_from_its_file(learnt: Towers, shape: TowersShape, scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "scorer.safetensors"
    save_towers(learnt, shape, path)
    again = build_scorer(TowersConfig(kind="towers", weights=str(path)))
    assert again.revision == scorer.revision
    assert torch.equal(again.embed_frames(colourful(2).frames), scorer.embed_frames(colourful(2).frames))


def test_another_text_encoder_is_refused(learnt: Towers, shape: TowersShape) -> None:
    with pytest.raises(ScorerError, match="read texts by"):
        TowersScorer(learnt, shape, FrozenEncoder(minilm(24).encoders[0]))


def test_small_frames_keep_the_mean_and_texts_their_order(encoder: FrozenEncoder) -> None:
    frames = colourful(2, 64).frames
    assert small_frames(frames, 32).mean().item() == pytest.approx(frames.mean() / 127.5 - 1, abs=1e-5)
    texts = ["a very long caption of a big owl on the left", "owl", "a dog"]
    pooled = pooled_texts(texts, encoder)
    assert torch.allclose(pooled.flip(0), pooled_texts(texts[::-1], encoder), atol=1e-5)


def test_directions_of_a_group_are_from_its_source() -> None:
    found = directions(torch.eye(3)[None])
    assert found.shape == (1, 2, 3) and torch.allclose(found.norm(dim=-1), torch.ones(1, 2))
    assert (found[0, :, 0] < 0).all()


def test_the_rate_goes_up_and_down() -> None:
    rates = [rate(step, 100) for step in range(101)]
    assert rates[9] == rates[10] == 1 and rates[100] == pytest.approx(0)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


def test_nothing_to_contrast_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to contrast"):
        ScorerExamples(torch.zeros(3, 1, 3, 32, 32), torch.zeros(3, 1, 8))
