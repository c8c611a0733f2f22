"""ModelStudio's routes."""

import asyncio

from aiohttp import web

from puna.api.body import read_body
from puna.api.context import Context, context_of
from puna.api.dialect import Access, Dialect, Route
from puna.api.encoding import encode_json
from puna.api.errors import render_default_error
from puna.api.exchange import exchange_of
from puna.api.model_names import find_model
from puna.api.modelstudio.convert import DOCUMENTED, IONOS, from_report, to_order
from puna.api.modelstudio.schema import GENERATE, CreatedReply, JobReply
from puna.api.responses import json_response
from puna.errors import ForbiddenError, NotFoundError
from puna.jobs.job import JobReport

_JOBS = "/api/v1/organizations/{organisation_id}/generate"


async def create(request: web.Request) -> web.Response:
    """POST .../generate: begins a job, and answers when it is on disk.

    Its clients want the status 200.
    """
    organisation_id = _organisation_of(request)
    context = context_of(request)
    order = to_order(GENERATE.parse(await read_body(request)), organisation_id)
    await find_model(context, exchange_of(request).identity, order.model)
    return json_response(CreatedReply(await context.jobs.submit(order)))


async def show(request: web.Request) -> web.Response:
    """GET .../generate/{job_id}: how far a job is; waits a moment for one that is nearly done."""
    organisation_id = _organisation_of(request)
    context = context_of(request)
    report = await context.jobs.report(
        organisation_id, request.match_info["job_id"], wait_s=context.settings.job_wait_s
    )
    return await _job_response(report, organisation_id, context)


async def cancel(request: web.Request) -> web.Response:
    """DELETE .../generate/{job_id}: gives a job up.

    The document does not have this.
    """
    organisation_id = _organisation_of(request)
    context = context_of(request)
    report = await context.jobs.cancel(organisation_id, request.match_info["job_id"])
    return await _job_response(report, organisation_id, context)


def _organisation_of(request: web.Request) -> str:
    """Return the organisation of the path. Raises `ForbiddenError` or `NotFoundError`."""
    organisation_id = request.match_info["organisation_id"]
    if not exchange_of(request).identity.may_use(organisation_id):
        raise ForbiddenError("This key belongs to another organisation than the one in the path.")
    if all(known.id != organisation_id for known in context_of(request).keys.organisations):
        raise NotFoundError(f"There is no organisation {organisation_id}; `puna status` shows its id.")
    return organisation_id


async def _job_response(report: JobReport, organisation_id: str, context: Context) -> web.Response:
    is_ionos = organisation_id in context.settings.ionos_organisations
    reply = from_report(report, IONOS if is_ionos else DOCUMENTED)
    # A job may have thousands of long results, which the event loop has no time to write.
    body = await asyncio.to_thread(encode_json, reply)
    return web.Response(body=body, content_type="application/json")


DIALECT = Dialect(
    name="modelstudio",
    access=Access.KEYED,
    prefixes=("/api/v1/organizations",),
    render_error=render_default_error,
    title="ModelStudio",
    summary="Generation jobs of an organisation, kept on disk until somebody has fetched them.",
    routes=(
        Route(method="POST", path=_JOBS, handler=create, generates=True, body=GENERATE, reply=CreatedReply),
        Route(method="GET", path=f"{_JOBS}/{{job_id}}", handler=show, reply=JobReply),
        Route(method="DELETE", path=f"{_JOBS}/{{job_id}}", handler=cancel, reply=JobReply),
    ),
)
