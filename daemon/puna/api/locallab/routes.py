"""LocalLab's routes, and those that ask a model for text."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from puna.api.body import read_body
from puna.api.completion import complete, complete_all
from puna.api.context import context_of
from puna.api.dialect import Access, Dialect, Route
from puna.api.exchange import exchange_of
from puna.api.locallab import home, instructions, models, system
from puna.api.locallab.convert import (
    from_chat_completion,
    from_completion,
    from_completions,
    to_batch,
    to_chat,
    to_generation,
)
from puna.api.locallab.errors import render_error
from puna.api.locallab.replies import (
    BatchReply,
    ChatReply,
    GenerateReply,
    HealthReply,
    HomeReply,
    InstructionsReply,
    MessageOnlyReply,
    ModelsReply,
    ModelStatusReply,
    NetworkReply,
    OpenAIModelsReply,
    ResourcesReply,
    StartupReply,
    StatusReply,
    SystemInfoReply,
)
from puna.api.locallab.schema import (
    BATCH,
    CHAT,
    GENERATE,
    INSTRUCTIONS,
    LOAD,
    ChatBody,
    GenerateBody,
    GenerationFields,
)
from puna.api.locallab.stream import ChatEncoder, GenerateEncoder
from puna.api.model_names import acquire_model
from puna.api.responses import json_response
from puna.api.streaming import SSE, send_stream
from puna.keys.identity import Scope
from puna.residency.lease import Lease


async def generate(request: web.Request) -> web.StreamResponse:
    """POST /generate: a text for a prompt, whole or as a stream."""
    body = GENERATE.parse(await read_body(request))
    return await _generate(request, body, is_stream=bool(body.stream))


async def generate_stream(request: web.Request) -> web.StreamResponse:
    """POST /generate/stream: the same as a stream, which the TypeScript client asks for."""
    return await _generate(request, GENERATE.parse(await read_body(request)), is_stream=True)


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /chat: the next message of a conversation, whole or as a stream."""
    body = CHAT.parse(await read_body(request))
    return await _chat(request, body, is_stream=bool(body.stream))


async def chat_stream(request: web.Request) -> web.StreamResponse:
    """POST /chat/stream: the same as a stream, which the TypeScript client asks for."""
    return await _chat(request, CHAT.parse(await read_body(request)), is_stream=True)


async def generate_batch(request: web.Request) -> web.StreamResponse:
    """POST /generate/batch: all prompts at the same time, the answers in their order."""
    body = BATCH.parse(await read_body(request))
    async with _hold(request, body) as (lease, told):
        requests = to_batch(body, instructions=told, has_chat_template=lease.loaded.has_chat_template)
        completions = await complete_all(lease, requests, exchange_of(request))
        return json_response(from_completions(completions, lease.entry.id))


async def _generate(request: web.Request, body: GenerateBody, *, is_stream: bool) -> web.StreamResponse:
    async with _hold(request, body) as (lease, told):
        generation = to_generation(body, instructions=told, has_chat_template=lease.loaded.has_chat_template)
        if is_stream:
            return await send_stream(request, lease.generate(generation), GenerateEncoder())
        completion = await complete(lease, generation, exchange_of(request))
        return json_response(from_completion(completion, lease.entry.id))


async def _chat(request: web.Request, body: ChatBody, *, is_stream: bool) -> web.StreamResponse:
    async with _hold(request, body) as (lease, told):
        generation = to_chat(body, instructions=told)
        if is_stream:
            return await send_stream(request, lease.generate(generation), ChatEncoder())
        completion = await complete(lease, generation, exchange_of(request))
        return json_response(from_chat_completion(completion, lease.entry.id))


@asynccontextmanager
async def _hold(request: web.Request, body: GenerationFields) -> AsyncIterator[tuple[Lease, str]]:
    """Hold the model of a request, and give what it is told beforehand. Errors as `acquire_model`."""
    context = context_of(request)
    async with acquire_model(context, exchange_of(request).identity, body.model) as lease:
        told = context.instructions.text_for(lease.entry.id)
        with instructions.blamed(told):
            yield lease, told


DIALECT = Dialect(
    name="locallab",
    access=Access.KEYED,
    prefixes=(
        "/generate",
        "/chat",
        "/models",
        "/system",
        "/health",
        "/startup-status",
        "/resources",
        "/network",
    ),
    render_error=render_error,
    tells_timing=True,
    title="LocalLab",
    summary="Text, conversations and models on this machine, as LocalLab's document and clients have them.",
    routes=(
        Route(
            method="POST",
            path="/generate",
            handler=generate,
            generates=True,
            body=GENERATE,
            reply=GenerateReply,
            stream_type=SSE,
        ),
        Route(
            method="POST",
            path="/generate/stream",
            handler=generate_stream,
            generates=True,
            body=GENERATE,
            stream_type=SSE,
        ),
        Route(
            method="POST",
            path="/generate/batch",
            handler=generate_batch,
            generates=True,
            body=BATCH,
            reply=BatchReply,
        ),
        Route(
            method="POST",
            path="/chat",
            handler=chat,
            generates=True,
            body=CHAT,
            reply=ChatReply,
            stream_type=SSE,
        ),
        Route(
            method="POST",
            path="/chat/stream",
            handler=chat_stream,
            generates=True,
            body=CHAT,
            stream_type=SSE,
        ),
        Route(
            method="POST",
            path="/models/load",
            handler=models.load,
            scope=Scope.MANAGE,
            body=LOAD,
            reply=StatusReply,
        ),
        Route(
            method="POST",
            path="/models/load/{model_id:.+}",
            handler=models.load_in_background,
            scope=Scope.MANAGE,
            reply=StatusReply,
        ),
        Route(
            method="POST",
            path="/models/unload",
            handler=models.unload,
            scope=Scope.MANAGE,
            reply=StatusReply,
        ),
        Route(method="GET", path="/models/current", handler=models.current, reply=ModelStatusReply),
        Route(method="GET", path="/models/available", handler=models.available, reply=ModelsReply),
        Route(method="GET", path="/models/list", handler=models.available, reply=ModelsReply),
        Route(method="GET", path="/models", handler=models.available_to_all, reply=OpenAIModelsReply),
        Route(
            method="GET", path="/models/status/{model_id:.+}", handler=models.status, reply=ModelStatusReply
        ),
        Route(method="GET", path="/system/info", handler=system.info, reply=SystemInfoReply),
        Route(
            method="GET",
            path="/system/instructions",
            handler=instructions.show,
            reply=InstructionsReply,
            query={"model_id": "Those of one model; absent, the global ones."},
        ),
        Route(
            method="POST",
            path="/system/instructions",
            handler=instructions.change,
            scope=Scope.MANAGE,
            body=INSTRUCTIONS,
            reply=MessageOnlyReply,
        ),
        Route(
            method="POST",
            path="/system/instructions/reset",
            handler=instructions.reset,
            scope=Scope.MANAGE,
            reply=MessageOnlyReply,
            query={"model_id": "Only those of one model; absent, all of them."},
        ),
        Route(
            method="GET",
            path="/health",
            handler=system.health,
            is_counted=False,
            scope=None,
            reply=HealthReply,
        ),
        Route(
            method="GET",
            path="/startup-status",
            handler=system.startup_status,
            is_counted=False,
            scope=None,
            reply=StartupReply,
        ),
        Route(method="GET", path="/resources", handler=system.resources, reply=ResourcesReply),
        Route(method="GET", path="/network", handler=system.network, reply=NetworkReply),
        Route(method="GET", path="/", handler=home.home, reply=HomeReply),
    ),
)
