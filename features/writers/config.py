"""How a writer is chosen and set: values here, the address and key of an endpoint in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

URL, MODEL, KEY = "MOVIEGEN_WRITER_URL", "MOVIEGEN_WRITER_MODEL", "MOVIEGEN_WRITER_KEY"


class WriterError(RuntimeError):
    """A writer that cannot work at all; the message says what is wrong and what to do."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GrammarConfig(_Config):
    """The grammar has no values: its vocabulary is the project's."""

    kind: Literal["grammar"]


class SpokenConfig(_Config):
    """Language models of any kind.

    Every answer is drawn at `temperature` from `top_p` of the mass. A bad one is asked for again with another seed,
    until `attempts` were made. A prompt shows `example_share` of a task's examples, drawn and shuffled anew (Emu
    Edit takes 0.6, temperature 0.9, top-p 0.9). Instructions and captions longer than `max_characters` are refused.
    """

    attempts: PositiveInt
    temperature: NonNegativeFloat
    top_p: float = Field(gt=0, le=1)
    max_tokens: PositiveInt
    max_characters: PositiveInt
    example_share: float = Field(gt=0, le=1)


class ChatConfig(SpokenConfig):
    """A chat model behind an OpenAI-compatible endpoint.

    `answer_format` is what the endpoint is asked for: an answer of the schema, any JSON object, or nothing, where it
    knows neither. A request that takes longer than `timeout_seconds` altogether is given up; between tries of a busy
    endpoint `backoff_seconds` pass, twice as many each time. `concurrency` requests are under way at once.
    """

    kind: Literal["chat"]
    answer_format: Literal["json_schema", "json_object", "text"]
    timeout_seconds: PositiveFloat
    backoff_seconds: NonNegativeFloat
    concurrency: PositiveInt


class CausalLmConfig(SpokenConfig):
    """A causal language model of transformers: a folder as `save_pretrained` writes it, or a hub id, perhaps with `@`
    and a commit. `device` is where it runs."""

    kind: Literal["causal_lm"]
    source: str = Field(min_length=1)
    dtype: Literal["float32", "bfloat16", "float16"]
    device: str = Field(pattern=r"^(cpu|cuda(:\d+)?)$")


WriterConfig = Annotated[GrammarConfig | ChatConfig | CausalLmConfig, Field(discriminator="kind")]


@dataclass(frozen=True)
class Endpoint:
    """Where a chat model answers; the key is in no text that this object makes of itself."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Endpoint":
        """From the environment; WriterError names what is missing."""
        missing = [name for name in (URL, MODEL) if not environment.get(name)]
        if missing:
            raise WriterError(
                f"no chat model: set {' and '.join(missing)}, e.g. {URL}=http://127.0.0.1:8080/v1; "
                f"{KEY} too if the endpoint wants a key"
            )
        url = environment[URL].rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise WriterError(f"{URL} is no http address: {url}")
        key = environment.get(KEY) or None
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise WriterError(f"{KEY} has signs that no header may have")
        return cls(url, environment[MODEL], key)
