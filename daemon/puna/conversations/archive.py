"""Stored answers: written once, read by their owner, forgotten when they are old or too many.

An `owner` is an organisation's id, or empty for programs of this machine that send no key; where one asks as
`None`, everybody's are found (the admin does). What belongs to somebody else is not there.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Self

from puna.config import Settings
from puna.conversations import table
from puna.conversations.records import StoredItem, StoredResponse
from puna.store.database import Database

_DAY_S = 86_400


class Archive:
    """All stored answers of one database. Every method raises `StoreError` when the disk fails."""

    def __init__(
        self, database: Database, *, keep_s: float, limit: int, now: Callable[[], float] = time.time
    ) -> None:
        """An answer older than `keep_s` is gone, and so is the oldest of more than `limit` of one owner.

        `now` gives seconds since 1970.
        """
        self._database = database
        self._keep_s = keep_s
        self._limit = limit
        self._now = now

    @classmethod
    def of_settings(cls, settings: Settings, database: Database) -> Self:
        """Return the archive of the daemon."""
        return cls(database, keep_s=settings.response_keep_days * _DAY_S, limit=settings.response_limit)

    async def add(self, response: StoredResponse) -> None:
        """Keep an answer; it is on disk when this returns. What is old or too many goes."""
        await self._database.run(
            partial(
                table.add,
                response=response,
                now_s=self._now(),
                oldest_s=self._oldest_s,
                limit=self._limit,
            )
        )

    async def body(self, response_id: str, owner: str | None) -> bytes | None:
        """Return an answer as its client got it."""
        return await self._database.run(
            partial(table.select_body, response_id=response_id, owner=owner, oldest_s=self._oldest_s)
        )

    async def inputs(self, response_id: str, owner: str | None) -> Sequence[StoredItem] | None:
        """Return what the model was given."""
        return await self._items(response_id, owner, has_outputs=False)

    async def conversation(self, response_id: str, owner: str | None) -> Sequence[StoredItem] | None:
        """Return what the model was given and what it answered: what a next turn goes on from."""
        return await self._items(response_id, owner, has_outputs=True)

    async def items(self, ids: Collection[str], owner: str | None) -> Mapping[str, StoredItem]:
        """Return the items with these ids, those that are there; of several with one id the newest."""
        return await self._database.run(
            partial(table.select_by_ids, ids=ids, owner=owner, oldest_s=self._oldest_s)
        )

    async def remove(self, response_id: str, owner: str | None) -> bool:
        """Forget an answer; later turns of its conversation keep what they need. False where there is none."""
        return await self._database.run(
            partial(table.remove, response_id=response_id, owner=owner, oldest_s=self._oldest_s)
        )

    async def remove_expired(self) -> None:
        """Forget what is too old. New answers do it too; this is for a start after a long time."""
        await self._database.run(partial(table.remove_older, oldest_s=self._oldest_s))

    async def _items(
        self, response_id: str, owner: str | None, *, has_outputs: bool
    ) -> Sequence[StoredItem] | None:
        return await self._database.run(
            partial(
                table.select_items,
                response_id=response_id,
                owner=owner,
                oldest_s=self._oldest_s,
                has_outputs=has_outputs,
            )
        )

    @property
    def _oldest_s(self) -> float:
        return self._now() - self._keep_s
