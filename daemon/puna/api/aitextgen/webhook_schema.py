"""AITextGen's bodies and answers about webhooks; only the body of `create` is in its document."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema
from puna.webhooks.payload import EventType


class CreateWebhookBody(Struct, kw_only=True, frozen=True):
    """POST /v1/aitextgen/webhooks/create."""

    url: Annotated[str, Meta(min_length=1)]
    """Where deliveries go: http or https. Programs on this machine may receive them."""
    events: Annotated[tuple[EventType, ...], Meta(min_length=1)] | None = None
    """What it is told of. Absent: everything."""


class WebhookReply(Struct, frozen=True, kw_only=True):
    """A webhook, without its secret."""

    id: str
    url: str
    events: tuple[EventType, ...]
    status: str
    """`active` or `disabled`; a receiver that answers 410 is disabled."""
    disabled_reason: str | None
    created_at: str


class CreatedWebhookReply(Struct, frozen=True, kw_only=True):
    """Answer of /v1/aitextgen/webhooks/create, the only one that ever holds the secret."""

    id: str
    url: str
    events: tuple[EventType, ...]
    secret: str
    """`whsec_` and base64: what Standard Webhooks libraries verify deliveries with."""
    status: str
    created_at: str


class WebhooksReply(Struct, frozen=True):
    """Answer of GET /v1/aitextgen/webhooks."""

    webhooks: tuple[WebhookReply, ...]


class DeletedWebhookReply(Struct, frozen=True, kw_only=True):
    """Answer of DELETE /v1/aitextgen/webhooks/{webhook_id}."""

    id: str
    deleted: bool = True


CREATE_WEBHOOK = BodySchema(CreateWebhookBody)
