"""Longer position tables for CLIP: 77 tokens become 256, as in Movie Gen's long-prompt MetaCLIP (section 3.1.4)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WELL_TRAINED = 20  # positions that captions of CLIP's training reach (Long-CLIP, Zhang et al. 2024)


def stretched(table: Float[Tensor, "old e"], length: int) -> Float[Tensor, "new e"]:
    """A position table of `length` rows: the first 20 as they were, the others stretched linearly over the rest.

    The paper does not say how it goes from 77 rows to 256 before it fine-tunes them; this is Long-CLIP's way.
    """
    kept = min(WELL_TRAINED, len(table) - 1)
    rest = F.interpolate(table[None, kept:].float().transpose(1, 2), length - kept, mode="linear", align_corners=True)
    return torch.cat([table[:kept], rest[0].T.to(table)])


def extend_positions(model: nn.Module, length: int) -> None:
    """Make room for `length` tokens in a CLIP text model, in place; a table that is long enough stays as it is."""
    embeddings = next(module for module in model.modules() if hasattr(module, "position_embedding"))
    positions = embeddings.position_embedding
    assert isinstance(positions, nn.Embedding)
    if length > positions.num_embeddings:
        longer = nn.Embedding(length, positions.embedding_dim, dtype=positions.weight.dtype)
        longer.weight = nn.Parameter(stretched(positions.weight.detach(), length), requires_grad=False)
        embeddings.position_embedding = longer
        embeddings.position_ids = torch.arange(length).expand(1, -1)
