"""Adapters as models of their own: merged with their bases into new files."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from puna import launch
from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.control.export_schema import EXPORT
from puna.api.control.following import encode_error, with_heartbeats
from puna.api.control.route import control_route
from puna.api.encoding import encode_json
from puna.api.exchange import Exchange, exchange_of
from puna.api.shelf import Shelf
from puna.api.streaming import SSE, send_chunks
from puna.domain.finetune import AdapterRecord
from puna.domain.merging import ExportEvent, MergeProgress, MergeResult
from puna.domain.models import ModelEntry
from puna.errors import InvalidRequestError, ModelNotFoundError
from puna.finetune.exporting import check_target, export_adapter

_LOG = "export.log"

_Export = Callable[..., Coroutine[Any, Any, MergeResult]]
_News = asyncio.Queue[MergeProgress | None]


async def export_model(request: web.Request) -> web.StreamResponse:
    """POST /puna/v1/adapters/{adapter_id}/export: merges an adapter with its base into a new GGUF file.

    Answers with server-sent events that tell how far it is; exports wait for each other. A client that leaves before
    the last one cancels the export, and nothing is left of the file.
    """
    context = context_of(request)
    body = EXPORT.parse(await read_body(request))
    record = context.adapters.get(request.match_info["adapter_id"])
    if not body.merged:
        raise InvalidRequestError(
            f"`merged` must be true; GET /puna/v1/adapters/{record.id}/file is the adapter alone.",
            field="merged",
        )
    await asyncio.to_thread(check_target, Path(body.path))
    base = await _find_base(context.catalogue, record)
    adapter = context.adapters.path(record.id)
    context.adapters.exports.check_room()  # before the stream begins: it is a status then
    export = partial(
        export_adapter,
        record,
        adapter,
        _files_of(base),
        Path(body.path),
        merged_type=body.type,
        log_file=adapter.with_name(_LOG),
        turns=context.adapters.exports,
        environment=launch.child_environment(hidden=context.settings.key_variables),
    )
    return await send_chunks(request, SSE, _events(export, exchange_of(request)), encode_error)


async def _find_base(catalogue: Shelf, record: AdapterRecord) -> ModelEntry:
    """Return the model that the adapter belongs to: the one that has the right content, whatever it is called now."""
    try:
        base_id = (await catalogue.find(record.id)).base
    except ModelNotFoundError:
        base_id = record.base_id
    return await catalogue.find(base_id)


def _files_of(base: ModelEntry) -> tuple[Path, ...]:
    if base.path is None:
        raise InvalidRequestError(
            f"The base {base.id} runs elsewhere, so nothing can be merged with it here."
        )
    return base.files or (base.path,)


async def _events(export: _Export, exchange: Exchange) -> AsyncGenerator[bytes]:
    news: _News = asyncio.Queue()
    merging = asyncio.create_task(export(on_progress=news.put_nowait))
    merging.add_done_callback(lambda _: news.put_nowait(None))
    try:
        async for progress in with_heartbeats(_read(news)):
            yield b": still there\n\n" if progress is None else _encode(_tell(progress))
        result = await merging
        exchange.is_complete = True
        yield _encode(_done(result))
    finally:
        merging.cancel()
        await asyncio.gather(merging, return_exceptions=True)


async def _read(news: _News) -> AsyncGenerator[MergeProgress]:
    while (progress := await news.get()) is not None:
        yield progress


def _tell(progress: MergeProgress) -> ExportEvent:
    return ExportEvent(phase=progress.phase, done_bytes=progress.done_bytes, total_bytes=progress.total_bytes)


def _done(result: MergeResult) -> ExportEvent:
    size = result.size_bytes
    return ExportEvent(phase="done", done_bytes=size, total_bytes=size, result=result)


def _encode(event: ExportEvent) -> bytes:
    return b"event: export\ndata: " + encode_json(event) + b"\n\n"


EXPORT_ROUTES = (
    control_route(
        "POST",
        "/puna/v1/adapters/{adapter_id}/export",
        export_model,
        ExportEvent,
        body=EXPORT,
        stream_type=SSE,
    ),
)
