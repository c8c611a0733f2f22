"""What the Hub has to offer."""

import re

from aiohttp import web

from puna.api.context import context_of
from puna.api.control.download_schema import SearchReply
from puna.api.responses import json_response
from puna.errors import InvalidRequestError, ModelNotFoundError

_DEFAULT_RESULTS = 10
_NUMBER = re.compile(r"-?[0-9]+")


async def search(request: web.Request) -> web.Response:
    """GET /puna/v1/hub/search: repositories with GGUF models, with sizes and whether they fit this machine."""
    text = request.query.get("limit") or str(_DEFAULT_RESULTS)
    if not _NUMBER.fullmatch(text):
        raise InvalidRequestError("`limit` must be a whole number.", field="limit")
    found = await context_of(request).hub.offers.search(request.query.get("query", ""), int(text[:9]))
    return json_response(SearchReply(results=tuple(found)))


async def show_model(request: web.Request) -> web.Response:
    """GET /puna/v1/hub/models/{name}: a repository with its quantisations and its card."""
    hub, name = context_of(request).hub, request.match_info["name"]
    reference = hub.puller.reference_of(name)
    if reference is None:
        raise ModelNotFoundError(f"{name[:200]!r} is no name on the Hub; those look like org/name.")
    return json_response(await hub.offers.page(reference))
