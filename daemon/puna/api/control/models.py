"""The models of this machine: list, show, add, remove."""

from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from puna.api import model_removal
from puna.api.body import read_body
from puna.api.context import Context, context_of
from puna.api.control.download_schema import ADD_MODEL
from puna.api.exchange import exchange_of
from puna.api.model_names import find_model
from puna.api.responses import json_response
from puna.domain.model_list import ListedModel, ModelList, OfferedFolder, UnusableModel
from puna.domain.models import ModelEntry, ModelState
from puna.models.catalogue import Overview


async def list_models(request: web.Request) -> web.Response:
    """GET /puna/v1/models: what can run, what cannot and why, and folders of other programs."""
    context = context_of(request)
    return json_response(_to_list(context, await context.catalogue.overview()))


async def show_model(request: web.Request) -> web.Response:
    """GET /puna/v1/models/{name}: one model, by any of its names."""
    context = context_of(request)
    identity = exchange_of(request).identity
    return json_response(_to_listed(context, await find_model(context, identity, request.match_info["name"])))


async def add_model(request: web.Request) -> web.Response:
    """POST /puna/v1/models: lists a GGUF file that stays where it is, after restarts too."""
    body, context = ADD_MODEL.parse(await read_body(request)), context_of(request)
    return json_response(_to_listed(context, await context.catalogue.add(Path(body.path), body.name)))


async def remove_model(request: web.Request) -> web.Response:
    """DELETE /puna/v1/models/{name}: deletes a downloaded model, forgets an added file or a further name.

    A model that answers somebody right now stays; files that Puna did not bring are never deleted.
    """
    return json_response(await model_removal.remove_model(context_of(request), request.match_info["name"]))


def _to_list(context: Context, overview: Overview) -> ModelList:
    states = _states(context)
    names = _nicknames(context)
    return ModelList(
        models=tuple(to_listed(entry, states, _names_of(entry, names)) for entry in overview.models),
        unusable=tuple(
            UnusableModel(id=file.id, reason=file.reason, is_broken=file.is_broken)
            for file in overview.unusable
        ),
        offers=tuple(
            OfferedFolder(
                tool=offer.tool,
                folder=str(offer.folder),
                model_count=offer.model_count,
                size_bytes=offer.size_bytes,
            )
            for offer in overview.offers
        ),
    )


def _to_listed(context: Context, entry: ModelEntry) -> ListedModel:
    return to_listed(entry, _states(context), _names_of(entry, _nicknames(context)))


def to_listed(entry: ModelEntry, states: Mapping[str, ModelState], nicknames: tuple[str, ...]) -> ListedModel:
    """Return what is told of a model; `states` has those in memory or on their way there."""
    return ListedModel(
        id=entry.id,
        name=entry.name,
        source=entry.source,
        state=states.get(entry.resident_id, ModelState.UNLOADED),
        size_bytes=entry.size_bytes + entry.projector_size_bytes,
        kind=entry.kind,
        quantisation=entry.quantisation,
        parameter_count=entry.parameter_count,
        context_length=entry.context_length,
        architecture=entry.architecture,
        licence=entry.licence,
        description=entry.description,
        modified_s=entry.modified_s,
        path=str(entry.path) if entry.path else None,
        file_count=len(entry.files) or int(entry.path is not None),
        has_projector=entry.projector is not None,
        can_think=entry.can_think,
        can_call_tools=entry.can_call_tools,
        nicknames=nicknames,
    )


def _states(context: Context) -> dict[str, ModelState]:
    return {resident.entry.id: resident.state for resident in context.residency.residents()}


def _nicknames(context: Context) -> dict[str, tuple[str, ...]]:
    """Return the further names by what they stand for: an id, or a path."""
    names: dict[str, tuple[str, ...]] = {}
    for name, target in context.nicknames.items():
        names[target] = (*names.get(target, ()), name)
    return names


def _names_of(entry: ModelEntry, names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return names.get(entry.id, ()) + names.get(str(entry.path), ())
