"""Frames set in motion: one smooth affine motion for a frame and its edit (Movie Gen Edit, section 5.1.3, algorithm 1).

The paper states neither ranges nor padding. Its transforms accumulate from frame to frame; here their matrices do, and
every frame is warped once from the first, so that blur does not build up.
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

Matrices = Float[np.ndarray, "f 3 3"]
Picture = UInt8[np.ndarray, "h w 3"]
Padding = Literal["mirror", "border", "black"]


class AffineParams(BaseModel):
    """How far a motion may lead by its last frame, and what comes in from outside of the frame.

    Zoom is a factor, turns are degrees, shifts are shares of the side in each direction; each takes part in a motion
    with a share of its own. `padding` mirrors the frame, draws its border out, or is black.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    most_zoom: float = Field(ge=1, le=2)
    zoom_share: float = Field(ge=0, le=1)
    most_turn: float = Field(ge=0, le=45)
    turn_share: float = Field(ge=0, le=1)
    most_shift: float = Field(ge=0, le=0.5)
    shift_share: float = Field(ge=0, le=1)
    padding: Padding


_PAD_MODES: dict[Padding, Literal["symmetric", "edge", "constant"]] = {
    "mirror": "symmetric",
    "border": "edge",
    "black": "constant",
}


def draw_motion(frames: int, params: AffineParams, rng: np.random.Generator) -> Matrices:
    """Where a motion takes the points of its first frame: F_i ... F_1 for every frame i, the identity for the first.

    Points are homogeneous (x, y, 1) in shares of the side, from the middle of the frame.
    """
    spread = rng.uniform(-1, 1, 4)  # drawn whether used or not: one share does not change another's draws
    zooms, turns, shifts = rng.random(3) < (params.zoom_share, params.turn_share, params.shift_share)
    log_zoom = float(spread[0]) * math.log(params.most_zoom) * zooms
    turn = float(spread[1]) * math.radians(params.most_turn) * turns
    right, down = spread[2:] * params.most_shift * shifts
    steps = [_step(part * log_zoom, part * turn, part * right, part * down) for part in _pace(frames, rng)]
    matrices = [np.eye(3)]
    for step in steps:
        matrices.append(step @ matrices[-1])
    return np.stack(matrices)


def animate(frame: Picture, motion: Matrices, padding: Padding) -> UInt8[np.ndarray, "f h w 3"]:
    """A square frame under a motion; what the identity takes nowhere comes out as it went in.

    Raises:
        ValueError: the frame is not square, so that shares of its side would mean two things.
    """
    height, width = frame.shape[:2]
    if height != width:
        raise ValueError(f"only a square frame is set in motion, not {height} x {width}")
    back = np.linalg.inv(motion)
    pad = _overhang(back, height)
    around = Image.fromarray(np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), mode=_PAD_MODES[padding]))
    return np.stack([_warped(frame, around, matrix, pad) for matrix in back])


def _pace(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Shares of a motion, one a step, that change slowly and sum to one."""
    phase, depth = rng.random(), rng.uniform(0, 0.8)
    speed = 1 + depth * np.sin(2 * np.pi * (np.arange(1, frames) / max(frames, 2) + phase))
    return speed / speed.sum() if frames > 1 else speed


def _step(log_zoom: float, turn: float, right: float, down: float) -> np.ndarray:
    zoom, cosine, sine = math.exp(log_zoom), math.cos(turn), math.sin(turn)
    return np.array([[zoom * cosine, -zoom * sine, right], [zoom * sine, zoom * cosine, down], [0.0, 0.0, 1.0]])


def _overhang(back: Matrices, side: int) -> int:
    """By how many pixels a motion looks beyond the frame at most, and the two more that bicubic sampling reads."""
    corners = np.array([[x, y, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]).T
    furthest = np.abs((back @ corners)[:, :2]).max()
    return max(0, math.ceil((float(furthest) - 0.5) * side)) + 2


def _warped(frame: np.ndarray, around: Image.Image, back: np.ndarray, pad: int) -> np.ndarray:
    if np.array_equal(back, np.eye(3)):
        return frame
    side = frame.shape[0]
    # From pixels of the result to shares, back along the motion, and to pixels of the padded frame.
    to_shares = np.array([[1 / side, 0, -0.5], [0, 1 / side, -0.5], [0, 0, 1]])
    to_pixels = np.array([[side, 0, side / 2 + pad], [0, side, side / 2 + pad], [0, 0, 1]])
    matrix = to_pixels @ back @ to_shares
    coefficients = tuple(float(value) for value in matrix[:2].flatten())
    warped = around.transform((side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    return np.asarray(warped)
