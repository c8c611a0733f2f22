"""POST /v1/chat/completions."""

from aiohttp import web

from puna.api.body import read_body
from puna.api.completion import complete_all
from puna.api.context import context_of
from puna.api.exchange import exchange_of
from puna.api.keep_alive import to_keep_alive_s
from puna.api.model_names import acquire_model
from puna.api.openai.answer_head import new_head
from puna.api.openai.chat.convert import check_supported, from_completions, to_requests, to_style
from puna.api.openai.chat.schema import CHAT
from puna.api.openai.chat.stream import ChatEncoder
from puna.api.openai.choices import send_choices
from puna.api.openai.sampling import fit_windows
from puna.api.responses import json_response


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions: answers a conversation, once or several times, whole or in chunks."""
    body = CHAT.parse(await read_body(request))
    check_supported(body)
    exchange, keep_alive_s = exchange_of(request), to_keep_alive_s(body.keep_alive)
    # What is wrong is told before a model is loaded, and another one perhaps sent away for it.
    requests = to_requests(body)
    held = acquire_model(context_of(request), exchange.identity, body.model, keep_alive_s=keep_alive_s)
    async with held as lease:
        requests = fit_windows(requests, lease.loaded.context_length)
        head, style = new_head("chatcmpl", body.model or lease.entry.id), to_style(body)
        if body.stream:
            streams = [lease.generate(each) for each in requests]
            return await send_choices(request, streams, ChatEncoder(head, style, body.count))
        completions = await complete_all(lease, requests, exchange, at_once=lease.loaded.slots)
        return json_response(from_completions(completions, head, style))
