"""Datasets: list, add, look, remove."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from puna.api.body import BODY_STALL_S, BodyStalledError, invite_body, read_body
from puna.api.context import context_of
from puna.api.control.training_schema import (
    ADD_DATASET,
    AddDatasetBody,
    DatasetsReply,
    RefusedDatasetReply,
)
from puna.api.encoding import encode_json
from puna.api.exchange import exchange_of
from puna.api.responses import json_response
from puna.domain.datasets import Dataset, DatasetFormat
from puna.errors import InvalidRequestError, PunaError
from puna.finetune.datasets.failures import DatasetRefusedError
from puna.finetune.datasets.inline import write_texts
from puna.finetune.datasets.shelf import CHUNK_BYTES
from puna.finetune.datasets.store import DatasetStore
from puna.finetune.datasets.upload import Upload

UPLOAD_LIMIT_BYTES = 5 * 1024**3
"""Of a body; the setting `dataset_bytes`, which is lower, holds for what is in it."""
_JSON_SLACK = 2
"""Bytes of JSON for a byte of a dataset, at most."""
_LONGEST_FORMAT = 64
_UNSOUND = "The upload is cut short, or no sound multipart/form-data; send it anew."
_FAILURES = (ConnectionError, ValueError, AssertionError, RuntimeError, HttpProcessingError)
"""What aiohttp's reader of forms raises for one that is cut short or wrong."""
_T = TypeVar("_T")


async def list_datasets(request: web.Request) -> web.Response:
    """GET /puna/v1/datasets: all datasets with their reports, the newest first."""
    return json_response(DatasetsReply(await asyncio.to_thread(_datasets(request).list)))


async def add_dataset(request: web.Request) -> web.Response:
    """POST /puna/v1/datasets: keeps a dataset: an upload (`multipart/form-data`, the field `file`), a path, or inline.

    The same content is kept once. One with errors is refused with a report of all of them.
    """
    try:
        if request.content_type == "multipart/form-data":
            added = await _take_upload(request)
        else:
            added = await _take_json(request)
    except DatasetRefusedError as refused:
        body = encode_json(RefusedDatasetReply(refused.message, refused.message, refused.report))
        return web.Response(status=400, body=body, content_type="application/json")
    return json_response(added)


async def show_dataset(request: web.Request) -> web.Response:
    """GET /puna/v1/datasets/{dataset_id}: one dataset with its report."""
    return json_response(await asyncio.to_thread(_datasets(request).get, _id_in(request)))


async def remove_dataset(request: web.Request) -> web.Response:
    """DELETE /puna/v1/datasets/{dataset_id}: removes one that no open fine-tuning needs; adapters stay."""
    dataset = await asyncio.to_thread(_datasets(request).get, _id_in(request))
    if context_of(request).finetunes.uses(dataset.id):
        raise InvalidRequestError(f"A fine-tuning needs the dataset {dataset.id}; cancel that first.")
    await asyncio.to_thread(_datasets(request).remove, dataset.id)
    return json_response(dataset)


async def _take_upload(request: web.Request) -> Dataset:
    await invite_body(request)
    begun: asyncio.Task[Upload] | None = None
    stated: DatasetFormat | None = None
    try:
        # To the closing boundary: a body that ends before it was cut short.
        async for part in _read_parts(request):
            if part.name == "format":
                stated = await _read_format(part)
            elif part.name == "file" and begun is None:
                begin = partial(_datasets(request).begin, name=part.filename or "", stated=stated)
                begun = asyncio.create_task(asyncio.to_thread(begin))
                await _write_part(part, await asyncio.shield(begun))
        if begun is None:
            raise InvalidRequestError("The upload has no field `file`.", field="file")
        return await asyncio.to_thread(begun.result().finish)
    finally:
        if begun is not None:
            # Shielded: a client that leaves must leave nothing behind.
            await asyncio.shield(_give_up(begun))


async def _give_up(begun: asyncio.Task[Upload]) -> None:
    """Leave nothing of an upload that is not finished; one that could not be begun has left nothing."""
    with suppress(PunaError):
        await asyncio.to_thread((await begun).abort)


async def _read_parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    """Yield the fields of an upload; what is not read of one is dropped. Raises as `_read`."""
    try:
        reader = await request.multipart()
    except _FAILURES as error:
        raise InvalidRequestError(_UNSOUND) from error
    while (part := await _read(reader.next())) is not None:
        if isinstance(part, BodyPartReader):
            yield part


async def _write_part(part: BodyPartReader, upload: Upload) -> None:
    while chunk := await _read(part.read_chunk(CHUNK_BYTES)):
        await asyncio.to_thread(upload.write, bytes(chunk))


async def _read_format(part: BodyPartReader) -> DatasetFormat:
    content = b""
    while len(content) <= _LONGEST_FORMAT and (chunk := await _read(part.read_chunk(CHUNK_BYTES))):
        content += chunk
    return _format_in(content.decode("utf-8", "replace").strip())


async def _read(step: Coroutine[Any, Any, _T]) -> _T:
    """Return what a step of reading gives. Raises `BodyStalledError`, and `InvalidRequestError` for no sound form."""
    try:
        async with asyncio.timeout(BODY_STALL_S):
            return await step
    except TimeoutError as error:
        raise BodyStalledError("The upload did not arrive in time.") from error
    except _FAILURES as error:
        raise InvalidRequestError(_UNSOUND) from error


async def _take_json(request: web.Request) -> Dataset:
    exchange, settings = exchange_of(request), context_of(request).settings
    exchange.body_limit_bytes = _JSON_SLACK * settings.dataset_bytes
    body = ADD_DATASET.parse(await read_body(request))
    if sum(each is not None for each in (body.path, body.content, body.texts)) != 1:
        raise InvalidRequestError(
            "Give one of `path`, `content` and `texts`, or upload a file.", field="path"
        )
    return await asyncio.to_thread(_add, _datasets(request), body)


def _add(datasets: DatasetStore, body: AddDatasetBody) -> Dataset:
    if body.path is not None:
        path = Path(body.path)
        if not path.is_absolute():
            raise InvalidRequestError("`path` must be absolute.", field="path")
        return datasets.add_file(path, stated=body.format)
    name = body.name or ""
    if body.texts is not None:
        return datasets.add(write_texts(body.texts), name=name, stated=DatasetFormat.JSONL)
    return datasets.add([(body.content or "").encode("utf-8", "replace")], name=name, stated=body.format)


def _format_in(text: str) -> DatasetFormat:
    try:
        return DatasetFormat(text)
    except ValueError as error:
        allowed = ", ".join(DatasetFormat)
        raise InvalidRequestError(f"`format` must be one of {allowed}.", field="format") from error


def _datasets(request: web.Request) -> DatasetStore:
    return context_of(request).datasets


def _id_in(request: web.Request) -> str:
    return request.match_info["dataset_id"]
