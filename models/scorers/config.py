"""How a scorer is chosen and set."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class _Pretrained(BaseModel):
    """`source` is a folder as `save_pretrained` writes it or a hub id, perhaps with `@` and a revision; `batch` is how
    many frames are embedded at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str = Field(min_length=1)
    device: str = Field(pattern=r"^(cpu|cuda(:\d+)?)$")
    batch: PositiveInt


class ClipConfig(_Pretrained):
    """CLIP, MetaCLIP and others of that class: clips are the mean of their frames."""

    kind: Literal["clip"]


class PickConfig(_Pretrained):
    """PickScore, a CLIP tuned on people's choices; `processor` is where its tokenizer and preprocessor lie, which its
    own checkpoint lacks."""

    kind: Literal["pickscore"]
    processor: str = Field(min_length=1)


class XClipConfig(_Pretrained):
    """X-CLIP, which reads clips as clips."""

    kind: Literal["xclip"]


class TowersConfig(BaseModel):
    """The project's own small scorer, a file that `save_towers` wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["towers"]
    weights: str = Field(min_length=1)


ScorerConfig = Annotated[ClipConfig | XClipConfig | TowersConfig, Field(discriminator="kind")]
