"""What embeddings say of an edit: agreement, direction and frame consistency, all cosines in -1..1.

Movie Gen Edit, section 5.2.2, after EVE and InstructPix2Pix: `out` is agreement, `dir` is direction. The paper does not
say whether vectors are brought to length one before they are subtracted; InstructPix2Pix does so, and so it is here.
"""

from dataclasses import dataclass

from torch.nn.functional import normalize

from models.scorers.protocol import ClipEmbedding, FrameEmbeddings, Frames, Scorer

SAME = 1e-4  # differences of unit vectors that are shorter are rounding: they point nowhere


def agreement(edit: ClipEmbedding, output_text: ClipEmbedding) -> float:
    """cos(V(edit), T(output caption))."""
    return float(edit @ output_text)


def direction(
    source: ClipEmbedding, edit: ClipEmbedding, text: ClipEmbedding, output_text: ClipEmbedding
) -> float | None:
    """cos(V(edit) - V(source), T(output caption) - T(caption)); None where either difference vanishes."""
    seen, told = edit - source, output_text - text
    if float(seen.norm()) < SAME or float(told.norm()) < SAME:
        return None
    return float(normalize(seen, dim=0) @ normalize(told, dim=0))


def resemblance(source: ClipEmbedding, edit: ClipEmbedding) -> float:
    """cos(V(edit), V(source)): an edit of a picture is still a picture of it."""
    return float(source @ edit)


def frame_consistency(frames: FrameEmbeddings) -> float | None:
    """Mean cosine of neighbouring frames; None for a picture."""
    return float((frames[1:] * frames[:-1]).sum(dim=-1).mean()) if len(frames) > 1 else None


def clip_frame(frames: FrameEmbeddings) -> float | None:
    """CLIPFrame of TGVE: mean cosine of all pairs of different frames, neighbours or not; None for a picture."""
    count = len(frames)
    if count < 2:
        return None
    # The sum of all cosines is the squared length of the sum; a frame with itself is 1.
    return (float(frames.double().sum(dim=0).square().sum()) - count) / (count * (count - 1))


@dataclass(frozen=True)
class Contrast:
    """What a scorer says of one edit; None where a figure is not defined."""

    agreement: float
    direction: float | None
    resemblance: float
    consistency: float | None


def contrast(source: Frames, edit: Frames, caption: str, output_caption: str, scorer: Scorer) -> Contrast:
    """All figures of a clip or picture and the captions before and after; consistency is that of the edit."""
    before, after = scorer.embed_clip(source), scorer.embed_clip(edit)
    text, output_text = scorer.embed_texts([caption, output_caption])
    consistency = frame_consistency(scorer.embed_frames(edit)) if len(edit) > 1 else None
    return Contrast(
        agreement=agreement(after, output_text),
        direction=direction(before, after, text, output_text),
        resemblance=resemblance(before, after),
        consistency=consistency,
    )
