"""Laws of the conversion between pixels and tensors."""

import numpy as np
import torch

from models.pixels import to_frames, to_video


def test_frames_come_back_exactly() -> None:
    every_level = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    noise = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    for frames in (every_level, noise):
        assert np.array_equal(to_frames(to_video(frames))[0], frames)


def test_range_and_axes() -> None:
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    frames[1, 2, 3] = (255, 0, 51)
    video = to_video(frames)
    assert video.shape == (1, 3, 2, 4, 6)
    assert video.min() == -1 and video.max() == 1
    assert torch.allclose(video[0, :, 1, 2, 3], torch.tensor([1.0, -1.0, -0.6]))


def test_rounds_to_the_nearest_level_and_clips() -> None:
    levels = torch.tensor([-9.0, -1.0, 0.6 / 127.5 - 1, 0.4 / 127.5 - 1, 1.0, 9.0])
    video = levels.reshape(1, 1, 1, 1, 6).expand(1, 3, 1, 1, 6)
    assert to_frames(video)[0, 0, 0, :, 0].tolist() == [0, 0, 1, 0, 255, 255]


def test_a_view_is_read_as_shown() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    assert np.array_equal(to_frames(to_video(frames[::-1, :, ::-1]))[0], frames[::-1, :, ::-1])
