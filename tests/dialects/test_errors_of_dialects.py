"""Every kind of error in every dialect, as an answer and in the middle of a stream."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from aiohttp import ClientPayloadError, web

from puna.api.anthropic.convert import AnswerHead as MessageHead
from puna.api.anthropic.stream import MessageEncoder
from puna.api.dialect import Dialect
from puna.api.errors import STATUS_OF_KIND, render_default_error, translate_error
from puna.api.head import RequestHead, make_headers
from puna.api.locallab.stream import ChatEncoder, GenerateEncoder
from puna.api.ollama import stream as ollama
from puna.api.ollama.answers import AnswerHead
from puna.api.openai.answer_head import AnswerHead as OpenAIHead
from puna.api.openai.chat.convert import ChatStyle
from puna.api.openai.chat.stream import ChatEncoder as OpenAIChatEncoder
from puna.api.openai.completions.convert import TextStyle
from puna.api.openai.completions.stream import TextEncoder
from puna.api.openai.responses.convert import ResponseHead, to_reply, to_wish
from puna.api.openai.responses.schema import ResponseBody
from puna.api.openai.responses.stream import ResponseEncoder
from puna.api.registry import UNCLAIMED
from puna.api.streaming import NDJSON, SSE, StreamEncoder
from puna.app import DIALECTS
from puna.domain.generation import TextDelta
from puna.errors import (
    DaemonError,
    EngineUnusableError,
    ErrorKind,
    MethodNotAllowedError,
    OverloadedError,
    PunaError,
    RateLimitedError,
    WorkerDiedError,
)

HEAD = RequestHead(method="POST", path="/generate", headers=make_headers({}))


def ollama_generate() -> StreamEncoder:
    return ollama.GenerateEncoder(AnswerHead("id", "demo", 0.0), lambda: datetime(2026, 1, 2, tzinfo=UTC))


def ollama_chat() -> StreamEncoder:
    return ollama.ChatEncoder(AnswerHead("id", "demo", 0.0), lambda: datetime(2026, 1, 2, tzinfo=UTC))


def anthropic_encoder() -> StreamEncoder:
    return MessageEncoder(MessageHead("msg_1", "demo"), "req_1")


def openai_chat() -> StreamEncoder:
    return OpenAIChatEncoder(OpenAIHead(id="id", created=1, model="demo"), ChatStyle())


def openai_text() -> StreamEncoder:
    return TextEncoder(OpenAIHead(id="id", created=1, model="demo"), TextStyle(echoes=("",)))


def openai_response() -> StreamEncoder:
    body = ResponseBody(input="x")
    return ResponseEncoder(to_reply(body, ResponseHead("id", "demo", 1.0)), to_wish(body), {}, str)


STREAMS: dict[str, tuple[Callable[[], StreamEncoder], ...]] = {
    "locallab": (GenerateEncoder, ChatEncoder),
    "ollama": (ollama_generate, ollama_chat),
    "aitextgen": (),
    "modelstudio": (),
    "lamini": (),
    "anthropic": (anthropic_encoder,),
    "openai": (openai_chat, openai_text, openai_response),
}
"""The encoders of each dialect that generates; none where its answers are whole, or polled."""


def error_of(kind: ErrorKind) -> PunaError:
    if kind is ErrorKind.METHOD_NOT_ALLOWED:
        return MethodNotAllowedError("Method Not Allowed", frozenset({"POST", "GET"}))
    error = PunaError("It failed, says the test.", retry_after_s=2.1)
    error.kind = kind  # type: ignore[misc] # the walk covers kinds that no class of the tree has
    return error


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("dialect", [*DIALECTS, UNCLAIMED], ids=lambda dialect: dialect.name)
def test_every_dialect_renders_every_kind(dialect: Dialect, kind: ErrorKind) -> None:
    reply = dialect.render_error(error_of(kind), HEAD)
    body = json.loads(reply.body)
    assert 400 <= reply.status <= 599
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert reply.body.isascii()


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_stream_ends_with_every_kind(dialect: Dialect, kind: ErrorKind) -> None:
    generates = any(route.generates for route in dialect.routes)
    assert dialect.name in STREAMS or not generates, "its streams are missing here"
    for make_encoder in STREAMS.get(dialect.name, ()):
        encoder = make_encoder()
        begun = encoder.encode(TextDelta("Once"))
        ends_with_error(encoder.content_type, begun, encoder.encode_error(error_of(kind)))


def ends_with_error(content_type: str, begun: bytes, end: bytes) -> None:
    if content_type == NDJSON:
        assert begun.endswith(b"\n")
        assert end.endswith(b"\n")
        assert isinstance(json.loads(end)["error"], str)
    elif end.startswith(b"event: error\n"):
        assert content_type == SSE
        assert end.endswith(b"\n\n")
        assert isinstance(
            json.loads(end.partition(b"data: ")[2].partition(b"\n\n")[0])["error"]["message"], str
        )
    elif end.startswith(b"data: {"):
        assert content_type == SSE
        assert end.endswith(b"}\n\n")
        assert isinstance(json.loads(end.removeprefix(b"data: "))["error"]["message"], str)
    else:
        assert content_type == SSE
        assert b"[ERROR] " in end
        assert end.endswith(b"data: [DONE]\n\n")


def test_every_kind_has_a_usual_status() -> None:
    assert set(STATUS_OF_KIND) == set(ErrorKind)


def test_the_headers_that_http_asks_for_are_there() -> None:
    method = render_default_error(error_of(ErrorKind.METHOD_NOT_ALLOWED), HEAD)
    assert (method.status, method.headers) == (405, {"Allow": "GET, POST"})
    assert render_default_error(RateLimitedError("no", retry_after_s=2.1), HEAD).headers == {
        "Retry-After": "3"
    }
    assert render_default_error(OverloadedError("no"), HEAD).headers == {"Retry-After": "1"}
    unknown = render_default_error(error_of(ErrorKind.UNAUTHENTICATED), HEAD)
    assert unknown.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    ("foreign", "kind"),
    [
        (web.HTTPNotFound(), ErrorKind.ROUTE_NOT_FOUND),
        (web.HTTPMethodNotAllowed("GET", ["POST"]), ErrorKind.METHOD_NOT_ALLOWED),
        (web.HTTPRequestEntityTooLarge(1, 2), ErrorKind.BODY_TOO_LARGE),
        (web.HTTPExpectationFailed(), ErrorKind.INVALID_REQUEST),
        (ClientPayloadError("cut"), ErrorKind.INVALID_REQUEST),
        (ValueError("boom"), ErrorKind.INTERNAL),
        (web.HTTPInternalServerError(), ErrorKind.INTERNAL),
    ],
)
def test_foreign_errors_become_ours(foreign: Exception, kind: ErrorKind) -> None:
    assert translate_error(foreign).kind is kind


@pytest.mark.parametrize("error", [WorkerDiedError("gone"), EngineUnusableError("no llama.cpp")])
def test_our_errors_stay_as_they_are(error: PunaError) -> None:
    assert translate_error(error) is error


@pytest.mark.parametrize("kind", [ValueError, DaemonError])
def test_the_unexpected_is_logged_under_an_id_and_told_without_detail(
    caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    with caplog.at_level(logging.ERROR):
        told = translate_error(kind("/home/someone/secret")).message
    record = caplog.records[-1]
    error_id = told.partition("(id ")[2].rstrip(").")
    assert told == f"Internal error; see `puna logs` (id {error_id})."
    assert error_id in record.getMessage()
    assert record.exc_info is not None
