"""A disk with webhooks on it, events to publish, and a sender that answers as it is told."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fakes.virtual_time import now_s
from puna.domain.finetune_events import FinetuneCompleted, FinetuneFailed
from puna.errors import StoreError
from puna.store.database import Database
from puna.webhooks.lookup import LookupFailedError
from puna.webhooks.outcome import Answered, Result
from puna.webhooks.payload import EventType
from puna.webhooks.ports import Message
from puna.webhooks.records import WebhookWish

_T = TypeVar("_T")

BEGAN_AT = 1_767_323_045.0
"""When the virtual time of tests begins, in seconds since 1970."""


class ImmediateDatabase:
    """The real database without the wait for its thread: in virtual time nobody may wait for anything real."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.is_full = False

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do it whole: as with the real one, cancelling the caller does not stop the work."""
        return await asyncio.shield(asyncio.create_task(self._run(work)))

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        await asyncio.sleep(0)
        if self.is_full:
            raise StoreError("The disk is full.")
        return self.database.run_blocking(work)


def organisation_of(database: Database) -> str:
    """Return the id of the default organisation."""
    return database.run_blocking(
        lambda connection: str(connection.execute("SELECT id FROM organisations").fetchone()[0])
    )


def wish_of(organisation_id: str, url: str, *events: EventType) -> WebhookWish:
    return WebhookWish(organisation_id=organisation_id, url=url, events=events or tuple(EventType))


def completed(organisation_id: str, job_id: str = "job_1", at_s: float = BEGAN_AT) -> FinetuneCompleted:
    return FinetuneCompleted(
        job_id=job_id,
        organisation_id=organisation_id,
        model_id="ft_model_12345",
        training_time_s=180.5,
        ended_at=at_s,
    )


def failed(organisation_id: str, job_id: str = "job_1") -> FinetuneFailed:
    return FinetuneFailed(
        job_id=job_id,
        organisation_id=organisation_id,
        model_id="ft_model_12345",
        error="The disk is full.",
        ended_at=BEGAN_AT,
    )


Script = Callable[[Message], Result | Awaitable[Result]]


class ScriptedSender:
    """Notes when what was sent, in virtual time; everything is answered 204 unless `script` says otherwise."""

    def __init__(self) -> None:
        self.script: Script = lambda _: Answered(status=204)
        self.sent: list[tuple[float, Message]] = []
        self.under_way = 0
        self.most_under_way = 0

    @property
    def times_s(self) -> list[float]:
        return [at_s for at_s, _ in self.sent]

    async def send(self, message: Message) -> Result:
        self.sent.append((now_s(), message))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = self.script(message)
            return answer if isinstance(answer, Result) else await answer
        finally:
            self.under_way -= 1


class Names:
    """A resolver that knows a few names, and counts who asks."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses: dict[str, Sequence[str]] = dict(addresses)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host in self.addresses:
            return self.addresses[host]
        if host.replace(".", "").isdecimal() or ":" in host:
            return (host,)
        raise LookupFailedError(f"The name {host} has no address.")
