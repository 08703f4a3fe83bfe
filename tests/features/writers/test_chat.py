"""The chat writer against a real local endpoint: good answers, bad ones, busy, broken and slow ones."""

import json
import logging
import socket
from collections.abc import Mapping

import pytest
from pydantic import TypeAdapter, ValidationError

from features.writers.build import build_writer
from features.writers.config import KEY, MODEL, URL, ChatConfig, Endpoint, WriterConfig, WriterError
from features.writers.protocol import Answers, InvertRequest, WriteRequest, Written
from tests.features.writers.endpoint import Reply, Served, endpoint

CONFIG = {
    "kind": "chat",
    "attempts": 3,
    "temperature": 0.9,
    "top_p": 0.9,
    "max_tokens": 120,
    "max_characters": 300,
    "example_share": 0.6,
    "answer_format": "json_schema",
    "timeout_seconds": 10.0,
    "backoff_seconds": 0.0,
    "concurrency": 1,
}
CAPTION = "a man riding a horse on a beach"
GOOD = json.dumps(
    {
        "instruction": "Turn the horse into a camel",
        "output_caption": "a man riding a camel on a beach",
        "object": "horse",
    }
)
BACK = json.dumps({"instruction": "Turn the camel into a horse", "task": "replace"})
WRITE = WriteRequest(CAPTION, "replace", 5)
INVERT = InvertRequest(CAPTION, "a man riding a camel on a beach", "Turn the horse into a camel", 5)


def _config(**changes: object) -> ChatConfig:
    return ChatConfig.model_validate(CONFIG | changes)


def _environment(url: str) -> dict[str, str]:
    return {URL: url, MODEL: "some-model", KEY: "secret-key"}


def _write(served: Served, count: int = 1, environment: Mapping[str, str] | None = None, **changes: object):
    writer = build_writer(_config(**changes), environment or _environment(served.url))
    requests = [WriteRequest(CAPTION, "replace", seed) for seed in range(0, 10 * count, 10)]
    return writer.write(requests)


def test_a_good_answer_becomes_an_edit_with_its_cost() -> None:
    with endpoint([Reply(GOOD)]) as served:
        answers = _write(served)
    expected = Written("Turn the horse into a camel", "a man riding a camel on a beach", "replace", "horse")
    assert answers.all == (expected,)
    report = answers.report
    assert (report.asked, report.accepted, report.tries, report.acceptance) == (1, 1, 1, 1.0)
    assert (report.prompt_tokens, report.completion_tokens) == (100, 20)


def test_an_edit_is_inverted() -> None:
    with endpoint([Reply(BACK)]) as served:
        answers = build_writer(_config(), _environment(served.url)).invert([INVERT])
    (told,) = answers.accepted
    assert (told.instruction, told.task) == ("Turn the camel into a horse", "replace")
    asked = json.loads(served.asked[0]["messages"][-1]["content"])
    assert asked == {"caption": CAPTION, "instruction": INVERT.instruction, "edited_caption": INVERT.output_caption}


def test_what_is_asked_is_the_protocol() -> None:
    with endpoint([Reply(GOOD)]) as served:
        _write(served)
    (asked,) = served.asked
    assert asked["path"] == "/v1/chat/completions" and asked["model"] == "some-model"
    assert (asked["temperature"], asked["top_p"], asked["max_tokens"], asked["seed"]) == (0.9, 0.9, 120, 0)
    schema = asked["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["instruction", "output_caption", "object"] and not schema["additionalProperties"]
    roles = [message["role"] for message in asked["messages"]]
    assert roles == ["system", *(["user", "assistant"] * 4), "user"]
    assert served.headers[0]["authorization"] == "Bearer secret-key"


@pytest.mark.parametrize(("kind", "sent"), [("json_object", {"type": "json_object"}), ("text", None)])
def test_endpoints_that_know_no_schemas(kind: str, sent: dict | None) -> None:
    with endpoint([Reply(f"```json\n{GOOD}\n```")]) as served:
        answers = _write(served, answer_format=kind)
    assert answers.accepted and served.asked[0].get("response_format") == sent


def test_a_key_is_sent_only_if_there_is_one() -> None:
    with endpoint([Reply(GOOD)]) as served:
        _write(served, environment={URL: f"{served.url}/", MODEL: "m", KEY: ""})
    assert "authorization" not in served.headers[0]


def test_bad_answers_are_asked_for_again_with_another_seed_and_paid_for() -> None:
    with endpoint([Reply("I would rather not."), Reply('{"instruction": "x"}'), Reply(GOOD)]) as served:
        answers = _write(served)
    assert len(answers.accepted) == 1
    assert [asked["seed"] for asked in served.asked] == [0, 1, 2]
    prompts = [json.dumps(asked["messages"]) for asked in served.asked]
    assert len(set(prompts)) == 3, "other examples, or another order"
    assert (answers.report.tries, answers.report.prompt_tokens) == (3, 300)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no", "not JSON"),
        ("", "not JSON"),
        (None, "not JSON"),
        ("[" * 100_000, "not JSON"),
        (GOOD + GOOD, "not JSON"),
        ("[]", "not the fields"),
        ('{"instruction": 5, "output_caption": "b", "object": "c"}', "not the fields that were asked for: instruction"),
        (GOOD.replace("}", ', "extra": "x"}'), "not the fields"),
        ('{"instruction": "a", "instruction": "b", "output_caption": "c", "object": "d"}', "a field twice"),
        (GOOD.replace("Turn the horse into a camel", " "), "instruction is empty"),
        (GOOD.replace("on a beach", "x" * 400), "output caption is too long"),
        (GOOD.replace("Turn", "Turn\\u0000"), "signs that are no text"),
        (GOOD.replace("Turn", "Turn\\ud800"), "unicode"),
        (GOOD.replace("a camel on", "a horse on"), "output caption is the caption"),
        (GOOD.replace("Turn the horse into a camel", "a man riding a camel on a beach"), "instruction is a caption"),
        (GOOD.replace('"horse"', '"dog"'), "object is not in the instruction"),
        (GOOD.replace("on a beach", "beside a horse"), "the object is still in the output caption"),
    ],
)
def test_answers_that_stay_bad_are_rejected_with_reason_and_value(said: str | None, reason: str) -> None:
    with endpoint([Reply(said)]) as served:
        answers = _write(served)
    (rejected,) = answers.all
    assert rejected in answers.rejected and reason in rejected.reason, rejected
    assert rejected.value == (said or "")[:500] and rejected.request.caption == CAPTION
    assert (len(served.asked), answers.report.tries, answers.report.acceptance) == (3, 3, 0.0)


def test_a_copied_example_is_no_answer() -> None:
    with endpoint([Reply(GOOD)]) as served:
        _write(served, example_share=1.0)
    example = served.asked[0]["messages"][2]["content"]
    with endpoint([Reply(example)]) as served:
        answers = _write(served, example_share=1.0)
    assert answers.rejected[0].reason == "copied from an example"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (BACK.replace("replace", "undo"), "no such task"),
        (BACK.replace("Turn the camel into a horse", INVERT.instruction), "the edit itself"),
        (BACK.replace("Turn the camel into a horse", CAPTION), "a caption"),
        (GOOD, "not the fields"),
    ],
)
def test_bad_inverses_are_rejected(said: str, reason: str) -> None:
    with endpoint([Reply(said)]) as served:
        (rejected,) = build_writer(_config(), _environment(served.url)).invert([INVERT]).rejected
    assert reason in rejected.reason


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_endpoint_is_asked_again(status: int) -> None:
    with endpoint([Reply("", status), Reply("", status, headers=(("Retry-After", "0"),)), Reply(GOOD)]) as served:
        answers = _write(served)
    assert answers.accepted and len(served.asked) == 3
    assert len({json.dumps(asked) for asked in served.asked}) == 1, "the very same question"


@pytest.mark.parametrize(
    "reply",
    [
        Reply("", 503),
        Reply(body=b"not json"),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"\xff\xfe"),
        Reply(body=b'{"error": "x"}'),
        Reply(body=b"x" * (2 << 20)),
        Reply(GOOD, headers=(("Content-Length", "5000"),)),
    ],
    ids=["busy", "html", "empty", "binary", "error", "huge", "cut off"],
)
def test_an_endpoint_that_stays_broken_loses_its_request_not_the_others(reply: Reply) -> None:
    with endpoint([Reply(GOOD), reply, reply, reply, Reply(GOOD)]) as served:
        answers = _write(served, count=3, timeout_seconds=2.0)
    assert len(answers.all) == 3 and len(answers.accepted) == 2
    assert answers.rejected[0].reason.startswith("endpoint: ") and len(served.asked) == 5


@pytest.mark.parametrize("reply", [Reply(GOOD, pause=4.0), Reply(GOOD, pieces=40, pause=0.1)], ids=["late", "drips"])
def test_a_slow_endpoint_is_given_up(reply: Reply) -> None:
    with endpoint([reply, Reply(GOOD)]) as served:
        answers = _write(served, timeout_seconds=1.0)
    assert answers.accepted and len(served.asked) == 2
    with endpoint([reply]) as served:
        assert _write(served, timeout_seconds=1.0, attempts=1).rejected[0].reason == "endpoint: too slow"


@pytest.mark.parametrize(
    ("status", "cure"), [(401, KEY), (403, KEY), (404, URL), (400, "answer_format"), (302, "status 302")]
)
def test_a_refusal_of_all_requests_is_an_error_with_a_cure(status: int, cure: str) -> None:
    body = b'{"error": {"message": "bad key secret-key"}}'
    with endpoint([Reply(status=status, body=body)]) as served, pytest.raises(WriterError, match=cure) as error:
        _write(served, count=50)
    assert "secret-key" not in str(error.value) and "bad key ***" in str(error.value)
    assert len(served.asked) < 5


def test_nobody_there_is_an_error_with_a_cure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = Served(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with pytest.raises(WriterError, match=URL):
            _write(nowhere)


def test_many_requests_at_once_keep_their_order() -> None:
    with endpoint([Reply(GOOD), Reply("no"), Reply(GOOD)]) as served:
        answers: Answers[Written] = _write(served, count=20, concurrency=4)
    assert len(answers.all) == len(answers.accepted) == 20
    assert answers.report.asked == 20 and answers.report.tries == 21
    assert sorted(asked["seed"] for asked in served.asked if asked["seed"] % 10 == 0) == list(range(0, 200, 10))


def test_cost_and_acceptance_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), endpoint([Reply(GOOD)]) as served:
        _write(served)
    (line,) = [record.message for record in caplog.records if record.name.startswith("features.writers")]
    assert "1 of 1 accepted (100%) in 1 tries; 100 prompt tokens, 20 written" in line and "secret-key" not in line


def test_the_environment_says_where() -> None:
    with pytest.raises(WriterError, match=f"{URL} and {MODEL}"):
        build_writer(_config(), {})
    with pytest.raises(WriterError, match="no http address"):
        Endpoint.of({URL: "ftp://x", MODEL: "m"})
    with pytest.raises(WriterError, match=KEY):
        Endpoint.of({URL: "http://x", MODEL: "m", KEY: "two\nlines"})
    assert "hidden" not in repr(Endpoint.of({URL: "http://x", MODEL: "m", KEY: "hidden"}))


def test_the_revision_follows_model_settings_and_examples() -> None:
    where = _environment("http://127.0.0.1:1/v1")
    first = build_writer(_config(), where).revision
    assert first == build_writer(_config(), where).revision
    others = [build_writer(_config(temperature=0.1), where), build_writer(_config(), where | {MODEL: "other"})]
    assert first not in {other.revision for other in others} and "secret" not in first


def test_a_config_is_checked() -> None:
    read = TypeAdapter(WriterConfig).validate_python
    assert read({"kind": "grammar"}).kind == "grammar" and read(CONFIG).kind == "chat"
    for bad in ({"kind": "oracle"}, CONFIG | {"key": "x"}, CONFIG | {"top_p": 0}, {"kind": "chat"}):
        with pytest.raises(ValidationError):
            read(bad)
