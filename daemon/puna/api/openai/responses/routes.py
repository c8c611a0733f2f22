"""The routes of `/v1/responses` that make an answer; `stored` has those of answers that are kept."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web
from msgspec import Struct

from puna.api.body import read_body
from puna.api.completion import complete
from puna.api.context import context_of
from puna.api.dialect import Route
from puna.api.exchange import Exchange, exchange_of
from puna.api.model_names import acquire_model
from puna.api.openai.responses import stored
from puna.api.openai.responses.convert import (
    ReasoningWish,
    ResponseHead,
    check_supported,
    to_generation,
    to_reply,
    to_wish,
)
from puna.api.openai.responses.fitting import fit_conversation
from puna.api.openai.responses.item_replies import OutputItem
from puna.api.openai.responses.items import ContextItem
from puna.api.openai.responses.memory import Memory
from puna.api.openai.responses.output import complete_reply, from_completion
from puna.api.openai.responses.replies import InputTokensReply, ResponseReply
from puna.api.openai.responses.schema import RESPONSE, ResponseBody, Truncation
from puna.api.openai.responses.stream import ResponseEncoder
from puna.api.openai.responses.toolbox import Toolbox
from puna.api.openai.responses.tools import to_toolbox
from puna.api.responses import json_response
from puna.api.streaming import SSE, note_event, send_chunks
from puna.domain.generation import Finished, GenerationRequest
from puna.residency.lease import Lease


class _Work(Struct, frozen=True, kw_only=True):
    """One answer to make."""

    lease: Lease
    memory: Memory
    exchange: Exchange
    context: list[ContextItem]
    """What the model is given, and what is stored with the answer."""
    generation: GenerationRequest
    reply: ResponseReply
    """The answer as it begins."""
    wish: ReasoningWish
    toolbox: Toolbox


async def create(request: web.Request) -> web.StreamResponse:
    """POST /v1/responses: answers a conversation, whole or in events, and keeps it for the next turn."""
    body = RESPONSE.parse(await read_body(request))
    check_supported(body)
    context, exchange = context_of(request), exchange_of(request)
    memory = Memory(context.conversations, exchange.identity)
    items = await memory.recall(body, new_id)
    generation = to_generation(body, [each.item for each in items])
    async with acquire_model(context, exchange.identity, body.model) as lease:
        if body.truncation is Truncation.AUTO:
            generation = await fit_conversation(lease, generation)
        head = ResponseHead(new_id("resp"), body.model or lease.entry.id, time.time())
        work = _Work(
            lease=lease,
            memory=memory,
            exchange=exchange,
            context=items,
            generation=generation,
            reply=to_reply(body, head),
            wish=to_wish(body),
            toolbox=to_toolbox(body),
        )
        return await (_stream if body.stream else _answer)(request, work)


async def count_input_tokens(request: web.Request) -> web.Response:
    """POST /v1/responses/input_tokens: what the same body would cost before a word is said."""
    body: ResponseBody = RESPONSE.parse(await read_body(request))
    check_supported(body)
    context, identity = context_of(request), exchange_of(request).identity
    items = await Memory(context.conversations, identity).recall(body, new_id)
    generation = to_generation(body, [each.item for each in items])
    async with acquire_model(context, identity, body.model) as lease:
        if body.truncation is Truncation.AUTO:
            generation = await fit_conversation(lease, generation)
        return json_response(InputTokensReply(await lease.count_tokens(generation.prompt)))


def new_id(prefix: str) -> str:
    """Return an id that nothing else has."""
    return f"{prefix}_{secrets.token_hex(24)}"


async def _answer(_: web.Request, work: _Work) -> web.Response:
    completion = await complete(work.lease, work.generation, work.exchange)
    output = from_completion(completion, work.wish, work.toolbox, new_id)
    return json_response(await _conclude(work, output, completion.finished))


async def _stream(request: web.Request, work: _Work) -> web.StreamResponse:
    encoder = ResponseEncoder(work.reply, work.wish, work.toolbox, new_id)
    return await send_chunks(request, SSE, _chunks(work, encoder), encoder.encode_error)


async def _chunks(work: _Work, encoder: ResponseEncoder) -> AsyncGenerator[bytes]:
    async with aclosing(work.lease.generate(work.generation)) as events:
        async for event in events:
            note_event(event, work.exchange)
            yield encoder.encode(event)
            if isinstance(event, Finished):
                reply = await _conclude(work, encoder.output, event)
                work.exchange.is_complete = True
                yield encoder.encode_end(reply)


async def _conclude(work: _Work, output: tuple[OutputItem, ...], finished: Finished) -> ResponseReply:
    """Return the whole answer, stored if it is to be: who sees its end can go on from it."""
    reply = complete_reply(work.reply, output, finished, now_s=time.time())
    if reply.store:
        await work.memory.keep(reply, work.context, output)
    return reply


ROUTES = (
    Route(
        method="POST",
        path="/v1/responses",
        handler=create,
        generates=True,
        body=RESPONSE,
        reply=ResponseReply,
        stream_type=SSE,
    ),
    Route(
        method="POST",
        path="/v1/responses/input_tokens",
        handler=count_input_tokens,
        body=RESPONSE,
        reply=InputTokensReply,
    ),
    *stored.ROUTES,
)
