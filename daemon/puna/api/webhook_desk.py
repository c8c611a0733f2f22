"""The webhooks of the daemon, as routes get at them."""

from aiohttp import web

from puna.webhooks.service import WebhookService

WEBHOOKS: web.AppKey[WebhookService] = web.AppKey("webhooks")


def webhooks_of(request: web.Request) -> WebhookService:
    """Return the webhooks of this daemon."""
    return request.app[WEBHOOKS]
