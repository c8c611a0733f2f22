"""Loading, listing and unloading models; those that are not on this machine are downloaded first."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from puna.api.background import background_of
from puna.api.body import read_body
from puna.api.bringing import bring, coming, describe_progress, find_coming, share_of, wait_for
from puna.api.context import Context, context_of
from puna.api.exchange import exchange_of
from puna.api.locallab.replies import (
    ModelReply,
    ModelsReply,
    ModelStatusReply,
    OpenAIModelReply,
    OpenAIModelsReply,
    StatusReply,
)
from puna.api.locallab.schema import LOAD
from puna.api.locallab.system import active_model
from puna.api.model_names import find_current, find_model, list_models
from puna.api.responses import json_response
from puna.domain.downloads import Download
from puna.domain.models import ModelEntry, ModelState
from puna.errors import ModelNotFoundError
from puna.residency.place import Resident

_ANSWER_S = 50.0
"""LocalLab's clients wait for 60 s."""
_LONG_S = 3600.0


async def load(request: web.Request) -> web.Response:
    """POST /models/load: puts a model into memory, and answers when it is ready.

    A model that is not on this machine is downloaded first. Where all that takes longer than clients wait, the status
    of the answer is `loading`; to ask again is right then.
    """
    body, context = LOAD.parse(await read_body(request)), context_of(request)
    try:
        return json_response(await _load_in_time(request, body.model, _ANSWER_S))
    except ModelNotFoundError as unknown:
        began_s = time.monotonic()
        download = await wait_for(context, await bring(context, body.model, unknown), _ANSWER_S)
    if download.is_open:
        return json_response(StatusReply("loading", _describe_coming(body.model, download)))
    left_s = max(1.0, began_s + _ANSWER_S - time.monotonic())
    return json_response(await _load_in_time(request, download.name, left_s))


async def _load_in_time(request: web.Request, name: str, timeout_s: float) -> StatusReply:
    """Load a model, as far as there is time; it goes on when that is over, and when the client leaves."""
    try:
        async with asyncio.timeout(timeout_s):
            outcome = await context_of(request).residency.load(name)
    except TimeoutError:
        _load_on(request, name)
        return StatusReply("loading", f"Model {name} is being loaded; ask again.")
    except asyncio.CancelledError:
        _load_on(request, name)
        raise
    return _loaded_reply(outcome.entry, already_loaded=outcome.already_loaded)


def _load_on(request: web.Request, name: str) -> None:
    """Load a model, and make it the current one, though nobody waits for it."""
    background_of(request).start_once(f"a load of {name}", partial(context_of(request).residency.load, name))


def _describe_coming(name: str, download: Download) -> str:
    return f"Model {name} is being downloaded ({describe_progress(download)}); ask again."


async def load_in_background(request: web.Request) -> web.Response:
    """POST /models/load/{model_id}: begins to load a model; `/models/status/{model_id}` tells how far it is.

    A model that is not on this machine is downloaded first.
    """
    context, name = context_of(request), request.match_info["model_id"]
    try:
        entry = await find_model(context, exchange_of(request).identity, name)
    except ModelNotFoundError as unknown:
        download = await bring(context, name, unknown)
        following = partial(_load_later, context, download)
        background_of(request).start_once(f"a load of {download.name} once it is here", following)
        return json_response(StatusReply("loading", _describe_coming(name, download)))
    if active_model(request) == entry.id:
        return json_response(_loaded_reply(entry, already_loaded=True))
    _load_on(request, entry.id)
    return json_response(StatusReply("loading", f"Model {entry.id} loading started in background"))


async def _load_later(context: Context, download: Download) -> None:
    while download.is_open:
        download = await wait_for(context, download, _LONG_S)
    await context.residency.load(download.name)


async def unload(request: web.Request) -> web.Response:
    """POST /models/unload: takes the current model out of memory.

    The Python client wants exactly this `status` for a model that was unloaded.
    """
    entry = await context_of(request).residency.unload()
    if entry is None:
        return json_response(StatusReply("success", "No model is currently loaded"))
    return json_response(
        StatusReply("Model unloaded successfully", f"Model {entry.id} unloaded successfully")
    )


async def current(request: web.Request) -> web.Response:
    """GET /models/current: the model that answers when a request names none."""
    resident = find_current(context_of(request), exchange_of(request).identity)
    if resident is None or resident.state not in {ModelState.LOADING, ModelState.READY}:
        raise ModelNotFoundError("No model currently loaded")
    return json_response(_status_reply(resident.entry, resident))


async def status(request: web.Request) -> web.Response:
    """GET /models/status/{model_id}: whether a model is in memory, or how far it is on its way there.

    Of a model that is being downloaded, that is how much of it has arrived.
    """
    context, name = context_of(request), request.match_info["model_id"]
    try:
        entry = await find_model(context, exchange_of(request).identity, name)
    except ModelNotFoundError:
        download = find_coming(context, name)
        if download is None:
            raise
        return json_response(_coming_status(name, download))
    return json_response(_status_reply(entry, _resident_of(entry, context.residency.residents())))


async def available(request: web.Request) -> web.Response:
    """GET /models/available and /models/list: all models that can run, and those that are being downloaded."""
    return json_response(await _list_models(request))


async def available_to_all(request: web.Request) -> web.Response:
    """GET /models: all models, for LocalLab's TypeScript client and for OpenAI's SDKs whose address lacks `/v1`."""
    listed = await _list_models(request)
    return json_response(
        OpenAIModelsReply(
            models=listed.models,
            current_model=listed.current_model,
            data=tuple(OpenAIModelReply(id=model.id) for model in listed.models),
        )
    )


async def _list_models(request: web.Request) -> ModelsReply:
    context = context_of(request)
    residents = context.residency.residents()
    models = await list_models(context, exchange_of(request).identity)
    here = tuple(_model_reply(name, entry, _resident_of(entry, residents)) for name, entry in models.items())
    return ModelsReply(
        models=here + tuple(_coming_reply(each) for each in coming(context) if each.name not in models),
        current_model=active_model(request),
    )


def _model_reply(name: str, entry: ModelEntry, resident: Resident | None) -> ModelReply:
    return ModelReply(
        id=name,
        name=entry.name,
        can_load=resident is None or resident.state is not ModelState.FAILED,
        description=entry.description,
        is_loaded=_is_ready(resident),
    )


def _coming_reply(download: Download) -> ModelReply:
    return ModelReply(
        id=download.name,
        name=download.name,
        can_load=False,
        description=f"being downloaded: {describe_progress(download)}",
        is_loaded=False,
    )


def _coming_status(name: str, download: Download) -> ModelStatusReply:
    return ModelStatusReply(
        id=name,
        model_id=name,
        name=download.name,
        is_loaded=False,
        loading_progress=round(share_of(download), 4),
    )


def _status_reply(entry: ModelEntry, resident: Resident | None) -> ModelStatusReply:
    return ModelStatusReply(
        id=entry.id,
        model_id=entry.id,
        name=entry.name,
        is_loaded=_is_ready(resident),
        loading_progress=_progress(resident),
    )


def _loaded_reply(entry: ModelEntry, *, already_loaded: bool) -> StatusReply:
    outcome = "is already loaded" if already_loaded else "loaded successfully"
    return StatusReply("success", f"Model {entry.id} {outcome}")


def _resident_of(entry: ModelEntry, residents: Sequence[Resident]) -> Resident | None:
    return next((resident for resident in residents if resident.entry.id == entry.resident_id), None)


def _is_ready(resident: Resident | None) -> bool:
    return resident is not None and resident.state is ModelState.READY


def _progress(resident: Resident | None) -> float:
    if resident is None or resident.state in {ModelState.UNLOADED, ModelState.FAILED}:
        return 0.0
    return 1.0 if resident.state is ModelState.READY else resident.progress
