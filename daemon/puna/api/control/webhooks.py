"""Webhooks of all organisations, and their delivery log."""

from aiohttp import web

from puna.api.control.route import control_route
from puna.api.control.webhook_schema import DeliveriesReply, ListedWebhooksReply
from puna.api.dialect import Route
from puna.api.responses import json_response
from puna.api.webhook_desk import webhooks_of
from puna.webhooks.records import Webhook

_WEBHOOK = "/puna/v1/webhooks/{webhook_id}"


async def list_webhooks(request: web.Request) -> web.Response:
    """GET /puna/v1/webhooks: the webhooks of all organisations, without their secrets."""
    return json_response(ListedWebhooksReply(tuple(await webhooks_of(request).list(None))))


async def show_webhook(request: web.Request) -> web.Response:
    """GET /puna/v1/webhooks/{webhook_id}: one webhook, without its secret."""
    return json_response(await webhooks_of(request).get(None, _id_in(request)))


async def delete_webhook(request: web.Request) -> web.Response:
    """DELETE /puna/v1/webhooks/{webhook_id}: forgets a webhook; what waits for it is not delivered any more."""
    return json_response(await webhooks_of(request).delete(None, _id_in(request)))


async def list_deliveries(request: web.Request) -> web.Response:
    """GET /puna/v1/webhooks/{webhook_id}/deliveries: its last deliveries with all their attempts, the newest first."""
    return json_response(DeliveriesReply(tuple(await webhooks_of(request).deliveries(None, _id_in(request)))))


def _id_in(request: web.Request) -> str:
    return request.match_info["webhook_id"]


WEBHOOK_ROUTES: tuple[Route, ...] = (
    control_route("GET", "/puna/v1/webhooks", list_webhooks, ListedWebhooksReply),
    control_route("GET", _WEBHOOK, show_webhook, Webhook),
    control_route("DELETE", _WEBHOOK, delete_webhook, Webhook),
    control_route("GET", f"{_WEBHOOK}/deliveries", list_deliveries, DeliveriesReply),
)
"""For `CONTROL.routes` in `puna.api.control.routes`."""
