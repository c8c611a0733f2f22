"""Fine-tunings: list, order, look, cancel, resume, and news of them as server-sent events."""

import msgspec
from aiohttp import web

from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.control.following import follow
from puna.api.control.training_schema import (
    CANCEL_FINETUNE,
    FINETUNE,
    FinetuneBody,
    FinetunesReply,
    PlanReply,
)
from puna.api.responses import json_response
from puna.domain.finetune import FinetuneOrder
from puna.domain.training import TrainingSettings
from puna.finetune.service import FinetuneService


async def list_finetunes(request: web.Request) -> web.StreamResponse:
    """GET /puna/v1/finetunes: those that wait or run, and the last ones that have ended.

    With `follow` set, each as it is and then whenever it changes, as server-sent events.
    """
    if request.query.get("follow"):
        return await follow(request, "finetune", _finetunes(request).listen, None)
    return json_response(FinetunesReply(tuple(_finetunes(request).list())))


async def order_finetune(request: web.Request) -> web.Response:
    """POST /puna/v1/finetunes: queues a fine-tuning of a model on a dataset; the answer is the job.

    With `dry_run`, nothing is trained: the model is loaded, and the answer is `{"plan": ...}` with time and memory.
    """
    body = FINETUNE.parse(await read_body(request))
    order = to_order(body)
    if body.dry_run:
        return json_response(PlanReply(await _finetunes(request).estimate(order)))
    return json_response(await _finetunes(request).order(order))


async def show_finetune(request: web.Request) -> web.StreamResponse:
    """GET /puna/v1/finetunes/{finetune_id}: one fine-tuning as it is now.

    With `follow` set, that and then whenever it changes, as server-sent events, until it has ended.
    """
    job = _finetunes(request).get(_id_in(request))
    if request.query.get("follow"):
        return await follow(request, "finetune", _finetunes(request).listen, job.id)
    return json_response(job)


async def cancel_finetune(request: web.Request) -> web.Response:
    """POST /puna/v1/finetunes/{finetune_id}/cancel: ends it after the running step; waits until it has ended."""
    content = await read_body(request)
    keeps = bool(content.strip()) and CANCEL_FINETUNE.parse(content).keeps_checkpoint
    return json_response(await _finetunes(request).cancel(_id_in(request), keeps_checkpoint=bool(keeps)))


async def resume_finetune(request: web.Request) -> web.Response:
    """POST /puna/v1/finetunes/{finetune_id}/resume: lets one that failed or was cancelled go on from its checkpoint."""
    return json_response(await _finetunes(request).resume(_id_in(request)))


def to_order(body: FinetuneBody) -> FinetuneOrder:
    """Return what a body asks for. Pure."""
    wished = {
        name: value
        for name in TrainingSettings.__struct_fields__
        if (value := getattr(body, name)) is not None
    }
    return FinetuneOrder(
        model=body.model,
        dataset=body.dataset,
        name=body.name or "",
        settings=msgspec.structs.replace(TrainingSettings(), **wished),
    )


def _finetunes(request: web.Request) -> FinetuneService:
    return context_of(request).finetunes


def _id_in(request: web.Request) -> str:
    return request.match_info["finetune_id"]
