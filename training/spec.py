"""What a training process is given: one JSON file, so that it can run in a process, or several, of its own."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from models.build import ModelParams
from stores.receipts import Receipt
from training.params import StageParams, TrainingParams


class MediaParams(BaseModel):
    """Limits checked before any media is decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_pixels: int
    max_frames: int
    max_seconds: float


class TrainingSpec(BaseModel):
    """One training: which stage, from which receipts, with which values.

    `inputs` are receipts by role: `clips` for the autoencoder; `autoencoder`, `pairs` and, unless the stage starts
    fresh, `start` for a stage; `base` if what the stage forgets of it is to be told. `code` is a digest of the source
    it runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["autoencoder", "base", "editor"]
    stage: str
    experiment: str
    seed: int
    code: str
    models: ModelParams
    training: TrainingParams
    media: MediaParams
    frame_rate: float
    inputs: dict[str, Receipt]
    inference: str

    def key(self) -> str:
        """Digest of everything the result depends on; names the checkpoints and the MLflow run."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    def stage_params(self) -> StageParams:
        """The block of this stage."""
        return self.training.base if self.kind == "base" else self.training.stages[self.stage]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1))
