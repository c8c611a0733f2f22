"""Lamini's routes, and those that answer at once."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from aiohttp import web

import puna
from puna.api.body import read_body
from puna.api.claimants import LAMINI_VERSION, Claimant, claimant_of
from puna.api.completion import complete_all
from puna.api.context import context_of
from puna.api.dialect import Access, Dialect, Route
from puna.api.exchange import exchange_of
from puna.api.head import RequestHead
from puna.api.lamini import polled
from puna.api.lamini.convert import to_answer, to_outputs, to_requests, to_reservation, to_warning
from puna.api.lamini.embedding import EMBEDDING_PREFIXES, EMBEDDING_ROUTES
from puna.api.lamini.errors import SHARED_PATH, render_error
from puna.api.lamini.output_type import OutputType
from puna.api.lamini.replies import (
    Answer,
    EndpointReply,
    NothingYetReply,
    OutputsReply,
    PolledIdReply,
    ReservationReply,
    StreamingReply,
    VersionReply,
)
from puna.api.lamini.schema import COMPLETION, RESERVATION, STREAMING, CompletionBody
from puna.api.lamini.train import TRAIN_PREFIXES, TRAIN_ROUTES
from puna.api.model_names import acquire_model
from puna.api.responses import json_response
from puna.domain.generation import Completion

_ENDPOINTS = (
    EndpointReply("completions", "/v1/completions"),
    EndpointReply("completions", "/v2/completions"),
    EndpointReply("streaming_completions", "/v1/streaming_completions"),
    EndpointReply("streaming_completions", "/v3/streaming_completions"),
    EndpointReply("batch_completions", "/v1/batch_completions"),
    EndpointReply("embedding", "/v1/embedding"),
    EndpointReply("train", "/v1/train"),
)


async def complete(request: web.Request) -> web.Response:
    """POST /v1/completions: one answer for a prompt, a list for a list."""
    body = COMPLETION.parse(await read_body(request))
    output_type = body.read_output_type()
    completions = await _complete(request, body, output_type)
    answers = [to_answer(completion, output_type) for completion in completions]
    return _reply(answers if body.is_list else answers[0], completions)


async def complete_with_reasons(request: web.Request) -> web.Response:
    """POST /v2/completions: the answers as a list, each with the reason of its end."""
    body = COMPLETION.parse(await read_body(request))
    output_type = body.read_output_type()
    completions = await _complete(request, body, output_type)
    return _reply(to_outputs(completions, output_type), completions)


async def show_version(request: web.Request) -> web.Response:
    """GET /v1/version: the daemon's version, and the routes that clients look for."""
    client = exchange_of(request).head.header(LAMINI_VERSION)
    return json_response(VersionReply(puna.__version__, client, _ENDPOINTS))


async def reserve(request: web.Request) -> web.Response:
    """POST /v1/reservation: whatever is asked for is granted, and nothing is set aside."""
    body = RESERVATION.parse(await read_body(request))
    return json_response(to_reservation(body, datetime.now(UTC).replace(tzinfo=None)))


def is_lamini(head: RequestHead, fields: Collection[str]) -> bool:
    """Whether a request on the path that OpenAI's clients use too is Lamini's."""
    has_version = head.header(LAMINI_VERSION) is not None
    return claimant_of(fields, has_lamini_version=has_version) is Claimant.LAMINI


async def _complete(
    request: web.Request, body: CompletionBody, output_type: OutputType | None
) -> list[Completion]:
    exchange = exchange_of(request)
    async with acquire_model(context_of(request), exchange.identity, body.wanted_model) as lease:
        requests = to_requests(body, output_type, lease.loaded)
        return await complete_all(lease, requests, exchange, at_once=lease.loaded.slots)


def _reply(value: object, completions: Sequence[Completion]) -> web.Response:
    response = json_response(value)
    warning = to_warning(completions)
    if warning is not None:
        response.headers["X-Warning"] = warning
    return response


DIALECT = Dialect(
    name="lamini",
    access=Access.KEYED,
    key_variable="LAMINI_API_KEY",
    prefixes=(
        "/v2/completions",
        "/v1/streaming_completions",
        "/v3/streaming_completions",
        "/v1/batch_completions",
        "/v1/version",
        "/v1/reservation",
        *EMBEDDING_PREFIXES,
        *TRAIN_PREFIXES,
    ),
    render_error=render_error,
    title="Lamini",
    summary="Completions, also as typed objects, whole or polled, vectors and training, as Lamini's clients have them.",
    routes=(
        Route(
            method="POST",
            path=SHARED_PATH,
            handler=complete,
            generates=True,
            claims=is_lamini,
            body=COMPLETION,
            reply=Answer | list[Answer],
        ),
        Route(
            method="POST",
            path="/v2/completions",
            handler=complete_with_reasons,
            generates=True,
            body=COMPLETION,
            reply=OutputsReply,
        ),
        Route(
            method="POST",
            path="/v1/streaming_completions",
            handler=polled.stream_again,
            generates=True,
            body=STREAMING,
            reply=StreamingReply,
        ),
        Route(
            method="POST",
            path="/v3/streaming_completions",
            handler=polled.begin_stream,
            generates=True,
            body=COMPLETION,
            reply=PolledIdReply,
        ),
        Route(
            method="GET",
            path="/v3/streaming_completions/{poll_id}/result",
            handler=polled.show_stream,
            reply=OutputsReply | NothingYetReply,
        ),
        Route(
            method="POST",
            path="/v1/batch_completions",
            handler=polled.begin_batch,
            generates=True,
            body=COMPLETION,
            reply=PolledIdReply,
        ),
        Route(
            method="GET",
            path="/v1/batch_completions/{poll_id}/result",
            handler=polled.show_batch,
            reply=OutputsReply | NothingYetReply,
        ),
        Route(method="GET", path="/v1/version", handler=show_version, scope=None, reply=VersionReply),
        Route(
            method="POST", path="/v1/reservation", handler=reserve, body=RESERVATION, reply=ReservationReply
        ),
        *EMBEDDING_ROUTES,
        *TRAIN_ROUTES,
    ),
)
