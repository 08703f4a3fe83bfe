"""Scores of frames that are known, thresholds met exactly, cuts and copies found and real clips left in peace."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from PIL import Image

from features.duplicates import Seen
from features.quality import difference_hash, judge, score, watch
from stores.clip_files import read_clip
from stores.clip_writer import encode_clip
from tests.features.corpus import clip, picture, saved
from tests.media import WIDE, moving_frames, real_clips
from tests.world import tiny_params

PARAMS = tiny_params()
QUALITY = PARAMS.features.quality


def test_scores_of_known_frames() -> None:
    flat = score(np.full((2, 16, 16, 3), 100, dtype=np.uint8))
    assert (flat.brightness, flat.contrast, flat.sharpness, flat.motion) == (100.0, 0.0, 0.0, 0.0)
    board = (np.indices((16, 16)).sum(0) % 2 * 255).astype(np.uint8)
    checked = np.stack([board, 255 - board])[..., None].repeat(3, axis=-1)
    found = score(checked)
    assert found.brightness == found.contrast == 127.5
    assert found.motion == 255.0 and found.sharpness == pytest.approx(4 * 255)
    blurred = score(moving_frames(3))
    assert 0 < blurred.sharpness < 20 < found.sharpness and blurred.motion > 0


def test_a_threshold_met_exactly_is_met() -> None:
    params = PARAMS.features.quality
    quality = score(np.full((1, 8, 8, 3), round(params.max_brightness), dtype=np.uint8))
    told = [rejection.reason for rejection in judge(quality, params.min_side, params.min_seconds, "x", params)]
    assert not [reason for reason in told if reason.startswith(("shorter", "seconds", "brightness", "caption"))]


def test_frames_one_by_one_score_as_all_at_once() -> None:
    frames = clip(1)
    kept, found = watch(iter(frames), 1)
    assert found == score(frames) and np.array_equal(kept, frames)
    thinned, scores = watch(iter(frames), 7)
    assert np.array_equal(thinned, frames[::7]) and scores.cut == found.cut


def test_a_picture_neither_moves_nor_freezes_nor_is_cut() -> None:
    found = score(picture(1))
    assert (found.motion, found.frozen_share, found.cut, found.black_share) == (0, 0, 0, 0)


def test_shares_count_frames_and_the_steps_between_them() -> None:
    moving = clip(2, 9)
    black = np.zeros_like(moving[:3])
    assert score(np.concatenate([moving, black])).black_share == 0.25
    assert score(np.concatenate([moving[:1], moving[:1], moving])).frozen_share == 0.2
    dark = np.zeros((2, 50, 50, 3), np.uint8)
    dark[:, :10, :10] = 255
    assert score(dark).black_share == 0, "lights in the night are no black"


@pytest.mark.parametrize("crf", [12, 28])
def test_a_still_that_was_encoded_is_frozen(crf: int) -> None:
    for path in real_clips()[::15]:
        still = read_clip(path, WIDE, frames=1, size=(128, 228)).frames.repeat(30, 0)
        found = score(read_clip(encode_clip(still, Fraction(24), crf=crf), WIDE).frames)
        assert found.frozen_share > QUALITY.max_frozen_share


def test_every_cut_between_scenes_is_found_and_none_in_a_real_clip() -> None:
    # One clip of each scene, by how the first frames look.
    ends = {path.name: read_clip(path, WIDE, size=(128, 228)).frames for path in real_clips()[::6]}
    assert all(score(frames).cut < QUALITY.max_cut / 1.5 for frames in ends.values())
    for before, after in permutations(ends.values(), 2):
        assert score(np.concatenate([before[-4:], after[:4]])).cut > QUALITY.max_cut


def test_a_flash_is_no_cut() -> None:
    frames = moving_frames(12)
    frames[5] = 255
    assert score(frames).cut < QUALITY.max_cut


def test_a_hash_outlives_encoding_and_scaling_and_tells_pictures_apart() -> None:
    hashes = []
    for seed in range(12):
        frame = picture(seed)[0]
        image = Image.fromarray(frame)
        copies = [saved(image, "JPEG", quality=40), saved(image.resize((70, 50), Image.Resampling.BOX), "PNG")]
        own, *others = (
            int(difference_hash(read_clip(each, WIDE, size=(128, 171)).frames[0]), 16)
            for each in (saved(image, "PNG"), *copies)
        )
        assert all((own ^ other).bit_count() <= QUALITY.duplicate_bits for other in others)
        hashes.append(own)
    assert min((one ^ other).bit_count() for one, other in permutations(hashes, 2)) > QUALITY.leak_bits


@pytest.mark.parametrize("bits", range(12))
def test_the_bound_is_wider_across_the_splits(bits: int) -> None:
    seen = Seen(QUALITY)
    assert seen.twin("0" * 16, "train") is None
    seen.add("first", "0" * 16, "train")
    seen.add("far", "f" * 16, "train")
    turned = f"{(1 << bits) - 1:016x}"
    same, across = seen.twin(turned, "train"), seen.twin(turned, "test")
    assert (same is not None) == (bits <= QUALITY.duplicate_bits)
    assert (across is not None) == (bits <= QUALITY.leak_bits)
    if across:
        assert across.reason == "near-duplicate across the splits"
        assert across.value == f"{bits} of 64 bits from first (train)"
