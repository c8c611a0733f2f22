"""Lamini's training: data, jobs, and how far they are."""

import asyncio

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import Context, context_of
from puna.api.dialect import Route
from puna.api.exchange import exchange_of
from puna.api.finetune_base import find_base
from puna.api.lamini.train_convert import to_job, to_job_id, to_jsonl, to_number, to_order
from puna.api.lamini.train_schema import (
    EXISTING_DATA,
    LOCAL_DATA,
    TRAIN,
    DatasetLocationReply,
    DatasetReply,
    JobReply,
    LocalDataBody,
    MessageReply,
    TrainReply,
    UploadBasePathReply,
)
from puna.api.responses import json_response
from puna.domain.datasets import DatasetFormat
from puna.domain.finetune import FinetuneJob
from puna.errors import InvalidRequestError, NotFoundError
from puna.finetune.datasets.failures import DatasetRefusedError
from puna.keys.identity import Scope

_JOBS = "/v1/train/jobs"
_JOB = f"{_JOBS}/{{job_id}}"
_BODY_LIMIT_BYTES = 64 * 1024 * 1024


async def show_base_path(_: web.Request) -> web.Response:
    """GET /v1/get-upload-base-path: where clients send their data, which is here."""
    return json_response(UploadBasePathReply())


async def keep_data(request: web.Request) -> web.Response:
    """POST /v1/local-data: keeps rows of `input` and `output`; the same rows have the same id."""
    body = LOCAL_DATA.parse(await read_body(request))
    dataset_id = await asyncio.to_thread(_keep, context_of(request), body)
    return json_response(DatasetReply(dataset_id, dataset_id))


async def find_data(request: web.Request) -> web.Response:
    """POST /v1/existing-data: whether there is a dataset; its place is its id."""
    body = EXISTING_DATA.parse(await read_body(request))
    dataset = await asyncio.to_thread(context_of(request).datasets.get, body.dataset_id)
    return json_response(DatasetLocationReply(dataset.id))


async def train(request: web.Request) -> web.Response:
    """POST /v1/train: begins to train an adapter; the answer does not wait for its end."""
    body, context = TRAIN.parse(await read_body(request)), context_of(request)
    identity = exchange_of(request).identity
    base = await find_base(context, identity, body.model_name)
    order = to_order(body, model=base.id, dataset=body.dataset_id, organisation_id=identity.organisation_id)
    job = await context.finetunes.order(order)
    return json_response(TrainReply(to_number(job.id), "CREATED"))


async def list_jobs(request: web.Request) -> web.Response:
    """GET /v1/train/jobs: all trainings of the key's organisation, the oldest first."""
    return json_response([to_job(job) for job in _jobs(request)])


async def show_job(request: web.Request) -> web.Response:
    """GET /v1/train/jobs/{job_id}: how far a training is."""
    return json_response(to_job(_find(request)))


async def cancel_job(request: web.Request) -> web.Response:
    """POST /v1/train/jobs/{job_id}/cancel: ends a training, and keeps what it can go on from."""
    job = await context_of(request).finetunes.cancel(_find(request).id, keeps_checkpoint=True)
    return json_response(MessageReply(f"cancelled {to_number(job.id)}"))


async def cancel_jobs(request: web.Request) -> web.Response:
    """POST /v1/train/jobs/cancel: ends all trainings of the key's organisation."""
    jobs = [job for job in _jobs(request) if job.is_open]
    for job in reversed(jobs):  # the one that runs last, so that none begins meanwhile
        if context_of(request).finetunes.get(job.id).is_open:
            await context_of(request).finetunes.cancel(job.id, keeps_checkpoint=True)
    numbers = ", ".join(str(to_number(job.id)) for job in jobs)
    return json_response(MessageReply(f"cancelled {numbers or 'none'}"))


async def resume_job(request: web.Request) -> web.Response:
    """POST /v1/train/jobs/{job_id}/resume: lets a training that failed or was cancelled go on."""
    return json_response(to_job(await context_of(request).finetunes.resume(_find(request).id)))


def _keep(context: Context, body: LocalDataBody) -> str:
    try:
        return context.datasets.add(to_jsonl(body.data), stated=DatasetFormat.JSONL).id
    except DatasetRefusedError as error:
        raise InvalidRequestError(f"`data` cannot be trained on: {error.message}", field="data") from error


def _find(request: web.Request) -> FinetuneJob:
    number = request.match_info["job_id"]
    job = context_of(request).finetunes.get(to_job_id(number))
    if not _is_theirs(request, job):
        raise NotFoundError(f"There is no job {number[:60]}.")
    return job


def _jobs(request: web.Request) -> list[FinetuneJob]:
    return [job for job in context_of(request).finetunes.list() if _is_theirs(request, job)]


def _is_theirs(request: web.Request, job: FinetuneJob) -> bool:
    owner = job.order.organisation_id or context_of(request).keys.default_organisation.id
    return exchange_of(request).identity.may_use(owner)


TRAIN_PREFIXES = ("/v1/train", "/v1/get-upload-base-path", "/v1/local-data", "/v1/existing-data")
TRAIN_ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/get-upload-base-path",
        handler=show_base_path,
        scope=Scope.TRAIN,
        reply=UploadBasePathReply,
    ),
    Route(
        method="POST",
        path="/v1/local-data",
        handler=keep_data,
        scope=Scope.TRAIN,
        body_limit_bytes=_BODY_LIMIT_BYTES,
        body=LOCAL_DATA,
        reply=DatasetReply,
    ),
    Route(
        method="POST",
        path="/v1/existing-data",
        handler=find_data,
        scope=Scope.TRAIN,
        body=EXISTING_DATA,
        reply=DatasetLocationReply,
    ),
    Route(method="POST", path="/v1/train", handler=train, scope=Scope.TRAIN, body=TRAIN, reply=TrainReply),
    Route(method="GET", path=_JOBS, handler=list_jobs, scope=Scope.TRAIN, reply=list[JobReply]),
    Route(method="POST", path=f"{_JOBS}/cancel", handler=cancel_jobs, scope=Scope.TRAIN, reply=MessageReply),
    Route(method="GET", path=_JOB, handler=show_job, scope=Scope.TRAIN, reply=JobReply),
    Route(method="POST", path=f"{_JOB}/cancel", handler=cancel_job, scope=Scope.TRAIN, reply=MessageReply),
    Route(method="POST", path=f"{_JOB}/resume", handler=resume_job, scope=Scope.TRAIN, reply=JobReply),
)
"""For `DIALECT.routes` in `puna.api.lamini.routes`."""
