"""The engine's errors as ours."""

import json

import pytest

from puna.domain.remote import RemoteModel
from puna.engine.upstream.failures import from_answer, unreachable
from puna.errors import (
    BodyTooLargeError,
    ContextOverflowError,
    ErrorKind,
    GenerationTimeoutError,
    InvalidRequestError,
    OverloadedError,
    PunaError,
    RemoteEngineError,
)
from puna.redaction import conceal

REMOTE = RemoteModel(name="big", url="https://box.example:8443/v1")


def error_of(status: int, body: object = None, retry_after: str | None = None) -> PunaError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_answer(status, content, retry_after, REMOTE)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, RemoteEngineError),
        (400, InvalidRequestError),
        (401, RemoteEngineError),
        (403, RemoteEngineError),
        (404, RemoteEngineError),
        (405, RemoteEngineError),
        (408, GenerationTimeoutError),
        (413, BodyTooLargeError),
        (422, InvalidRequestError),
        (429, OverloadedError),
        (500, RemoteEngineError),
        (502, OverloadedError),
        (503, OverloadedError),
        (504, GenerationTimeoutError),
        (529, OverloadedError),
        (999, RemoteEngineError),
    ],
)
def test_each_status_has_its_error(status: int, error: type[PunaError]) -> None:
    assert type(error_of(status, {"error": {"message": "because"}})) is error


def test_a_failure_of_the_engine_is_no_mistake_of_the_request() -> None:
    for status, code in ((500, "worker_died"), (401, "invalid_api_key"), (404, None)):
        assert error_of(status, {"error": {"message": "no", "code": code}}).kind is ErrorKind.INTERNAL
    failed = error_of(422, {"error": {"message": "The text did not end.", "code": "generation_failed"}})
    assert failed.kind is ErrorKind.GENERATION_FAILED


def test_who_asks_is_never_told_that_the_key_is_wrong() -> None:
    for status in (401, 403):
        error = error_of(status, {"error": {"message": "Incorrect API key provided: sk-abcdef123456"}})
        assert error.kind not in {ErrorKind.UNAUTHENTICATED, ErrorKind.FORBIDDEN}
        assert "sk-" not in error.message
        assert "key_variable" in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "m", "code": "context_length_exceeded"}},
        {"error": {"message": "m", "type": "exceed_context_size_error", "code": 400}},
        {
            "error": {
                "message": "This model's maximum context length is 4096 tokens. However, you requested 5000."
            }
        },
        {
            "object": "error",
            "message": "The input (9 tokens) is longer than the model's context length",
            "code": 400,
        },
    ],
)
def test_a_prompt_that_does_not_fit_is_that_and_no_bad_request(body: object) -> None:
    assert isinstance(error_of(400, body), ContextOverflowError)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("1e9", 3600), ("nan", 5), ("-3", 5), ("Wed, 21 Oct 2026", 5), (None, 5)],
)
def test_when_to_try_again(header: str | None, seconds: float) -> None:
    assert error_of(503, None, header).retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "top_k is unknown."}}, ": top_k is unknown."),
        ({"error": "plain"}, ": plain."),
        ({"detail": "a detail"}, ": a detail."),
        ({"detail": [{"loc": ["body"], "msg": "one"}, {"msg": "two"}]}, ": one; two."),
        ({"error": {"message": "first line\nTraceback (most recent call last)"}}, ": first line."),
        ({"error": {"message": "bell\x07 and \u202e turn"}}, ": bell  and   turn."),
        ({"error": {"message": "x" * 1000}}, ": " + "x" * 397 + "..."),
        (b"<html>", "."),
        (b"[" * 100_000, "."),
        ([], "."),
        ({"error": {"message": 7}}, "."),
    ],
)
def test_the_engines_words_are_one_short_line(body: object, said: str) -> None:
    assert error_of(400, body).message == f"The engine of big refuses the request{said}"


def test_no_secret_of_the_engines_words_goes_on() -> None:
    conceal("very-own-key-of-this-test")
    error = error_of(500, {"error": {"message": "token very-own-key-of-this-test, Bearer abcdef123456"}})
    assert "very-own-key" not in error.message
    assert "abcdef123456" not in error.message


def test_addresses_are_named_without_their_path() -> None:
    for error in (error_of(404), error_of(307), unreachable("refused", REMOTE)):
        assert "https://box.example:8443 " in error.message
        assert "remote_models" in error.message
