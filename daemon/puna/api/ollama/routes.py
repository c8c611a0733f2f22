"""Ollama's routes. Spin-Up's is `/api/generate`, whose answer has the fields of both documents."""

from aiohttp import web
from msgspec.structs import replace

from puna.api.completion import complete
from puna.api.dialect import Access, Dialect, Route
from puna.api.exchange import exchange_of
from puna.api.ollama import embeddings, home, models, nicknames, pulling
from puna.api.ollama.answers import (
    from_chat_completion,
    from_completion,
    to_chat_load_reply,
    to_load_reply,
)
from puna.api.ollama.conversation import check_conversation, to_chat
from puna.api.ollama.convert import check_supported, to_generation, to_turns
from puna.api.ollama.door import hold, load_or_unload, now, read
from puna.api.ollama.errors import render_error
from puna.api.ollama.replies import (
    ChatReply,
    EmbeddingsReply,
    EmbedReply,
    GenerateReply,
    ProcessesReply,
    ShowReply,
    StatusReply,
    TagsReply,
    VersionReply,
)
from puna.api.ollama.schema import CHAT, COPY, EMBED, EMBEDDINGS, GENERATE, NAME, ChatBody, GenerateBody
from puna.api.ollama.stream import ChatEncoder, GenerateEncoder
from puna.api.responses import json_response
from puna.api.streaming import NDJSON, send_stream
from puna.domain.chat import Message
from puna.keys.identity import Scope

_ANY_SIZE = 1 << 62


async def generate(request: web.Request) -> web.StreamResponse:
    """POST /api/generate: goes on from a prompt, or answers it. Without a prompt the model is loaded or unloaded."""
    body = await read(request, GENERATE)
    check_supported(body)
    if body.prompt or body.suffix:
        return await _generate(request, body, to_turns(body))
    done_reason = await load_or_unload(request, body.model, body.keep_alive)
    return json_response(to_load_reply(body.model, done_reason, now()))


async def _generate(
    request: web.Request, body: GenerateBody, turns: tuple[Message, ...]
) -> web.StreamResponse:
    async with hold(request, body.model, body.keep_alive) as (lease, plain_head):
        head = replace(plain_head, turns=turns)
        generation = to_generation(body, turns, lease.loaded)
        if body.stream is not False:
            return await send_stream(request, lease.generate(generation), GenerateEncoder(head, now))
        completion = await complete(lease, generation, exchange_of(request))
        return json_response(from_completion(completion, head, now()))


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /api/chat: answers a conversation. Without messages the model is loaded or unloaded."""
    body = await read(request, CHAT)
    check_conversation(body)
    if body.messages:
        return await _chat(request, body)
    done_reason = await load_or_unload(request, body.model, body.keep_alive)
    return json_response(to_chat_load_reply(body.model, done_reason, now()))


async def _chat(request: web.Request, body: ChatBody) -> web.StreamResponse:
    async with hold(request, body.model, body.keep_alive) as (lease, head):
        generation = to_chat(body, lease.loaded)
        if body.stream is not False:
            return await send_stream(request, lease.generate(generation), ChatEncoder(head, now))
        completion = await complete(lease, generation, exchange_of(request))
        return json_response(from_chat_completion(completion, head, now()))


DIALECT = Dialect(
    name="ollama",
    access=Access.KEYED,
    prefixes=("/api",),
    render_error=render_error,
    key_variable="OLLAMA_API_KEY",
    title="Ollama and Spin-Up",
    summary="Ollama's API; Spin-Up's is its `/api/generate`.",
    routes=(
        Route(
            method="POST",
            path="/api/generate",
            handler=generate,
            generates=True,
            body=GENERATE,
            reply=GenerateReply,
            stream_type=NDJSON,
        ),
        Route(
            method="POST",
            path="/api/chat",
            handler=chat,
            generates=True,
            body=CHAT,
            reply=ChatReply,
            stream_type=NDJSON,
        ),
        Route(
            method="POST",
            path="/api/embed",
            handler=embeddings.embed,
            generates=True,
            body=EMBED,
            reply=EmbedReply,
        ),
        Route(
            method="POST",
            path="/api/embeddings",
            handler=embeddings.embed_one,
            generates=True,
            body=EMBEDDINGS,
            reply=EmbeddingsReply,
        ),
        Route(method="GET", path="/", handler=home.say_running, claims=home.is_ollama_s),
        Route(method="GET", path="/api/tags", handler=models.tags, reply=TagsReply),
        Route(method="GET", path="/api/ps", handler=models.processes, reply=ProcessesReply),
        Route(method="POST", path="/api/show", handler=models.show, body=NAME, reply=ShowReply),
        Route(method="GET", path="/api/version", handler=models.version, reply=VersionReply),
        Route(method="POST", path="/api/copy", handler=nicknames.copy, scope=Scope.MANAGE, body=COPY),
        Route(method="DELETE", path="/api/delete", handler=nicknames.delete, scope=Scope.MANAGE, body=NAME),
        Route(
            method="POST",
            path="/api/pull",
            handler=pulling.pull,
            scope=Scope.MANAGE,
            body=NAME,
            reply=StatusReply,
            stream_type=NDJSON,
        ),
        Route(method="POST", path="/api/create", handler=models.refuse_create, scope=Scope.MANAGE),
        Route(method="POST", path="/api/push", handler=models.refuse_push, scope=Scope.MANAGE),
        Route(method="GET", path="/api/blobs/{digest}", handler=models.find_blob, scope=Scope.MANAGE),
        Route(
            method="POST",
            path="/api/blobs/{digest}",
            handler=models.refuse_create,
            scope=Scope.MANAGE,
            body_limit_bytes=_ANY_SIZE,
        ),
    ),
)
