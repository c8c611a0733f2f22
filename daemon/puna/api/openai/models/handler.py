"""GET /v1/models, for the clients of OpenAI and of Anthropic."""

from aiohttp import web

from puna.api import model_names
from puna.api.context import context_of
from puna.api.exchange import exchange_of
from puna.api.openai.models.convert import to_model, to_page, to_window
from puna.api.responses import json_response


async def list_models(request: web.Request) -> web.Response:
    """GET /v1/models, /inf/models: all of them, or the page that Anthropic's parameters ask for."""
    listed = await model_names.list_models(context_of(request), exchange_of(request).identity)
    models = [to_model(name, entry) for name, entry in listed.items()]
    return json_response(to_page(models, to_window(request.query)))


async def show_model(request: web.Request) -> web.Response:
    """GET /v1/models/{model_id}: one model."""
    name = request.match_info["model_id"]
    entry = await model_names.find_model(context_of(request), exchange_of(request).identity, name)
    return json_response(to_model(name, entry))
