"""POST /v1/completions, as far as it is OpenAI's."""

from collections.abc import AsyncGenerator
from functools import partial

from aiohttp import web

from puna.api.body import read_body
from puna.api.completion import complete, run_together
from puna.api.context import context_of
from puna.api.exchange import Exchange, exchange_of
from puna.api.keep_alive import to_keep_alive_s
from puna.api.model_names import acquire_model
from puna.api.openai.answer_head import new_head
from puna.api.openai.choices import send_choices
from puna.api.openai.completions.convert import (
    check_infill,
    check_supported,
    from_completions,
    to_requests,
    to_style,
)
from puna.api.openai.completions.stream import TextEncoder
from puna.api.openai.sampling import fit_windows
from puna.api.openai.schema import COMPLETION
from puna.api.responses import json_response
from puna.domain.generation import (
    Completion,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Started,
    Usage,
)
from puna.residency.lease import Lease


async def complete_prompts(request: web.Request) -> web.StreamResponse:
    """POST /v1/completions: goes on from one or several prompts, once or several times, whole or in chunks."""
    body = COMPLETION.parse(await read_body(request))
    check_supported(body)
    exchange, style = exchange_of(request), to_style(body)
    keep_alive_s = to_keep_alive_s(body.keep_alive)
    # What is wrong is told before a model is loaded, and another one perhaps sent away for it.
    requests = to_requests(body)
    held = acquire_model(context_of(request), exchange.identity, body.model, keep_alive_s=keep_alive_s)
    async with held as lease:
        check_infill(body, lease.loaded)
        requests = fit_windows(requests, lease.loaded.context_length)
        head = new_head("cmpl", body.model or lease.entry.id)
        if body.stream:
            streams = [_generate(lease, each) for each in requests]
            return await send_choices(request, streams, TextEncoder(head, style))
        works = [partial(_complete, lease, each, exchange) for each in requests]
        completions = await run_together(works, at_once=lease.loaded.slots)
        return json_response(from_completions(completions, head, style))


async def _complete(lease: Lease, request: GenerationRequest, exchange: Exchange) -> Completion:
    if request.max_tokens != 0:
        return await complete(lease, request, exchange)
    finished = await _count(lease, request)
    exchange.add_usage(finished.usage)
    return Completion("", finished)


async def _generate(lease: Lease, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
    if request.max_tokens != 0:
        events = lease.generate(request)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()
    else:
        finished = await _count(lease, request)
        yield Started(finished.usage.prompt_tokens)
        yield finished


async def _count(lease: Lease, request: GenerationRequest) -> Finished:
    """Return the end of a text that may have no tokens: who asks for it wants the prompt's counted, or echoed."""
    return Finished(FinishReason.LENGTH, Usage(await lease.count_tokens(request.prompt)))
