"""Loading, listing and unloading models."""

from collections.abc import Sequence

from aiohttp import web

from puna.api.background import background_of
from puna.api.body import read_body
from puna.api.context import context_of
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
from puna.api.model_names import find_model, list_models
from puna.api.responses import json_response
from puna.domain.models import ModelEntry, ModelState
from puna.errors import ModelNotFoundError
from puna.residency.place import Resident


async def load(request: web.Request) -> web.Response:
    """POST /models/load: puts a model into memory, and answers when it is ready."""
    body = LOAD.parse(await read_body(request))
    outcome = await context_of(request).residency.load(body.model)
    return json_response(_loaded_reply(outcome.entry, already_loaded=outcome.already_loaded))


async def load_in_background(request: web.Request) -> web.Response:
    """POST /models/load/{model_id}: begins to load a model; `/models/status/{model_id}` tells how far it is."""
    context = context_of(request)
    identity = exchange_of(request).identity
    entry = await find_model(context, identity, request.match_info["model_id"])
    if active_model(context) == entry.id:
        return json_response(_loaded_reply(entry, already_loaded=True))
    background_of(request).start(context.residency.load(request.match_info["model_id"]))
    return json_response(StatusReply("loading", f"Model {entry.id} loading started in background"))


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
    resident = context_of(request).residency.current
    if resident is None or resident.state not in {ModelState.LOADING, ModelState.READY}:
        raise ModelNotFoundError("No model currently loaded")
    return json_response(_status_reply(resident.entry, resident))


async def status(request: web.Request) -> web.Response:
    """GET /models/status/{model_id}: whether a model is in memory, or how far it is on its way there."""
    context = context_of(request)
    identity = exchange_of(request).identity
    entry = await find_model(context, identity, request.match_info["model_id"])
    return json_response(_status_reply(entry, _resident_of(entry, context.residency.residents())))


async def available(request: web.Request) -> web.Response:
    """GET /models/available and /models/list: all models that can run."""
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
    return ModelsReply(
        models=tuple(
            _model_reply(name, entry, _resident_of(entry, residents)) for name, entry in models.items()
        ),
        current_model=active_model(context),
    )


def _model_reply(name: str, entry: ModelEntry, resident: Resident | None) -> ModelReply:
    return ModelReply(
        id=name,
        name=entry.name,
        can_load=resident is None or resident.state is not ModelState.FAILED,
        description=entry.description,
        is_loaded=_is_ready(resident),
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
    return next((resident for resident in residents if resident.entry.id == entry.id), None)


def _is_ready(resident: Resident | None) -> bool:
    return resident is not None and resident.state is ModelState.READY


def _progress(resident: Resident | None) -> float:
    if resident is None or resident.state in {ModelState.UNLOADED, ModelState.FAILED}:
        return 0.0
    return 1.0 if resident.state is ModelState.READY else resident.progress
