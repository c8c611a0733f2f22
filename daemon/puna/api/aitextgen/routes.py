"""AITextGen's routes."""

from aiohttp import web

from puna.api.aitextgen.convert import from_completion, to_generation
from puna.api.aitextgen.finetune import FINETUNE_ROUTES
from puna.api.aitextgen.schema import GENERATE, GenerateReply
from puna.api.aitextgen.webhooks import WEBHOOK_ROUTES
from puna.api.body import read_body
from puna.api.completion import complete
from puna.api.context import context_of
from puna.api.dialect import Access, Dialect, Route
from puna.api.errors import render_default_error
from puna.api.exchange import exchange_of
from puna.api.model_names import acquire_model
from puna.api.responses import json_response


async def generate(request: web.Request) -> web.Response:
    """POST /v1/aitextgen/generate: the text that goes on from a prompt."""
    body = GENERATE.parse(await read_body(request))
    exchange = exchange_of(request)
    async with acquire_model(context_of(request), exchange.identity, body.model) as lease:
        completion = await complete(lease, to_generation(body), exchange)
        return json_response(from_completion(completion))


DIALECT = Dialect(
    name="aitextgen",
    access=Access.KEYED,
    prefixes=("/v1/aitextgen",),
    render_error=render_default_error,
    title="AITextGen",
    summary="Text that goes on from a prompt, fine-tuning and webhooks, as AITextGen's document has them.",
    routes=(
        Route(
            method="POST",
            path="/v1/aitextgen/generate",
            handler=generate,
            generates=True,
            body=GENERATE,
            reply=GenerateReply,
        ),
        *FINETUNE_ROUTES,
        *WEBHOOK_ROUTES,
    ),
)
