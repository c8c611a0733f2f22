"""Spin-Up's route, which is Ollama's `/api/generate`; Ollama's others are not served yet."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from puna.api.body import read_body
from puna.api.completion import complete
from puna.api.context import context_of
from puna.api.dialect import Access, Dialect, Route
from puna.api.exchange import exchange_of
from puna.api.model_names import acquire_model, find_model
from puna.api.responses import json_response
from puna.api.spinup.convert import (
    AnswerHead,
    asks_to_unload,
    check_supported,
    from_completion,
    to_generation,
    to_load_reply,
)
from puna.api.spinup.errors import render_error
from puna.api.spinup.names import find_by_name
from puna.api.spinup.schema import GENERATE, GenerateBody
from puna.api.spinup.stream import GenerateEncoder
from puna.api.streaming import send_stream
from puna.errors import ForbiddenError, InvalidRequestError
from puna.keys.identity import Scope
from puna.residency.coordinator import Lease


async def generate(request: web.Request) -> web.StreamResponse:
    """POST /api/generate."""
    body = await _read(request)
    is_unload = asks_to_unload(body.keep_alive)
    if body.prompt:
        return await _generate(request, body)
    if is_unload:
        return await _unload(request, body.model)
    async with _acquire(request, body.model):
        return json_response(to_load_reply(body.model, "load", _now()))


async def _generate(request: web.Request, body: GenerateBody) -> web.StreamResponse:
    began = time.monotonic()
    async with _acquire(request, body.model) as lease:
        head = AnswerHead(secrets.token_hex(6), body.model, time.monotonic() - began)
        generation = to_generation(
            body,
            has_chat_template=lease.loaded.has_chat_template,
            context_length=lease.loaded.context_length,
        )
        if body.stream is not False:
            return await send_stream(request, lease.generate(generation), GenerateEncoder(head, _now))
        completion = await complete(lease, generation, exchange_of(request))
        return json_response(from_completion(completion, head, _now()))


async def _unload(request: web.Request, model: str) -> web.Response:
    context, identity = context_of(request), exchange_of(request).identity
    if not identity.may(Scope.MANAGE):
        raise ForbiddenError("Unloading a model needs a key with the scope manage.")
    entry = await find_by_name(model, partial(find_model, context, identity))
    await context.residency.unload(entry.id)
    return json_response(to_load_reply(model, "unload", _now()))


async def _read(request: web.Request) -> GenerateBody:
    encoded = await read_body(request)
    if not encoded.strip():
        raise InvalidRequestError("missing request body")
    body = GENERATE.parse(encoded)
    check_supported(body)
    return body


@asynccontextmanager
async def _acquire(request: web.Request, model: str) -> AsyncIterator[Lease]:
    context, identity = context_of(request), exchange_of(request).identity
    async with AsyncExitStack() as stack:
        yield await find_by_name(
            model, lambda name: stack.enter_async_context(acquire_model(context, identity, name))
        )


def _now() -> datetime:
    return datetime.now(UTC)


DIALECT = Dialect(
    name="spinup",
    access=Access.KEYED,
    prefixes=("/api",),
    render_error=render_error,
    routes=(Route(method="POST", path="/api/generate", handler=generate, generates=True),),
)
