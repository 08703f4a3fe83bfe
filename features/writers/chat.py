"""A chat model behind an OpenAI-compatible endpoint: llama.cpp's server, vLLM, Ollama, or a hosted one.

This file is the only home of httpx.
"""

import json
import logging
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import httpx
from pydantic import BaseModel, Field, ValidationError

from features.writers.answers import Refused
from features.writers.config import KEY, MODEL, URL, ChatConfig, Endpoint, WriterError
from features.writers.prompts import Message
from features.writers.protocol import UNREACHED
from features.writers.spoken import Said

log = logging.getLogger(__name__)
BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth another try
MOST_BYTES = 1 << 20  # of an answer that is a few hundred tokens long
LONGEST_WAIT = 60.0  # seconds, whatever the endpoint asks for


class _Text(BaseModel):
    content: str | None


class _Choice(BaseModel):
    message: _Text
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Busy(Exception):
    """No answer this time; `wait` are the seconds that the endpoint asks for, if it does."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class ChatSpeaker:
    """Says what the model of an endpoint says. Usable from several threads."""

    def __init__(self, endpoint: Endpoint, config: ChatConfig) -> None:
        self._endpoint, self._config = endpoint, config
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._client = httpx.Client(headers=headers, timeout=config.timeout_seconds)
        weakref.finalize(self, self._client.close)
        self.revision = f"chat-{endpoint.model}"

    def say(self, messages: Sequence[Message], schema: Mapping[str, object], seed: int) -> Said:
        """The model's answer. A busy or slow endpoint is asked again, after a growing wait.

        Raises:
            Refused: no answer after all attempts; the message has the reason of the last.
            WriterError: the endpoint cannot be reached, or refuses such requests altogether.
        """
        payload = self._payload(messages, schema, seed)
        for attempt in range(self._config.attempts):
            try:
                return _said(self._post(payload))
            except _Busy as busy:
                reason, wait = str(busy), busy.wait
            log.debug("%s: %s", self._endpoint.url, reason)
            if attempt + 1 < self._config.attempts:
                wait = self._config.backoff_seconds * 2**attempt if wait is None else wait
                time.sleep(min(wait, LONGEST_WAIT))
        raise Refused(f"{UNREACHED}: {reason}")

    def _payload(self, messages: Sequence[Message], schema: Mapping[str, object], seed: int) -> dict[str, object]:
        config = self._config
        payload: dict[str, object] = {
            "model": self._endpoint.model,
            "messages": [asdict(message) for message in messages],
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_tokens": config.max_tokens,
            "seed": seed,
        }
        if config.answer_format == "json_object":
            payload["response_format"] = {"type": "json_object"}
        elif config.answer_format == "json_schema":
            named = {"name": "answer", "strict": True, "schema": schema}
            payload["response_format"] = {"type": "json_schema", "json_schema": named}
        return payload

    def _post(self, payload: Mapping[str, object]) -> bytes:
        """The body of a good response. httpx bounds the wait for each piece, this the wait for all of them."""
        url, deadline = f"{self._endpoint.url}/chat/completions", time.monotonic() + self._config.timeout_seconds
        try:
            with self._client.stream("POST", url, json=payload) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if time.monotonic() > deadline:
                        raise _Busy("too slow")
                    if len(body) > MOST_BYTES:
                        raise _Busy("answer is too long")
        except httpx.TimeoutException as error:
            raise _Busy("too slow") from error
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise WriterError(f"no chat model at {self._endpoint.url} ({error}); start it, or correct {URL}") from error
        except httpx.HTTPError as error:
            raise _Busy(f"broken connection ({type(error).__name__})") from error
        if response.status_code in BUSY:
            raise _Busy(f"status {response.status_code}", _wait(response))
        if response.status_code != httpx.codes.OK:
            raise WriterError(self._refusal(response.status_code, bytes(body)))
        return bytes(body)

    def _refusal(self, status: int, body: bytes) -> str:
        told = " ".join(body[:300].decode(errors="replace").split())
        if self._endpoint.key:
            told = told.replace(self._endpoint.key, "***")
        cure = {401: f"correct {KEY}", 403: f"correct {KEY}", 404: f"correct {URL} (often it ends with /v1) or {MODEL}"}
        advice = cure.get(status, "perhaps it knows no such `answer_format`")
        return f"{self._endpoint.url} answers with status {status}: {told or 'nothing'}; {advice}"


def _said(body: bytes) -> Said:
    try:
        completion = _Completion.model_validate(json.loads(body))
    except (ValidationError, ValueError, RecursionError) as error:
        raise _Busy("no completion") from error
    usage = completion.usage or _Usage()
    return Said(completion.choices[0].message.content or "", usage.prompt_tokens, usage.completion_tokens)


def _wait(response: httpx.Response) -> float | None:
    """Seconds of a Retry-After; a date is taken as no wish."""
    told = response.headers.get("retry-after", "")
    return float(told) if told.isdigit() else None
