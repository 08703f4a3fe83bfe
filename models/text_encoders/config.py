"""The block `models.text` of params.yaml: which text encoders, in which order, and what is said before a prompt."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

EncoderKind = Literal["minilm", "ul2", "umt5", "byt5", "metaclip"]


class TextEncoderConfig(BaseModel):
    """One encoder.

    `source` is a folder, or an id of the Hugging Face hub with or without `@` and a revision; None is the packaged
    MiniLM. Folders of the layout of diffusers, with `text_encoder/` and `tokenizer/`, are read as such. `max_tokens`
    counts the encoder's own beginning and end; longer texts are cut.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: EncoderKind
    source: str | None
    max_tokens: int = Field(ge=2)
    dtype: Literal["float32", "bfloat16"]

    @model_validator(mode="after")
    def _source_is_told(self) -> "TextEncoderConfig":
        if self.source is None and self.kind != "minilm":
            raise ValueError(
                f"text encoder {self.kind!r} needs a source: a folder or a hub id; only minilm is packaged"
            )
        return self


class TextConfig(BaseModel):
    """All encoders, each a part of the text context in this order.

    `frame_rate_prefix` is the frame rate said before the prompt of a clip, or None to say none (section 3.1.4).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    encoders: tuple[TextEncoderConfig, ...] = Field(min_length=1)
    frame_rate_prefix: float | None = Field(gt=0)

    @model_validator(mode="after")
    def _first_encoder_reads_every_text(self) -> "TextConfig":
        if self.encoders[0].kind == "byt5":
            # It has no tokens where nothing is quoted, and the task predictor reads the first encoder alone.
            raise ValueError("the first text encoder cannot be byt5: it reads quoted text only; put another one first")
        return self
