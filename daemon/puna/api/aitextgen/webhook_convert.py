"""AITextGen's webhooks from and to Puna's. Pure."""

from datetime import UTC, datetime

from puna.api.aitextgen.webhook_schema import CreatedWebhookReply, CreateWebhookBody, WebhookReply
from puna.webhooks.payload import EventType
from puna.webhooks.records import NewWebhook, Webhook, WebhookWish


def to_wish(body: CreateWebhookBody, organisation_id: str) -> WebhookWish:
    """Return what is asked for; without events it is all of them."""
    return WebhookWish(organisation_id=organisation_id, url=body.url, events=body.events or tuple(EventType))


def from_webhook(webhook: Webhook) -> WebhookReply:
    """Return a webhook as it is listed."""
    return WebhookReply(
        id=webhook.id,
        url=webhook.url,
        events=webhook.events,
        status=webhook.status,
        disabled_reason=webhook.disabled_reason,
        created_at=_to_time(webhook.created_at),
    )


def from_new_webhook(made: NewWebhook) -> CreatedWebhookReply:
    """Return a webhook as it is told once, with its secret."""
    webhook = made.webhook
    return CreatedWebhookReply(
        id=webhook.id,
        url=webhook.url,
        events=webhook.events,
        secret=made.secret,
        status=webhook.status,
        created_at=_to_time(webhook.created_at),
    )


def _to_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
