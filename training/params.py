"""The block `training` of params.yaml. A stage is data, not code: a start, a mix of groups and a schedule."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

LightningPrecision = Literal["bf16-mixed", "32-true"]


class Block(BaseModel):
    """Values are given in params.yaml alone: no defaults, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MuonParams(Block):
    """Muon for the matrices of transformer blocks; the rate is scaled by the root of rows over columns, if above 1."""

    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    momentum: float = Field(ge=0, lt=1)
    iterations: PositiveInt  # of Newton-Schulz


class OptimizerParams(Block):
    """AdamW with linear warm-up and a linear decay to zero over the last `decay_share` of the steps.

    With `muon`, which is not in the paper, AdamW is left with what is no matrix of a transformer block.
    """

    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    beta2: float = Field(gt=0, lt=1)
    warmup_steps: int = Field(ge=0)
    decay_share: float = Field(ge=0, le=1)
    clip_norm: float = Field(gt=0)
    muon: MuonParams | None


class TrainerParams(Block):
    """How a training runs: machine-facing switches, all of which leave the mathematics alone."""

    precision: LightningPrecision
    devices: PositiveInt
    strategy: str
    accumulate: PositiveInt
    gradient_checkpointing: bool
    compile: bool
    validate_every: PositiveInt
    checkpoint_every: PositiveInt
    preview_every: PositiveInt


class DropoutParams(Block):
    """Shares of samples trained without text, without source, without either."""

    text: float = Field(ge=0, le=1)
    source: float = Field(ge=0, le=1)
    both: float = Field(ge=0, le=1)


class GroupParams(Block):
    """A group of rows that share one geometry: its weight in the mix and its batch size."""

    weight: PositiveInt
    batch: PositiveInt


class StageParams(Block):
    """One training stage, and where its weights come from.

    `start` is `base`, the name of an earlier stage, `shipped` for the editor that comes with the project, or null for
    fresh weights. `time_mean` and `time_std` are of the logits of the flow times that are trained on: 0 and 1 are
    the paper's; below 0 more noise is seen, where a place shows nothing of its own and has to be told from its
    neighbours. `fit_predictor` says whether the task
    predictor is fitted on this stage's instructions, or handed on from the editor it starts from.
    """

    start: str | None
    steps: PositiveInt
    groups: dict[str, GroupParams]
    ema_decay: float = Field(ge=0, lt=1)
    dropout: DropoutParams
    random_positions: bool
    time_mean: float
    time_std: float = Field(gt=0)
    gate_rate: float = Field(gt=0)
    fit_predictor: bool
    optimizer: OptimizerParams

    @model_validator(mode="after")
    def _has_groups(self) -> "StageParams":
        if not self.groups:
            raise ValueError("a stage needs at least one group of rows")
        return self


class AutoencoderTrainingParams(Block):
    """Training of the autoencoder on random crops; one batch is either pictures or clips.

    Pictures are decoded with a shorter side of `picture_side` and cropped at a scale of `least_scale` to 1, clips with
    one of `clip_side` and cropped as they are. It is measured on centre crops of `clip_side * 4 / 5` pixels.
    """

    steps: PositiveInt
    crop: PositiveInt
    frames: PositiveInt
    picture_side: PositiveInt
    clip_side: PositiveInt
    least_scale: float = Field(gt=0, le=1)
    squared_weight: float = Field(ge=0)
    pictures: GroupParams
    clips: GroupParams
    kl_weight: float = Field(ge=0)
    gradient_weight: float = Field(ge=0)
    outlier_weight: float = Field(ge=0)
    outlier_ratio: float = Field(gt=0)
    evenness: float = Field(ge=0, le=1)
    ema_decay: float = Field(ge=0, lt=1)
    optimizer: OptimizerParams


class PredictorParams(Block):
    """Fit of the task predictor."""

    steps: PositiveInt
    weight_decay: float = Field(ge=0)


class GateParams(Block):
    """What an editor must reach on held-out cases before it may become champion."""

    min_success: float
    max_wrong_instruction_success: float
    max_keep_gap_db: float
    max_colour_drift: float


class TrainingParams(Block):
    """All of training."""

    trainer: TrainerParams
    autoencoder: AutoencoderTrainingParams
    base: StageParams
    stages: dict[str, StageParams]
    predictor: PredictorParams
    gate: GateParams
