"""AITextGen's fine-tuning: it answers when the training is done, or at once where the client prefers that."""

import asyncio

from aiohttp import web

from puna.api.aitextgen.finetune_convert import (
    prefers_not_to_wait,
    to_accepted,
    to_order,
    to_reply,
    to_status,
    why_it_ended,
)
from puna.api.aitextgen.finetune_schema import (
    FINETUNE,
    AcceptedReply,
    FinetuneBody,
    FinetuneReply,
    FinetuneStatusReply,
)
from puna.api.background import background_of
from puna.api.body import read_body
from puna.api.context import Context, context_of
from puna.api.dialect import Route
from puna.api.exchange import exchange_of
from puna.api.finetune_base import find_base
from puna.api.responses import json_response
from puna.domain.datasets import DatasetFormat
from puna.domain.finetune import FinetuneJob, FinetuneState
from puna.errors import GenerationError, InvalidRequestError, NotFoundError, OverloadedError
from puna.finetune.datasets.failures import DatasetRefusedError
from puna.finetune.datasets.inline import write_texts
from puna.keys.identity import Identity, Scope

_FINETUNE = "/v1/aitextgen/finetune"
_BODY_LIMIT_BYTES = 64 * 1024 * 1024
"""A dataset of the usual limit, with what JSON adds."""
_LOOK_S = 60.0


async def finetune(request: web.Request) -> web.Response:
    """POST /v1/aitextgen/finetune: trains an adapter and answers when it is done, however long that takes.

    With the header `Prefer: respond-async` it answers at once. A client that leaves does not end the training.
    """
    body = FINETUNE.parse(await read_body(request))
    job = await _accept(request, body)
    if prefers_not_to_wait(request.headers.getall("Prefer", [])):
        response = json_response(to_accepted(job), status=202)
        response.headers["Preference-Applied"] = "respond-async"
        return response
    context = context_of(request)
    job = await _wait(context, job)
    if job.state is not FinetuneState.DONE:
        raise GenerationError(why_it_ended(job))
    return json_response(to_reply(job, context.adapters.find(job.adapter_id)))


async def show(request: web.Request) -> web.Response:
    """GET /v1/aitextgen/finetune/{job_id}: where a training stands that was begun with `Prefer: respond-async`."""
    context, job_id = context_of(request), request.match_info["job_id"]
    job = context.finetunes.get(job_id)
    owner = job.order.organisation_id or context.keys.default_organisation.id
    if not exchange_of(request).identity.may_use(owner):
        raise NotFoundError(f"There is no fine-tuning {job_id[:60]}.")
    return json_response(to_status(job, context.adapters.find(job.adapter_id)))


async def _wait(context: Context, job: FinetuneJob) -> FinetuneJob:
    try:
        while job.is_open:
            job = await context.finetunes.wait(job.id, _LOOK_S)
    except OverloadedError as error:
        message = (
            f"{error.message} The training goes on all the same: "
            f"its model will be {job.adapter_id}, and GET {_FINETUNE}/{job.id} tells when."
        )
        raise OverloadedError(message, retry_after_s=error.retry_after_s) from error
    return job


async def _accept(request: web.Request, body: FinetuneBody) -> FinetuneJob:
    """Return the job once it stands in the queue; it gets there also when the client leaves meanwhile."""
    accepted: asyncio.Future[FinetuneJob] = asyncio.get_running_loop().create_future()
    work = _order(context_of(request), exchange_of(request).identity, body, accepted)
    background_of(request).start(work)
    return await accepted


async def _order(
    context: Context, identity: Identity, body: FinetuneBody, accepted: asyncio.Future[FinetuneJob]
) -> None:
    try:
        base = await find_base(context, identity, body.model)
        dataset_id = await asyncio.to_thread(_keep, context, body.training_data)
        order = to_order(body, model=base.id, dataset=dataset_id, organisation_id=identity.organisation_id)
        job = await context.finetunes.order(order)
    except asyncio.CancelledError:
        accepted.cancel()
        raise
    except Exception as error:
        if accepted.done():
            raise
        accepted.set_exception(error)
    else:
        if not accepted.done():
            accepted.set_result(job)


def _keep(context: Context, texts: list[str]) -> str:
    try:
        return context.datasets.add(write_texts(texts), stated=DatasetFormat.JSONL).id
    except DatasetRefusedError as error:
        message = f"`training_data` cannot be trained on: {error.message}"
        raise InvalidRequestError(message, field="training_data") from error


FINETUNE_ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=_FINETUNE,
        handler=finetune,
        scope=Scope.TRAIN,
        body_limit_bytes=_BODY_LIMIT_BYTES,
        body=FINETUNE,
        reply=FinetuneReply | AcceptedReply,
    ),
    Route(
        method="GET",
        path=f"{_FINETUNE}/{{job_id}}",
        handler=show,
        scope=Scope.TRAIN,
        reply=FinetuneStatusReply,
    ),
)
"""For `DIALECT.routes` in `puna.api.aitextgen.routes`."""
