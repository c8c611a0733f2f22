"""Webhooks as surfaces and fine-tunes use them: make, look, delete, publish."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

from puna.domain.finetune_events import FinetuneEvent
from puna.webhooks.address import AddressRules, parse_target
from puna.webhooks.gate import Gate
from puna.webhooks.journal import WebhookJournal
from puna.webhooks.lookup import LookupFailedError, NameLookup, Resolve
from puna.webhooks.ports import Sender, Transactions, WebhookStore
from puna.webhooks.records import Delivery, NewWebhook, Webhook, WebhookWish
from puna.webhooks.runner import DeliveryRunner, RunnerOptions
from puna.webhooks.sender import HttpSender

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_LOOKUP_S = 5.0
"""How long a new webhook waits for the lookup of its name."""
MOST_LISTED = 200
"""Deliveries in one answer."""


class WebhookService:
    """Called from the event loop only.

    `organisation_id` None stands for the user of this machine, to whom the webhooks of all organisations belong.
    """

    def __init__(
        self,
        store: WebhookStore,
        sender: Sender,
        gate: Gate,
        options: RunnerOptions,
        *,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`now` gives seconds since 1970, `chance` a random number from 0 to below 1."""
        self._store = store
        self._gate = gate
        self._runner = DeliveryRunner(store, sender, options, now=now, chance=chance)
        self._running: asyncio.Task[None] | None = None
        self._steps: set[asyncio.Task[object]] = set()
        """Events and deletions on their way to the disk and to the runner."""

    @classmethod
    def of_database(
        cls, database: Transactions, rules: AddressRules, *, resolve: Resolve | None = None
    ) -> Self:
        """Return the webhooks of a database, delivered over HTTP to where the rules allow."""
        gate = Gate(rules, resolve or NameLookup())
        return cls(WebhookJournal(database), HttpSender(gate), gate, RunnerOptions())

    async def start(self) -> None:
        """Take up what an earlier run left. Raises `PunaError` when the disk does not tell it."""
        left = await self._store.open()
        if left.pending:
            _log.info("taking up %d deliveries to webhooks", len(left.pending))
        self._runner.take_up(left)
        self._running = asyncio.create_task(self._runner.run(), name="webhooks")

    async def create(self, wish: WebhookWish) -> NewWebhook:
        """Make a webhook; its secret is told now and never again.

        A name that cannot be resolved now is let in, since every attempt resolves and judges it anew. Raises
        `AddressRefusedError` for where none may point, `InvalidRequestError` when there are too many, and what
        the store raises.
        """
        target = parse_target(wish.url)
        with contextlib.suppress(LookupFailedError, TimeoutError):
            async with asyncio.timeout(_LOOKUP_S):
                await self._gate.admit(target)
        made = await self._store.add(wish)
        _log.info("the webhook %s is made, for %s", made.webhook.id, ", ".join(made.webhook.events))
        return made

    async def list(self, organisation_id: str | None) -> Sequence[Webhook]:
        """Return webhooks, the oldest first, without their secrets."""
        return await self._store.list(organisation_id)

    async def get(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        """Return one. Raises `NotFoundError`."""
        return await self._store.get(organisation_id, webhook_id)

    async def delete(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        """Forget a webhook with its secret and all its deliveries, and return it. Raises `NotFoundError`."""
        return await self._to_its_end(self._delete(organisation_id, webhook_id), f"delete {webhook_id}")

    async def deliveries(self, organisation_id: str | None, webhook_id: str) -> Sequence[Delivery]:
        """Return the last deliveries of a webhook with their attempts, the newest first. Raises `NotFoundError`."""
        await self._store.get(organisation_id, webhook_id)
        return await self._store.deliveries(webhook_id, MOST_LISTED)

    async def publish(self, event: FinetuneEvent) -> None:
        """Keep an event for all who want it: it is on disk when this returns, and delivered whatever happens then.

        A job has one end: publishing it again, after a crash for one, changes nothing for a month. Raises what
        the store raises.
        """
        await self._to_its_end(self._publish(event), f"publish {event.job_id}")

    def wake(self) -> None:
        """Look at the clock now: what is due goes out. Needed by nobody but tests and after a sleep of the machine."""
        self._runner.wake()

    async def close(self) -> None:
        """Let attempts under way end for a moment, and stop; the next start goes on. Idempotent."""
        await asyncio.gather(*self._steps, return_exceptions=True)
        self._runner.close()
        if self._running is not None:
            await self._running

    async def _publish(self, event: FinetuneEvent) -> None:
        published = await self._store.publish(event)
        self._runner.drop(published.given_up)
        self._runner.take_in(published.pending)

    async def _delete(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        removed = await self._store.remove(organisation_id, webhook_id)
        self._runner.forget(webhook_id)
        _log.info("the webhook %s is deleted", webhook_id)
        return removed

    async def _to_its_end(self, step: Coroutine[Any, Any, _T], name: str) -> _T:
        """Return what comes of a step: who is cancelled must not part what is on disk from what is delivered."""
        task = asyncio.create_task(step, name=name)
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)
        return await asyncio.shield(task)
