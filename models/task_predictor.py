"""Predict the task id from the instruction alone, as Emu Edit does at test time (with a fine-tuned language model)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from models.shapes import TaskIds
from models.tasks import EDIT_TASKS, TASK_COUNT
from models.text import TextContext


class TaskPredictor(nn.Module):
    """A linear classifier on the mean token state of the instruction; it sees nothing but the text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classify = nn.Linear(width, TASK_COUNT)

    def forward(self, text: TextContext) -> Float[Tensor, "b k"]:
        return self.classify(pooled(text))

    @torch.no_grad()
    def predict(self, text: TextContext) -> TaskIds:
        """The likeliest editing task of each instruction; never `NULL` or `TEXT_TO_VIDEO`."""
        scores = self(text)
        allowed = torch.full_like(scores, float("-inf"))
        allowed[:, list(EDIT_TASKS)] = 0.0
        return (scores + allowed).argmax(dim=1)


def pooled(text: TextContext) -> Float[Tensor, "b e"]:
    """Mean token state of the first encoder, padding left out."""
    part = text.parts[0]
    weights = part.mask[..., None].float()
    return (part.states.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def fit_predictor(text: TextContext, tasks: TaskIds, steps: int, weight_decay: float) -> TaskPredictor:
    """Fit by full-batch L-BFGS from zero weights: deterministic, a second or two on thousands of instructions."""
    features = pooled(text)
    predictor = TaskPredictor(features.shape[1])
    nn.init.zeros_(predictor.classify.weight)
    nn.init.zeros_(predictor.classify.bias)
    optimizer = torch.optim.LBFGS(predictor.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = predictor.classify.weight.square().sum() * weight_decay
        loss = F.cross_entropy(predictor.classify(features), tasks) + penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return predictor.eval()
