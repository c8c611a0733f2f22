"""Adapters: list, look, remove, and their files."""

from aiohttp import web

from puna.api.context import context_of
from puna.api.control.training_schema import AdaptersReply
from puna.api.responses import json_response
from puna.errors import NotFoundError


async def list_adapters(request: web.Request) -> web.Response:
    """GET /puna/v1/adapters: what came of fine-tunings, the oldest first."""
    return json_response(AdaptersReply(tuple(context_of(request).adapters.records())))


async def show_adapter(request: web.Request) -> web.Response:
    """GET /puna/v1/adapters/{adapter_id}: one adapter: base, dataset, settings, losses and accuracy."""
    return json_response(context_of(request).adapters.get(_id_in(request)))


async def remove_adapter(request: web.Request) -> web.Response:
    """DELETE /puna/v1/adapters/{adapter_id}: removes an adapter with its file."""
    return json_response(await context_of(request).adapters.remove(_id_in(request)))


async def send_adapter(request: web.Request) -> web.StreamResponse:
    """GET /puna/v1/adapters/{adapter_id}/file: the adapter as GGUF, for llama.cpp and its kin."""
    shelf = context_of(request).adapters
    record = shelf.get(_id_in(request))
    path = shelf.path(record.id)
    if not path.is_file():
        raise NotFoundError(f"The file of the adapter {record.id} is gone.")
    headers = {"Content-Disposition": f'attachment; filename="{record.id}.gguf"'}
    return web.FileResponse(path, headers=headers)


def _id_in(request: web.Request) -> str:
    return request.match_info["adapter_id"]
