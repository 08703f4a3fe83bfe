"""Training of the small scorer: contrast within an edit, between all pictures, and of the directions of edits.

Edits of one source are each other's hardest negatives: they differ by what was asked for and nothing else.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from models.scorers.towers import Towers, TowersShape

LEAST = 2  # pictures of a group: a source and an edit
PEAK, DECAY, WARMUP = 2e-3, 0.05, 0.1
FIRST_SCALE = 2.5  # log of the sharpness that cosines are compared with; learnt
BETWEEN = 0.2  # weight of contrast between pictures of different sources, whose captions differ by far more
GAIN, SHIFT, NOISE = 0.1, 0.05, 0.05  # of augmented pictures in [-1, 1]: generated ones are never quite as composed

Groups = Float[Tensor, "g k d"]


@dataclass(frozen=True, eq=False)
class ScorerExamples:
    """Groups of k pictures with their captions, the source first, then edits of it.

    `frames` are small frames in [-1, 1], `texts` means of token states.

    Raises:
        ValueError: no group, or groups without an edit.
    """

    frames: Float[Tensor, "g k 3 side side"]
    texts: Groups

    def __post_init__(self) -> None:
        groups, size = self.frames.shape[:2]
        if not groups or size < LEAST or self.texts.shape[:2] != (groups, size):
            raise ValueError(f"{groups} groups of {size} pictures, texts {list(self.texts.shape)}: nothing to contrast")


def fit_towers(examples: ScorerExamples, shape: TowersShape, steps: int, batch: int, seed: int) -> Towers:
    """Towers trained for so many steps of `batch` groups; the same for the same seed on one machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers, scales = Towers(shape), nn.Parameter(torch.full((3,), FIRST_SCALE))
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW([*towers.parameters(), scales], lr=PEAK, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    for _ in range(steps):
        chosen = torch.randint(len(examples.frames), (batch,), generator=draw)
        loss = contrast_loss(towers, disturbed(examples.frames[chosen], draw), examples.texts[chosen], scales)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return towers.eval().requires_grad_(False)


def rate(step: int, steps: int) -> float:
    """A share of the peak: up in a line, down in a half cosine."""
    begin = max(1, round(WARMUP * steps))
    if step < begin:
        return (step + 1) / begin
    return (1 + math.cos(math.pi * (step - begin) / max(1, steps - begin))) / 2


def contrast_loss(
    towers: Towers, frames: Float[Tensor, "g k 3 side side"], texts: Groups, scales: Float[Tensor, " 3"]
) -> Float[Tensor, ""]:
    """Within each group, between all pictures, and between the directions of all edits."""
    groups = len(frames)
    seen = rearrange(towers.see(frames.flatten(0, 1)), "(g k) d -> g k d", g=groups)
    read = rearrange(towers.read(texts.flatten(0, 1)), "(g k) d -> g k d", g=groups)
    within, between, along = scales.exp()
    return (
        both_ways(seen, read, within)
        + BETWEEN * both_ways(seen.flatten(0, 1)[None], read.flatten(0, 1)[None], between)
        + both_ways(directions(seen), directions(read), along)
    )


def directions(embedded: Groups) -> Float[Tensor, "1 edits d"]:
    """From the source to every edit, as one group of unit vectors."""
    return F.normalize(embedded[:, 1:] - embedded[:, :1], dim=-1).flatten(0, 1)[None]


def both_ways(seen: Groups, read: Groups, scale: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Cross-entropy of finding the text of a picture, and the picture of a text, among those of its group."""
    logits = torch.einsum("gid,gjd->gij", seen, read) * scale
    wanted = torch.arange(logits.shape[1]).repeat(len(logits))
    ways = [F.cross_entropy(way.flatten(0, 1), wanted) for way in (logits, logits.transpose(1, 2))]
    return (ways[0] + ways[1]) / 2


def disturbed(frames: Float[Tensor, "g k 3 side side"], draw: torch.Generator) -> Float[Tensor, "g k 3 side side"]:
    """Another gain and colour cast for every group, which says nothing of an edit, and noise."""
    groups = len(frames)
    gain = 1 + GAIN * torch.randn(groups, 1, 1, 1, 1, generator=draw)
    shift = SHIFT * torch.randn(groups, 1, 3, 1, 1, generator=draw)
    noise = NOISE * torch.rand(groups, 1, 1, 1, 1, generator=draw)
    return frames * gain + shift + noise * torch.randn(frames.shape, generator=draw)
