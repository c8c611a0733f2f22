"""Names that people give to models: `/api/copy` and `/api/delete`."""

from functools import partial

from aiohttp import web

from puna.api.context import context_of
from puna.api.model_removal import remove_model
from puna.api.ollama.door import find, read
from puna.api.ollama.models import name_in
from puna.api.ollama.names import find_by_name, other_form, plain_name
from puna.api.ollama.schema import COPY, NAME
from puna.errors import InvalidRequestError, ModelNotFoundError


async def copy(request: web.Request) -> web.Response:
    """POST /api/copy: another name for the same file, remembered over restarts."""
    body = await read(request, COPY)
    nicknames, name = context_of(request).nicknames, plain_name(body.destination)
    entry = await find(request, body.source)
    if name not in nicknames and await _is_model(request, name):
        raise InvalidRequestError(
            f"`destination` must be a new name: {name} is the name of a model.", field="destination"
        )
    await nicknames.give(name, entry)
    return web.Response()


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/delete: deletes a downloaded model, forgets an added file, or takes a name away.

    A model that answers somebody right now stays; files that Puna did not bring are never deleted.
    """
    name, context = name_in(await read(request, NAME)), context_of(request)
    # A nickname goes before a model that the other form of the name means.
    nickname = next((each for each in (name, other_form(name)) if each in context.nicknames), None)
    await find_by_name(nickname or name, partial(remove_model, context))
    return web.Response()


async def _is_model(request: web.Request, name: str) -> bool:
    try:
        await find(request, name)
    except ModelNotFoundError:
        return False
    return True
