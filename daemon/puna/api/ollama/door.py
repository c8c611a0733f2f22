"""What Ollama's routes share: their body, a model by its name, and models that come and go without an answer."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeVar

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.exchange import exchange_of
from puna.api.keep_alive import to_keep_alive_s
from puna.api.model_names import acquire_model, find_model
from puna.api.ollama.answers import AnswerHead
from puna.api.ollama.names import find_by_name
from puna.api.ollama.schema import KeepAlive
from puna.api.validation import BodySchema
from puna.domain.models import ModelEntry, ModelKind
from puna.errors import ForbiddenError, InvalidRequestError
from puna.keys.identity import Scope
from puna.residency.lease import Lease

_Body = TypeVar("_Body")


class Held(NamedTuple):
    """A model in memory for one request."""

    lease: Lease
    head: AnswerHead


async def read(request: web.Request, schema: BodySchema[_Body]) -> _Body:
    """Return the body of a request. Raises `InvalidRequestError`."""
    encoded = await read_body(request)
    if not encoded.strip():
        raise InvalidRequestError("missing request body")
    return schema.parse(encoded)


@asynccontextmanager
async def hold(
    request: web.Request, model: str, keep_alive: KeepAlive | None, *, kind: ModelKind = ModelKind.TEXT
) -> AsyncIterator[Held]:
    """Hold a model, which stays afterwards as long as `keep_alive` says. Errors as `acquire_model`."""
    context, identity = context_of(request), exchange_of(request).identity
    keep_alive_s = to_keep_alive_s(keep_alive)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        lease = await find_by_name(
            model,
            lambda name: stack.enter_async_context(
                acquire_model(context, identity, name, kind=kind, keep_alive_s=keep_alive_s)
            ),
        )
        yield Held(lease, AnswerHead(secrets.token_hex(6), model, time.monotonic() - began))


async def find(request: web.Request, model: str) -> ModelEntry:
    """Return the model of a name. Errors as `find_model`."""
    return await find_by_name(model, partial(find_model, context_of(request), exchange_of(request).identity))


async def load_or_unload(request: web.Request, model: str, keep_alive: KeepAlive | None) -> str:
    """Do what a request without a prompt wants, and return it as Ollama's `done_reason`.

    Without `keep_alive` 0 the model is loaded and stays so long; with it, it goes at once, or when it has answered
    all who are there.
    """
    if to_keep_alive_s(keep_alive) == 0:
        await _unload(request, model)
        return "unload"
    async with hold(request, model, keep_alive):
        return "load"


async def _unload(request: web.Request, model: str) -> None:
    if not exchange_of(request).identity.may(Scope.MANAGE):
        raise ForbiddenError("Unloading a model needs a key with the scope manage.")
    entry = await find(request, model)
    await context_of(request).residency.let_go(entry.id)


def now() -> datetime:
    """Return the moment, in UTC."""
    return datetime.now(UTC)
