"""AITextGen's webhooks: make, list, look, delete.

They belong to the organisation of the key; without a key, to the default one, and the user of this machine sees all.
"""

from aiohttp import web

from puna.api.aitextgen.webhook_convert import from_new_webhook, from_webhook, to_wish
from puna.api.aitextgen.webhook_schema import (
    CREATE_WEBHOOK,
    CreatedWebhookReply,
    DeletedWebhookReply,
    WebhookReply,
    WebhooksReply,
)
from puna.api.body import read_body
from puna.api.context import context_of
from puna.api.dialect import Route
from puna.api.exchange import exchange_of
from puna.api.responses import json_response
from puna.api.webhook_desk import webhooks_of
from puna.keys.identity import Scope

_WEBHOOKS = "/v1/aitextgen/webhooks"
_WEBHOOK = f"{_WEBHOOKS}/{{webhook_id}}"


async def create(request: web.Request) -> web.Response:
    """POST .../webhooks/create: makes a webhook; the only answer that ever holds its secret."""
    body = CREATE_WEBHOOK.parse(await read_body(request))
    owner = _organisation_of(request) or context_of(request).keys.default_organisation.id
    made = await webhooks_of(request).create(to_wish(body, owner))
    response = json_response(from_new_webhook(made))
    response.headers["Cache-Control"] = "no-store"
    return response


async def list_webhooks(request: web.Request) -> web.Response:
    """GET .../webhooks: all webhooks, without their secrets."""
    found = await webhooks_of(request).list(_organisation_of(request))
    return json_response(WebhooksReply(tuple(map(from_webhook, found))))


async def show(request: web.Request) -> web.Response:
    """GET .../webhooks/{webhook_id}: one webhook, without its secret."""
    found = await webhooks_of(request).get(_organisation_of(request), request.match_info["webhook_id"])
    return json_response(from_webhook(found))


async def delete(request: web.Request) -> web.Response:
    """DELETE .../webhooks/{webhook_id}: forgets a webhook; what waits for it is not delivered any more."""
    removed = await webhooks_of(request).delete(_organisation_of(request), request.match_info["webhook_id"])
    return json_response(DeletedWebhookReply(id=removed.id))


def _organisation_of(request: web.Request) -> str | None:
    return exchange_of(request).identity.organisation_id


WEBHOOK_ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{_WEBHOOKS}/create",
        handler=create,
        scope=Scope.TRAIN,
        body=CREATE_WEBHOOK,
        reply=CreatedWebhookReply,
    ),
    Route(method="GET", path=_WEBHOOKS, handler=list_webhooks, scope=Scope.TRAIN, reply=WebhooksReply),
    Route(method="GET", path=_WEBHOOK, handler=show, scope=Scope.TRAIN, reply=WebhookReply),
    Route(method="DELETE", path=_WEBHOOK, handler=delete, scope=Scope.TRAIN, reply=DeletedWebhookReply),
)
"""For `DIALECT.routes` in `puna.api.aitextgen.routes`."""
