"""What webhooks need of the world. All of it is called from the event loop only."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from puna.domain.finetune_events import FinetuneEvent
from puna.webhooks.backlog import Pending
from puna.webhooks.outcome import Result
from puna.webhooks.records import Attempt, Delivery, NewWebhook, Webhook, WebhookWish
from puna.webhooks.schedule import Verdict

_T = TypeVar("_T")


class Message(Struct, frozen=True, kw_only=True):
    """One request to a receiver, signed."""

    url: str
    headers: dict[str, str]
    body: bytes


class Parcel(Struct, frozen=True, kw_only=True):
    """What an attempt needs of the disk."""

    url: str
    secret: str
    message_id: str
    body: bytes

    def __repr__(self) -> str:
        """Return it without the secret, and without the URL, which may hold one too: this may end up in a log."""
        return f"Parcel({self.message_id})"


class Landing(Struct, frozen=True, kw_only=True):
    """An attempt is over."""

    pending: Pending
    attempt: Attempt
    verdict: Verdict
    due_s: float
    """When the next attempt comes, where the verdict is `Again`."""
    paused_until_s: float
    """Until then the receiver gets nothing; in the past where it asked for no pause."""


class Published(Struct, frozen=True, kw_only=True):
    """An event is on disk."""

    pending: tuple[Pending, ...] = ()
    """Its deliveries; none where the event had been published before."""
    given_up: tuple[int, ...] = ()
    """Older deliveries for which there was no room any more."""


class Open(Struct, frozen=True, kw_only=True):
    """What an earlier run left."""

    pending: tuple[Pending, ...]
    pauses: tuple[tuple[str, float], ...]
    """Receivers, and until when they get nothing."""


class Transactions(Protocol):
    """The database; `puna.store.database.Database` is the real one."""

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run the function in one transaction. Raises `PunaError` where the disk fails."""
        ...


class WebhookStore(Protocol):
    """Webhooks and deliveries on disk. What a method wrote is there when it returns; `PunaError` where that failed.

    `organisation_id` None stands for the user of this machine, to whom all organisations belong.
    """

    async def add(self, wish: WebhookWish) -> NewWebhook:
        """Make a webhook. Raises `InvalidRequestError` where the organisation has too many."""
        ...

    async def list(self, organisation_id: str | None) -> Sequence[Webhook]:
        """Return webhooks, the oldest first."""
        ...

    async def get(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        """Return one. Raises `NotFoundError`."""
        ...

    async def remove(self, organisation_id: str | None, webhook_id: str) -> Webhook:
        """Forget a webhook with its secret and its deliveries, and return it. Raises `NotFoundError`."""
        ...

    async def publish(self, event: FinetuneEvent) -> Published:
        """Keep an event and its deliveries, all or nothing; one that is kept already changes nothing."""
        ...

    async def open(self) -> Open:
        """Return the deliveries that have not ended."""
        ...

    async def parcel(self, delivery_id: int) -> Parcel | None:
        """Return what an attempt needs; None where the delivery has ended, or its webhook is gone."""
        ...

    async def record(self, landings: Sequence[Landing]) -> None:
        """Keep what came of attempts: all or nothing. Deliveries that have ended stay as they are."""
        ...

    async def deliveries(self, webhook_id: str, limit: int) -> Sequence[Delivery]:
        """Return the last deliveries of a webhook, the newest first."""
        ...

    async def sweep(self) -> int:
        """Forget deliveries that ended long ago, and those of a webhook beyond so many; returns how many."""
        ...


class Sender(Protocol):
    """Sends messages; `puna.webhooks.sender.HttpSender` is the real one."""

    async def send(self, message: Message) -> Result:
        """Return what came of it, within a bounded time. Cancelling it closes the connection. Raises nothing."""
        ...
