"""Which models there are, and what Ollama's clients ask about them."""

from aiohttp import web

from puna.api.context import context_of
from puna.api.exchange import exchange_of
from puna.api.model_names import list_models
from puna.api.ollama.descriptions import to_process, to_show, to_tag
from puna.api.ollama.door import find, now, read
from puna.api.ollama.names import listed_name
from puna.api.ollama.replies import ProcessesReply, TagsReply, VersionReply
from puna.api.ollama.schema import NAME, NameBody
from puna.api.responses import json_response
from puna.domain.models import LoadedModel, ModelEntry
from puna.errors import InvalidRequestError, NotFoundError

OLLAMA_VERSION = "0.14.0"
"""The version of Ollama that Puna answers like. Clients compare it with what they need (0.6.4 is the most that
was seen); 0.14 is the one that has all that is served here: log probabilities, ids of calls, Anthropic's API."""

_NO_CREATE = (
    "/api/create and /api/blobs are not supported: put a GGUF file into one of the folders of the setting "
    "model_folders, and give it another name with /api/copy."
)


async def tags(request: web.Request) -> web.Response:
    """GET /api/tags: every model, and every nickname as a model of its own."""
    entries = await list_models(context_of(request), exchange_of(request).identity)
    models = [to_tag(listed_name(name, entries), entry) for name, entry in entries.items()]
    return json_response(TagsReply(tuple(models)))


async def processes(request: web.Request) -> web.Response:
    """GET /api/ps: the models in memory."""
    context, moment = context_of(request), now()
    residents = context.residency.residents()
    known = {*context.nicknames, *(each.entry.id for each in residents)}
    models = [
        to_process(listed_name(each.entry.id, known), each.entry, each.loaded, each.idle_s_left, moment)
        for each in residents
        if each.loaded is not None
    ]
    return json_response(ProcessesReply(tuple(models)))


async def show(request: web.Request) -> web.Response:
    """POST /api/show: what is known of a model. `verbose` changes nothing: token lists are not told."""
    name = name_in(await read(request, NAME))
    entry = await find(request, name)
    return json_response(to_show(name, entry, _loaded(request, entry)))


def _loaded(request: web.Request, entry: ModelEntry) -> LoadedModel | None:
    residents = context_of(request).residency.residents()
    return next((each.loaded for each in residents if each.entry.id == entry.resident_id), None)


async def version(_: web.Request) -> web.Response:
    """GET /api/version: the version of Ollama that Puna answers like."""
    return json_response(VersionReply(OLLAMA_VERSION))


async def refuse_create(_: web.Request) -> web.Response:
    """POST /api/create: refused, models are not made here. So are their blobs."""
    raise InvalidRequestError(_NO_CREATE)


async def find_blob(_: web.Request) -> web.Response:
    """GET /api/blobs/{digest}: there is none. Ollama's command line sends it then, and shows why that is refused."""
    raise NotFoundError(_NO_CREATE)


async def refuse_push(_: web.Request) -> web.Response:
    """POST /api/push: refused, models are not sent anywhere."""
    raise InvalidRequestError("/api/push is not supported: Puna publishes no models.")


def name_in(body: NameBody) -> str:
    """Return the model that a request names. Raises `InvalidRequestError` where it names none."""
    name = body.model or body.name
    if not name:
        raise InvalidRequestError("`model` is required.", field="model")
    return name
