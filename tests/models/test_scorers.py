"""Scorers: laws of what embeddings say, then CLIP and X-CLIP, tiny and random: what they see means nothing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from transformers import CLIPImageProcessorPil

from models.scorers.build import build_scorer
from models.scorers.config import ClipConfig, TowersConfig, XClipConfig
from models.scorers.contrast import agreement, contrast, direction, frame_consistency, resemblance
from models.scorers.pretrained import load
from models.scorers.protocol import Scorer, ScorerError
from tests.scorer_models import MEAN, SIDE, STD, save_scorer
from tests.world import colourful

CAPTIONS = ("a dog left of tree", "a red balloon left of tree")
KINDS = ("clip", "xclip")


def _unit(seed: int) -> torch.Tensor:
    return normalize(torch.randn(8, generator=torch.Generator().manual_seed(seed)), dim=0)


def _config(kind: str, source: Path | str, batch: int = 2) -> ClipConfig | XClipConfig:
    made = {"clip": ClipConfig, "xclip": XClipConfig}[kind]
    return made.model_validate({"kind": kind, "source": str(source), "device": "cpu", "batch": batch})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save_scorer(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(scope="module", params=KINDS)
def scorer(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Iterator[Scorer]:
    yield build_scorer(_config(request.param, folders[request.param]))


def _frames(count: int, seed: int = 0) -> np.ndarray:
    return colourful(count, 64, seed).frames[:, :48]


def test_direction_turns_round_when_pictures_or_captions_are_swapped() -> None:
    before, after, text, output = map(_unit, range(4))
    there = direction(before, after, text, output)
    assert there is not None
    assert direction(before, after, output, text) == pytest.approx(-there)
    assert direction(after, before, text, output) == pytest.approx(-there)
    assert direction(after, before, output, text) == pytest.approx(there)


def test_direction_of_an_edit_that_is_told_by_its_own_caption_is_one() -> None:
    before, after = _unit(0), _unit(1)
    assert direction(before, after, before, after) == pytest.approx(1)


def test_nothing_that_changed_or_nothing_that_was_told_has_no_direction() -> None:
    before, after = _unit(0), _unit(1)
    assert direction(before, before, before, after) is None
    assert direction(before, after, before, before) is None


def test_what_is_alike_agrees() -> None:
    one, other = _unit(0), _unit(1)
    assert agreement(one, one) == pytest.approx(1) and resemblance(one, one) == pytest.approx(1)
    assert agreement(one, -one) == pytest.approx(-1)
    assert frame_consistency(one.repeat(3, 1)) == pytest.approx(1)
    assert frame_consistency(torch.stack([one, -one, one])) == pytest.approx(-1)
    assert frame_consistency(other[None]) is None


@pytest.mark.parametrize("count", [1, 5])
def test_embeddings_are_unit_vectors_of_one_space(scorer: Scorer, count: int) -> None:
    assert isinstance(scorer, Scorer)
    frames = _frames(count)
    clip, each, texts = scorer.embed_clip(frames), scorer.embed_frames(frames), scorer.embed_texts(CAPTIONS)
    assert each.shape == (count, 12) and texts.shape == (2, 12) and clip.shape == (12,)
    for found in (clip[None], each, texts):
        assert torch.allclose(found.norm(dim=-1), torch.ones(len(found)), atol=1e-5)
    assert (each[0] @ scorer.embed_clip(frames[:1])).item() == pytest.approx(1, abs=1e-5)


def test_what_a_frame_or_text_is_embedded_with_does_not_matter(scorer: Scorer) -> None:
    frames = _frames(3)
    assert torch.allclose(scorer.embed_frames(frames)[2:], scorer.embed_frames(frames[2:]), atol=1e-5)
    texts = [CAPTIONS[0], "a dog", CAPTIONS[1]]
    assert torch.allclose(scorer.embed_texts(texts)[1:2], scorer.embed_texts(texts[1:2]), atol=1e-5)


def test_long_texts_are_cut(scorer: Scorer) -> None:
    assert scorer.embed_texts(["a red balloon " * 50]).isfinite().all()


def test_a_copy_resembles_its_source_and_has_no_direction(scorer: Scorer) -> None:
    frames = _frames(4)
    told = contrast(frames, frames, *CAPTIONS, scorer)
    assert told.direction is None and told.resemblance == pytest.approx(1, abs=1e-5)
    assert contrast(frames[:1], frames[:1], *CAPTIONS, scorer).consistency is None


def test_an_edit_of_a_clip_has_all_figures(scorer: Scorer) -> None:
    there = contrast(_frames(4, 0), _frames(4, 1), *CAPTIONS, scorer)
    back = contrast(_frames(4, 0), _frames(4, 1), *CAPTIONS[::-1], scorer)
    assert there.direction is not None and there.direction == pytest.approx(-(back.direction or 0), abs=1e-4)
    assert there.consistency is not None and there.resemblance < 1
    assert there.agreement == pytest.approx((scorer.embed_clip(_frames(4, 1)) @ scorer.embed_texts(CAPTIONS)[1]).item())


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (28, 28), (20, 70)])
def test_frames_are_prepared_as_the_library_does(folders: dict[str, Path], size: tuple[int, int]) -> None:
    frames = colourful(2, 80, 3).frames[:, : size[0], : size[1]]
    library = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=SIDE, image_mean=MEAN, image_std=STD, resample=3
    )
    wanted = torch.as_tensor(np.array(library(images=list(frames), return_tensors="np")["pixel_values"]))
    found = load(_config("clip", folders["clip"])).pixels(frames)
    assert (found - wanted).abs().max() < 3 / 255 / min(STD)  # rounding of the filter: a level or two


def test_the_revision_is_that_of_the_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    for kind in KINDS:
        first = build_scorer(_config(kind, folders[kind])).revision
        assert first == build_scorer(_config(kind, folders[kind], batch=5)).revision
        assert first != build_scorer(_config(kind, save_scorer(kind, tmp_path / kind, seed=1))).revision


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="gone"):
        build_scorer(_config(kind, tmp_path / "gone"))
    with pytest.raises(ScorerError, match=str(tmp_path)):
        build_scorer(_config(kind, tmp_path))


def test_another_model_is_refused(folders: dict[str, Path]) -> None:
    for kind, other in (KINDS, KINDS[::-1]):
        with pytest.raises(ScorerError, match=str(folders[other])):
            build_scorer(_config(kind, folders[other]))


def test_weights_of_towers_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match=r"none\.safetensors"):
        build_scorer(TowersConfig(kind="towers", weights=str(tmp_path / "none.safetensors")))
