"""Anthropic's routes for messages; its list of models is OpenAI's, which both read."""

import secrets

from aiohttp import web

from puna.api.anthropic.convert import from_completion, to_generation, to_head, to_prompt
from puna.api.anthropic.errors import render_error
from puna.api.anthropic.replies import MessageReply, TokenCountReply
from puna.api.anthropic.schema import COUNT_TOKENS, MESSAGES
from puna.api.anthropic.stream import MessageEncoder
from puna.api.body import read_body
from puna.api.completion import complete
from puna.api.context import context_of
from puna.api.dialect import Access, Dialect, Route
from puna.api.exchange import exchange_of
from puna.api.model_names import acquire_model
from puna.api.responses import json_response
from puna.api.streaming import SSE, send_stream


async def create(request: web.Request) -> web.StreamResponse:
    """POST /v1/messages: answers a conversation, whole or in events."""
    body = MESSAGES.parse(await read_body(request))
    generation, exchange = to_generation(body), exchange_of(request)
    head = to_head(body, f"msg_{secrets.token_hex(12)}")
    async with acquire_model(context_of(request), exchange.identity, body.model) as lease:
        if body.stream:
            encoder = MessageEncoder(head, exchange.head.request_id)
            return await send_stream(request, lease.generate(generation), encoder)
        completion = await complete(lease, generation, exchange)
        return json_response(from_completion(completion, head))


async def count_tokens(request: web.Request) -> web.Response:
    """POST /v1/messages/count_tokens: counts what a conversation costs before a word is said."""
    body = COUNT_TOKENS.parse(await read_body(request))
    prompt = to_prompt(body)
    async with acquire_model(context_of(request), exchange_of(request).identity, body.model) as lease:
        return json_response(TokenCountReply(await lease.count_tokens(prompt)))


DIALECT = Dialect(
    name="anthropic",
    access=Access.KEYED,
    key_variable="ANTHROPIC_API_KEY",
    prefixes=("/v1/messages",),
    render_error=render_error,
    request_id_header="request-id",
    has_comments=True,
    title="Anthropic",
    summary="Messages with tools and thinking, as Anthropic's clients speak to them.",
    routes=(
        Route(
            method="POST",
            path="/v1/messages",
            handler=create,
            generates=True,
            body=MESSAGES,
            reply=MessageReply,
            stream_type=SSE,
        ),
        Route(
            method="POST",
            path="/v1/messages/count_tokens",
            handler=count_tokens,
            body=COUNT_TOKENS,
            reply=TokenCountReply,
        ),
    ),
)
