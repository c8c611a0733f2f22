"""Status, shutdown, models and keys, for the admin token and keys that may manage; metrics for this machine."""

import os

from aiohttp import web

import puna
from puna.api.context import context_of
from puna.api.control import keys
from puna.api.control.classify import CLASSIFY_ROUTES
from puna.api.control.exports import EXPORT_ROUTES
from puna.api.control.hardware import hardware
from puna.api.control.metrics import CONTENT_TYPE, render_metrics
from puna.api.control.model_routes import MODEL_ROUTES
from puna.api.control.route import control_route
from puna.api.control.schema import (
    CREATE_KEY,
    CREATE_ORGANISATION,
    FirstKeyReply,
    KeysReply,
    ModelStatusReply,
    OrganisationsReply,
    StatusReply,
    StoppingReply,
)
from puna.api.control.training_routes import TRAINING_ROUTES
from puna.api.control.webhooks import WEBHOOK_ROUTES
from puna.api.dialect import Access, Dialect, Route
from puna.api.errors import render_default_error
from puna.api.exchange import exchange_of
from puna.api.responses import json_response
from puna.domain.hardware import Hardware
from puna.keys.identity import Scope
from puna.keys.records import Key, NewKey, Organisation
from puna.residency.place import Resident

_ENDING_S = 30.0
"""Of a stop beside open requests: the last checkpoint of a training, messages to webhooks, workers."""


async def status(request: web.Request) -> web.Response:
    """GET /puna/v1/status: the daemon and its models, in figures."""
    context = context_of(request)
    current = context.residency.current
    current_id = current.entry.resident_id if current is not None else None
    return json_response(
        StatusReply(
            instance=context.instance,
            version=puna.__version__,
            pid=os.getpid(),
            uptime_s=round(context.activity.uptime_s, 3),
            address=_address(request, context.settings.host),
            requests=context.activity.request_count,
            open_requests=context.activity.open_requests,
            organisation=context.keys.default_organisation.id,
            models=tuple(
                _model_status(resident, is_current=resident.entry.id == current_id)
                for resident in context.residency.residents()
            ),
        )
    )


async def shutdown(request: web.Request) -> web.Response:
    """POST /puna/v1/shutdown: asks the daemon to stop and does not wait for it."""
    context = context_of(request)
    context.request_stop()
    return json_response(StoppingReply(at_most_s=context.settings.drain_timeout_s + _ENDING_S))


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: counters as text, for Prometheus."""
    context = context_of(request)
    body = render_metrics(context.activity, context.residency, context.jobs.figures)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def _address(request: web.Request, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{exchange_of(request).head.local_port}"


def _model_status(resident: Resident, *, is_current: bool) -> ModelStatusReply:
    loaded, counters = resident.loaded, resident.status
    return ModelStatusReply(
        id=resident.entry.id,
        name=resident.entry.name,
        state=resident.state.value,
        progress=resident.progress,
        error=resident.error,
        is_current=is_current,
        slots=loaded.slots if loaded else None,
        busy_slots=counters.busy_slots,
        waiting_requests=counters.waiting_requests,
        context_length=loaded.context_length if loaded else None,
        threads=counters.threads or (loaded.threads if loaded else None),
        gpu_layers=loaded.gpu_layers if loaded else None,
        backend=loaded.backend if loaded else None,
        backend_reason=loaded.backend_reason if loaded else None,
        used_cells=counters.used_cells,
        total_cells=loaded.total_cells if loaded else None,
        cached_sequences=counters.cached_sequences,
        prompt_tokens=counters.prompt_tokens,
        cached_prompt_tokens=counters.cached_prompt_tokens,
        completion_tokens=counters.completion_tokens,
        load_s=loaded.load_s if loaded else None,
    )


CONTROL = Dialect(
    name="control",
    access=Access.ADMIN,
    prefixes=("/puna",),
    render_error=render_default_error,
    title="Puna",
    summary="The daemon itself: status, hardware, models, downloads, fine-tuning, keys and organisations.",
    routes=(
        control_route("GET", "/puna/v1/status", status, StatusReply),
        control_route("GET", "/puna/v1/hardware", hardware, Hardware),
        control_route("POST", "/puna/v1/shutdown", shutdown, StoppingReply),
        control_route("GET", "/puna/v1/keys", keys.list_keys, KeysReply),
        control_route("POST", "/puna/v1/keys", keys.create_key, NewKey, body=CREATE_KEY, status=201),
        control_route("POST", "/puna/v1/keys/first", keys.create_first_key, FirstKeyReply),
        control_route("DELETE", "/puna/v1/keys/{key_id}", keys.revoke_key, Key),
        control_route("GET", "/puna/v1/organisations", keys.list_organisations, OrganisationsReply),
        control_route(
            "POST",
            "/puna/v1/organisations",
            keys.create_organisation,
            Organisation,
            body=CREATE_ORGANISATION,
            status=201,
        ),
        *MODEL_ROUTES,
        *TRAINING_ROUTES,
        *EXPORT_ROUTES,
        *WEBHOOK_ROUTES,
        *CLASSIFY_ROUTES,
    ),
)

METRICS = Dialect(
    name="metrics",
    access=Access.THIS_MACHINE,
    prefixes=("/metrics",),
    render_error=render_default_error,
    title="Metrics",
    summary="Figures for Prometheus.",
    routes=(Route(method="GET", path="/metrics", handler=metrics, is_counted=False, scope=Scope.MANAGE),),
)
