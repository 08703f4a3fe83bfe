"""Back to the source's own size: an edit at model resolution, stretched, and where nothing changed the source itself.

The model sees the whole frame stretched to the square it was trained on; here the edit is stretched back. Where it does
not differ from what the autoencoder makes of the source, the source's own pixels are kept, at full sharpness and colour
(Emu Edit does this between turns: a low-passed change under 0.03 keeps the input pixel).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Frame = NDArray[np.uint8]

LOW_PASS_SHARE = 32  # the side of the box filter is a 16th of the frame's; the paper does not say its filter
FULL_CHANGE = 2.0  # times the threshold: from there on all edit, in between a linear blend (the paper cuts hard)


@dataclass(frozen=True)
class KeepDetail:
    """Keep the source where the low-passed mean absolute change, in [0, 1] units, is under the threshold."""

    threshold: float


def upsample(frame: Frame, height: int, width: int) -> Frame:
    """A frame [h, w, 3] at another size: bicubic, antialiased when shrinking, clipped."""
    if frame.shape[:2] == (height, width):
        return frame
    return _to_frame(_resized(frame, height, width))


def restore(source: Frame, edit: Frame, reconstruction: Frame, keep: KeepDetail) -> Frame:
    """The edit [R, R, 3] at the size of its source [h, w, 3], with the source's pixels where nothing changed.

    An edit equal to the reconstruction gives back the source bit for bit; one that differs everywhere, the edit.
    """
    height, width = source.shape[:2]
    share = edit_share(edit, reconstruction, keep.threshold)
    if not share.any():
        return source
    share = F.interpolate(share[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0, :, :, None]
    own = torch.from_numpy(source).float()
    return _to_frame(torch.lerp(own, torch.from_numpy(upsample(edit, height, width)).float(), share))


def edit_share(edit: Frame, reconstruction: Frame, threshold: float) -> Tensor:
    """How much of each pixel is the edit's, float [R, R] in 0..1."""
    change = (torch.from_numpy(edit).float() - torch.from_numpy(reconstruction).float()).abs().mean(dim=-1) / 255
    reach = max(1, min(change.shape) // LOW_PASS_SHARE)
    smooth = F.avg_pool2d(change[None, None], 2 * reach + 1, 1, reach, count_include_pad=False)[0, 0]
    return ((smooth - threshold) / (threshold * (FULL_CHANGE - 1))).clamp(0, 1)


def _resized(frame: Frame, height: int, width: int) -> Tensor:
    picture = torch.from_numpy(np.ascontiguousarray(frame)).float().permute(2, 0, 1)[None]
    larger = F.interpolate(picture, (height, width), mode="bicubic", align_corners=False, antialias=True)
    return larger[0].permute(1, 2, 0)


def _to_frame(levels: Tensor) -> Frame:
    rounded: Frame = levels.clamp(0, 255).round().to(torch.uint8).numpy()
    return rounded
