"""Instruction-guided segmentation of clips that were filmed."""

import numpy as np
import pytest

from features.instruction_tasks import tasks_told
from features.maskers.config import SaliencyConfig
from features.maskers.protocol import Masker, MaskRejected, MaskTrack
from features.maskers.saliency import SaliencyMasker
from features.masks import SalientMasker
from features.pair_rows import Triple
from features.plan import SEGMENTATION, PlannedRow
from features.segmentation import marked_clip
from features.tasks.marks import spoken
from features.vocabulary import NOUNS, SPOKEN
from tests.features.conftest import Made
from tests.world import FRAMES, ROOT, SIDE


class MiddleMasker:
    """The middle of the frame, whatever is there."""

    revision = "middle"

    def mask(self, frames: np.ndarray, thing: str) -> MaskTrack | MaskRejected:
        alpha = np.zeros(frames.shape[:3], np.uint8)
        alpha[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 255
        return MaskTrack(thing, alpha, 1.0)


def triples(made: Made, masker: Masker, composed_share: float, count: int = 8) -> list[Triple | MaskRejected]:
    rows = [PlannedRow(number, SEGMENTATION, "train", "segment") for number in range(count)]
    return [marked_clip(row, made.setting.compose, masker, composed_share) for row in rows]


def test_the_main_object_of_a_filmed_clip_is_marked_and_nothing_else(made: Made) -> None:
    videos = {row["id"] for row in made.rows("clips").to_pylist() if row["kind"] == "video"}
    found = [one for one in triples(made, MiddleMasker(), 0.0) if isinstance(one, Triple)]
    assert found
    for triple in found:
        assert triple.source is not None and triple.target.shape == triple.source.shape == (FRAMES, SIDE, SIDE, 3)
        changed = np.abs(triple.target.astype(int) - triple.source).max(axis=-1) > 0
        middle = np.zeros_like(changed)
        middle[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = True
        assert changed[middle].mean() > 0.5 and not changed[~middle].any()
        assert "main object" in triple.instruction and set(triple.clip_ids) <= videos
        assert triple.target_caption.startswith(f"{triple.source_caption}, the main object marked in ")


def test_composed_scenes_on_clips_are_marked_exactly(made: Made) -> None:
    found = [one for one in triples(made, MiddleMasker(), 1.0) if isinstance(one, Triple)]
    assert len(found) == 8
    names = [SPOKEN.get(noun, noun) for noun in NOUNS]
    for triple in found:
        assert "segment" in tasks_told(triple.instruction)
        assert "main object" not in triple.instruction
        told = [name for name in names if f"the {name} " in f"{triple.instruction} "]
        assert told and all(f" {name} " in triple.source_caption for name in told)


def test_rows_are_the_same_again(made: Made) -> None:
    for one, again in zip(triples(made, MiddleMasker(), 0.5), triples(made, MiddleMasker(), 0.5), strict=True):
        assert isinstance(one, Triple) and isinstance(again, Triple)
        assert one.instruction == again.instruction and np.array_equal(one.target, again.target)


def saliency(least: float) -> SaliencyConfig:
    return SaliencyConfig(
        kind="saliency", network=str(ROOT / "data" / "pretrained" / "u2netp.onnx"), threads=1, radius=1,
        least_steadiness=0.0, least_confidence=least, least_share=0.0, most_share=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_an_unsure_mask_is_rejected_with_its_reason(made: Made, least: float) -> None:
    for one in triples(made, SaliencyMasker(saliency(least)), 0.0, count=2):
        if least:
            assert isinstance(one, MaskRejected) and one.reason == "confidence below"
        else:
            assert isinstance(one, Triple) or one.reason == "no colour would show"


def test_a_clip_asked_for_again_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    masker, seen, look = SaliencyMasker(saliency(0.0)), [], SalientMasker.mask
    monkeypatch.setattr(SalientMasker, "mask", lambda own, frame: (seen.append(1), look(own, frame))[1])
    clips = [np.random.default_rng(seed).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8) for seed in (0, 1)]
    first, other, again = (masker.mask(clip, spoken(None)) for clip in (*clips, clips[0]))
    assert len(seen) == 6
    assert isinstance(first, MaskTrack) and isinstance(again, MaskTrack) and isinstance(other, MaskTrack)
    assert np.array_equal(first.alpha, again.alpha) and not np.array_equal(first.alpha, other.alpha)
