"""Webhooks on disk: the `WebhookStore` of `puna.webhooks.ports`, each method one transaction."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from puna.domain.finetune_events import FinetuneEvent
from puna.webhooks import log_table, queue_table, webhook_table
from puna.webhooks.ports import Landing, Open, Parcel, Published, Transactions
from puna.webhooks.records import Delivery, NewWebhook, Webhook, WebhookWish


class WebhookJournal:
    """All webhooks of one database, their secrets included; raises what `Database.run` raises."""

    def __init__(self, database: Transactions, *, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds since 1970."""
        self._database = database
        self._now = now

    async def add(self, wish: WebhookWish) -> NewWebhook:
        """Make a webhook. Raises `InvalidRequestError` where the organisation has too many."""
        return await self._database.run(
            partial(webhook_table.insert_webhook, wish=wish, now=int(self._now()))
        )

    async def list(self, organisation_id: str | None) -> Sequence[Webhook]:
        """Return webhooks, the oldest first."""
        return await self._database.run(
            partial(webhook_table.select_webhooks, organisation_id=organisation_id)
        )

    async def get(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        """Return one. Raises `NotFoundError`."""
        return await self._database.run(
            partial(webhook_table.select_webhook, organisation_id=organisation_id, webhook_id=webhook_id)
        )

    async def remove(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        """Forget a webhook with its secret and its deliveries, and return it. Raises `NotFoundError`."""
        return await self._database.run(
            partial(webhook_table.delete_webhook, organisation_id=organisation_id, webhook_id=webhook_id)
        )

    async def publish(self, event: FinetuneEvent) -> Published:
        """Keep an event and its deliveries; one that is kept already changes nothing."""
        return await self._database.run(partial(queue_table.insert_event, event=event, now_s=self._now()))

    async def open(self) -> Open:
        """Return the deliveries that have not ended."""
        return await self._database.run(queue_table.select_open)

    async def parcel(self, delivery_id: int) -> Parcel | None:
        """Return what an attempt needs; None where the delivery has ended, or its webhook is gone."""
        return await self._database.run(partial(queue_table.select_parcel, delivery_id=delivery_id))

    async def record(self, landings: Sequence[Landing]) -> None:
        """Keep what came of attempts."""
        await self._database.run(partial(queue_table.apply_landings, landings=landings, now_s=self._now()))

    async def deliveries(self, webhook_id: str, limit: int) -> Sequence[Delivery]:
        """Return the last deliveries of a webhook, the newest first."""
        return await self._database.run(
            partial(log_table.select_deliveries, webhook_id=webhook_id, limit=limit)
        )

    async def sweep(self) -> int:
        """Forget deliveries that ended long ago, and those of a webhook beyond so many; returns how many."""
        return await self._database.run(partial(log_table.delete_old, now_s=self._now()))
