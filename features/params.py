"""The block `features` of params.yaml."""

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt


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
    max_caption: PositiveInt


class SplitParams(Block):
    """Test scenes: a share of all scenes, chosen by a hash of the scene's name, and those named here."""

    test_share: float = Field(ge=0, le=1)
    test_scenes: tuple[str, ...]
    train_scenes: tuple[str, ...]


class ComposeParams(Block):
    """The composer: how large objects are, how many, how they move."""

    small_share: float = Field(gt=0, lt=1)
    big_share: float = Field(gt=0, lt=1)
    most_objects: PositiveInt
    motion: float = Field(ge=0, le=1)


class ScenesParams(Block):
    """Composed pictures and clips that the autoencoder is trained on; held-out ones come on top."""

    pictures: NonNegativeInt
    clips: NonNegativeInt
    held_out_share: float = Field(ge=0, lt=1)


class PairsParams(Block):
    """How many rows of each kind a stage's table holds; `tasks` are weights of the composed editing tasks."""

    image_edit: NonNegativeInt
    text_to_image: NonNegativeInt
    text_to_video: NonNegativeInt
    validation_share: float = Field(ge=0, lt=1)
    tasks: dict[str, PositiveInt]
    shard: PositiveInt


class CasesParams(Block):
    """Held-out cases for evaluation; of so many of the clips every frame is also edited alone, as a comparison."""

    pictures: NonNegativeInt
    clips: NonNegativeInt
    framewise_clips: NonNegativeInt
    decoys: PositiveInt


class CheckParams(Block):
    """When a table counts as good enough to be published."""

    min_pass_share: float = Field(ge=0, le=1)
    max_abs_latent: float = Field(gt=0)
    max_instruction: PositiveInt


class FeaturesParams(Block):
    """All of the feature pipeline."""

    geometry: GeometryParams
    quality: QualityParams
    split: SplitParams
    compose: ComposeParams
    scenes: ScenesParams
    pairs: dict[str, PairsParams]
    cases: CasesParams
    checks: CheckParams
