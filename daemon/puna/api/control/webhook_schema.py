"""Answers of the control API about webhooks. Times are seconds since 1970."""

from msgspec import Struct

from puna.webhooks.records import Delivery, Webhook


class ListedWebhooksReply(Struct, frozen=True):
    """Answer of GET /puna/v1/webhooks."""

    webhooks: tuple[Webhook, ...]


class DeliveriesReply(Struct, frozen=True):
    """Answer of GET /puna/v1/webhooks/{webhook_id}/deliveries."""

    deliveries: tuple[Delivery, ...]
