"""How a masker is chosen and set."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt


class _Bounds(BaseModel):
    """Which tracks are used: those at least so sure, that cover no less and no more of the frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_confidence: float = Field(ge=0, le=1)
    least_share: float = Field(ge=0, le=1)
    most_share: float = Field(ge=0, le=1)


class SaliencyConfig(_Bounds):
    """U^2-Net-p at `network`, an ONNX file. A mask is the median over `radius` frames before and after, and masks of
    neighbouring frames must overlap by `least_steadiness`."""

    kind: Literal["saliency"]
    network: str
    threads: PositiveInt
    radius: NonNegativeInt
    least_steadiness: float = Field(ge=0, le=1)


class GroundedSamConfig(_Bounds):
    """Grounding DINO and SAM 2, each a folder as `save_pretrained` writes it or a hub id, perhaps with `@commit`.

    The thing is looked for in `looks` frames, and must be found with at least `least_score` in one of them.
    """

    kind: Literal["grounded_sam"]
    detector: str = Field(min_length=1)
    tracker: str = Field(min_length=1)
    device: str = Field(pattern=r"^(cpu|cuda(:\d+)?)$")
    looks: PositiveInt
    least_score: float = Field(ge=0, le=1)


MaskerConfig = Annotated[SaliencyConfig | GroundedSamConfig, Field(discriminator="kind")]
