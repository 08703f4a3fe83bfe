"""Figures of published benchmarks: laws of each, with tiny random models of the real classes."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from transformers import CLIPModel

from models.scorers.config import ClipConfig, PickConfig
from models.scorers.contrast import clip_frame, frame_consistency
from models.scorers.pickscore import PickScorer
from models.scorers.protocol import ScorerError
from models.scorers.published import PublishedJudge, PublishedScorers
from tests.scorer_models import save_scorer
from tests.world import colourful

CAPTIONS = ("a dog left of tree", "a red balloon left of tree")
COMMON = {"device": "cpu", "batch": 2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """CLIP and X-CLIP; and PickScore as it is published, without a tokenizer of its own."""
    found = {kind: save_scorer(kind, tmp_path_factory.mktemp(kind)) for kind in ("clip", "xclip")}
    found["pickscore"] = tmp_path_factory.mktemp("pickscore")
    model = CLIPModel.from_pretrained(found["clip"])
    model.logit_scale.data.fill_(4.6)
    model.save_pretrained(found["pickscore"])
    return found


def _pick(folders: dict[str, Path], **change: str) -> PickConfig:
    told = {"kind": "pickscore", "source": str(folders["pickscore"]), "processor": str(folders["clip"]), **COMMON}
    return PickConfig.model_validate(told | change)


def _judge(folders: dict[str, Path]) -> PublishedJudge:
    kinds = {"clips": "xclip", "frames": "clip"}
    told = {name: {"kind": kind, "source": str(folders[kind]), **COMMON} for name, kind in kinds.items()}
    return PublishedJudge(PublishedScorers.model_validate({**told, "preference": _pick(folders).model_dump()}))


def _frames(count: int, seed: int) -> np.ndarray:
    return colourful(count, 64, seed).frames


@pytest.mark.parametrize("count", [2, 3, 7])
def test_clip_frame_is_the_mean_over_all_ordered_pairs(count: int) -> None:
    frames = normalize(torch.randn(count, 6, generator=torch.Generator().manual_seed(count)), dim=-1)
    pairs = [float(frames[i] @ frames[j]) for i, j in permutations(range(count), 2)]
    assert clip_frame(frames) == pytest.approx(np.mean(pairs), abs=1e-6)


def test_clip_frame_of_a_clip_that_stands_still_is_one_and_of_a_picture_nothing() -> None:
    frame = normalize(torch.randn(1, 6), dim=-1)
    assert clip_frame(frame.repeat(5, 1)) == pytest.approx(1, abs=1e-6) and clip_frame(frame) is None
    # Two halves that differ: neighbours are alike but once, most pairs are not.
    two = torch.eye(2).repeat_interleave(4, dim=0)
    assert clip_frame(two) == pytest.approx(24 / 56) and frame_consistency(two) == pytest.approx(6 / 7)


def test_preference_is_the_logit_of_the_models_own_forward_pass(folders: dict[str, Path]) -> None:
    scorer, frames = PickScorer(_pick(folders)), _frames(3, 1)
    model, clip = CLIPModel.from_pretrained(folders["pickscore"]).eval(), scorer._clip
    told = clip.tokenizer([CAPTIONS[1]], return_tensors="pt")
    with torch.no_grad():
        logits = model(pixel_values=clip.pixels(frames), **told).logits_per_image
    assert scorer.preference(frames, CAPTIONS[1]) == pytest.approx(float(logits.mean()), rel=1e-4)


def test_a_processor_that_is_not_there_is_told(folders: dict[str, Path]) -> None:
    with pytest.raises(ScorerError, match="no folder /nowhere"):
        PickScorer(_pick(folders, processor="/nowhere"))
    with pytest.raises(ScorerError, match=r"scorer pickscore in .*tokenizer"):
        PickScorer(_pick(folders, processor=str(folders["pickscore"])))


def test_a_copy_has_no_distance_and_no_direction(folders: dict[str, Path]) -> None:
    judge = _judge(folders)
    for count in (1, 4):
        frames = _frames(count, 2)
        scores = judge(frames, frames.copy(), *CAPTIONS)
        assert scores.l1 == 0 and scores.direction is None and scores.resemblance == pytest.approx(1, abs=1e-5)
        assert (scores.clip_frame is None) == (count == 1) and scores.agreement and scores.pick_score


def test_an_edit_and_its_way_back_go_the_same_way(folders: dict[str, Path]) -> None:
    judge = _judge(folders)
    for count in (1, 4):
        source, edit = _frames(count, 2), _frames(count, 3)
        there, back = judge(source, edit, *CAPTIONS), judge(edit, source, *CAPTIONS[::-1])
        assert there.direction == pytest.approx(back.direction, abs=1e-5) and there.l1 == pytest.approx(back.l1)
        assert there.l1 == pytest.approx(np.abs(source.astype(float) - edit).mean() / 255)


def test_pictures_are_for_one_scorer_and_clips_for_another(folders: dict[str, Path]) -> None:
    told = {"kind": "clip", "source": str(folders["clip"]), **COMMON}
    config = PublishedScorers(clips=None, frames=ClipConfig.model_validate(told), preference=None)
    judge = PublishedJudge(config)
    assert set(judge.revisions) == {"frames"}
    picture, clip = (judge(_frames(count, 2), _frames(count, 3), *CAPTIONS) for count in (1, 4))
    assert picture.direction is not None and picture.clip_frame is None and picture.pick_score is None
    assert clip.direction is None and clip.agreement is None and clip.clip_frame is not None


def test_clips_of_other_shapes_are_refused(folders: dict[str, Path]) -> None:
    judge = PublishedJudge(PublishedScorers(clips=None, frames=None, preference=None))
    with pytest.raises(ValueError, match="differ in shape"):
        judge(_frames(4, 0), _frames(3, 0), *CAPTIONS)
    assert judge(_frames(4, 0), _frames(4, 1), *CAPTIONS).l1 > 0 and not judge.revisions
