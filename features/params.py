"""The block `features` of params.yaml."""

import json
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
)

from features.affine import AffineParams
from features.maskers.config import MaskerConfig
from features.writers.config import WriterConfig
from models.scorers.config import ScorerConfig
from models.tasks import parse_task


class Block(BaseModel):
    """Values are given in params.yaml alone: no defaults, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GeometryParams(Block):
    """The grid every pair is made on: square frames, and clips of so many frames at such a rate."""

    resolution: PositiveInt
    clip_frames: PositiveInt
    frame_rate: float = Field(gt=0)


class QualityParams(Block):
    """Thresholds under which a clip or picture is quarantined."""

    min_side: PositiveInt
    min_seconds: float = Field(ge=0)
    min_sharpness: float = Field(ge=0)
    min_brightness: float = Field(ge=0)
    max_brightness: float = Field(le=255)
    min_contrast: float = Field(ge=0)
    max_aspect: float = Field(ge=1)
    max_black_share: float = Field(ge=0, le=1)
    max_frozen_share: float = Field(ge=0, le=1)
    max_cut: float = Field(gt=0, le=255)
    duplicate_bits: int = Field(ge=0, le=64)
    leak_bits: int = Field(ge=0, le=64)
    max_caption: PositiveInt


class SourcesParams(Block):
    """A user's own material beside the data folder, relative to the checkout: clip folders, and tables of triples."""

    clips: tuple[str, ...]
    triples: tuple[str, ...]


class SplitParams(Block):
    """Test scenes: a share of all scenes, chosen by a hash of the scene's name, and those named here."""

    test_share: float = Field(ge=0, le=1)
    test_scenes: tuple[str, ...]
    train_scenes: tuple[str, ...]


class ComposeParams(Block):
    """The composer: how large objects are, how many, how they move, and how much of a background is shown.

    A background is decoded `widest` times larger than a pair, and any square of it from a pair's size up may be shown.
    What stands out in it counts as its subject if it covers from `least_subject` to `most_subject` of the frame. A new
    colour changes an object by `least_tint` levels on average.
    """

    small_share: float = Field(gt=0, lt=1)
    big_share: float = Field(gt=0, lt=1)
    most_objects: PositiveInt
    motion: float = Field(ge=0, le=1)
    widest: float = Field(ge=1)
    mirrored: float = Field(ge=0, le=1)
    least_tint: float = Field(ge=0, le=255)
    least_subject: float = Field(ge=0, le=1)
    most_subject: float = Field(ge=0, le=1)


class ScenesParams(Block):
    """Composed pictures and clips that the autoencoder is trained on; held-out ones come on top."""

    pictures: NonNegativeInt
    clips: NonNegativeInt
    held_out_share: float = Field(ge=0, lt=1)


def _known_tasks(weights: dict[str, PositiveInt]) -> dict[str, PositiveInt]:
    for label in weights:
        parse_task(label)
    return weights


TaskWeights = Annotated[dict[str, PositiveInt], AfterValidator(_known_tasks)]


class PairsParams(Block):
    """How many rows of each kind a stage's table holds; `tasks` are weights of the composed editing tasks."""

    image_edit: NonNegativeInt
    text_to_image: NonNegativeInt
    text_to_video: NonNegativeInt
    validation_share: float = Field(ge=0, lt=1)
    tasks: TaskWeights
    shard: PositiveInt


class SamplingParams(Block):
    """How an editor is to sample what it is asked for; null leaves it to the block `inference`."""

    num_inference_steps: PositiveInt | None
    guidance_scale: NonNegativeFloat | None
    video_guidance_scale: NonNegativeFloat | None

    def settings(self) -> str | None:
        """As a request states it: JSON, or None where all is left to `inference`."""
        stated = self.model_dump(exclude_none=True)
        return json.dumps(stated, sort_keys=True) if stated else None


class AnimatedParams(Block):
    """How many frames an editor is asked to edit, and how; how each accepted edit is moved; how few are too few.

    `filmed_share` of the frames come from clips, the others from any picture or clip. `tasks` are weights.
    """

    requests: PositiveInt
    tasks: TaskWeights
    filmed_share: float = Field(ge=0, le=1)
    writer: WriterConfig
    sampling: SamplingParams
    motions: PositiveInt
    motion: AffineParams
    least_accepted: PositiveInt


class SegmentationParams(Block):
    """How many clips have a thing marked; in `composed_share` of them it is a composed one, whose mask is exact."""

    clips: NonNegativeInt
    composed_share: float = Field(ge=0, le=1)
    masker: MaskerConfig


class MultiFrameParams(Block):
    """What stage two is trained on beside captioned clips (Movie Gen Edit, section 5.1.3)."""

    animated: AnimatedParams
    segmentation: SegmentationParams


class BacktranslatedParams(Block):
    """What stage three is trained on beside earlier pairs (Movie Gen Edit, section 5.1.4).

    An editor is asked to edit so many clips, a `composed_share` of them with objects put on; `tasks` are weights. With
    `backwards` false the edits themselves are the targets: plain tuning, which the paper compares with. All pairs of
    the stage `replay` are taken over, so that they can be trained on again.
    """

    requests: PositiveInt
    tasks: TaskWeights
    composed_share: float = Field(ge=0, le=1)
    writer: WriterConfig
    sampling: SamplingParams
    backwards: bool
    least_accepted: PositiveInt
    replay: str


class EditFilterParams(Block):
    """Thresholds on the scores of a generated edit, each null for off.

    A score that is not defined for an edit is not held against it.
    """

    least_change_share: float | None = Field(ge=0, le=1)
    most_change_share: float | None = Field(ge=0, le=1)
    least_change_inside: float | None = Field(ge=0, le=255)
    most_change_outside: float | None = Field(ge=0, le=255)
    least_sharpness: float | None = Field(ge=0)
    most_sharpness: float | None = Field(ge=0)
    most_colour_drift: float | None = Field(ge=0, le=255)
    most_flicker: float | None = Field(ge=0, le=510)
    least_agreement: float | None = Field(ge=-1, le=1)
    least_direction: float | None = Field(ge=-1, le=1)
    least_resemblance: float | None = Field(ge=-1, le=1)
    least_consistency: float | None = Field(ge=-1, le=1)


class FilterParams(Block):
    """Which generated edits may be trained on. Without a scorer no threshold may rest on one."""

    scorer: ScorerConfig | None
    thresholds: EditFilterParams


class CasesParams(Block):
    """Held-out cases for evaluation; of so many of the clips every frame is also edited alone, as a comparison."""

    pictures: NonNegativeInt
    clips: NonNegativeInt
    framewise_clips: NonNegativeInt
    decoys: PositiveInt


class CheckParams(Block):
    """When a table counts as good enough to be published.

    Of every group `decoded_rows` are decoded again; their PSNR in dB must reach `min_decode_psnr`.
    """

    min_pass_share: float = Field(ge=0, le=1)
    max_abs_latent: float = Field(gt=0)
    max_instruction: PositiveInt
    decoded_rows: NonNegativeInt
    min_decode_psnr: float = Field(ge=0)


class FeaturesParams(Block):
    """All of the feature pipeline."""

    geometry: GeometryParams
    sources: SourcesParams
    quality: QualityParams
    split: SplitParams
    compose: ComposeParams
    scenes: ScenesParams
    pairs: dict[str, PairsParams]
    multi_frame: MultiFrameParams
    backtranslated: BacktranslatedParams
    filter: FilterParams
    cases: CasesParams
    checks: CheckParams
