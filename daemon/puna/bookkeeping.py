"""What is counted in memory goes to the disk every other second, in one transaction for all of it."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from puna.errors import PunaError
from puna.keys.ring import KeyRing
from puna.keys.table import write_uses
from puna.limits.limiter import Limiter, UsageCount
from puna.store.database import Database
from puna.store.usage_counts import write_counts

_log = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""What a power cut may cost: counts and times of the last use, no more."""


class _Changes(NamedTuple):
    uses: dict[str, int]
    counts: list[UsageCount]
    now: float


class Bookkeeper:
    """Writes when keys were used, and how often in long windows. No request waits for it."""

    def __init__(
        self, database: Database, keys: KeyRing, limits: Limiter, clock: Callable[[], float]
    ) -> None:
        """`clock` gives seconds since 1970."""
        self._database = database
        self._keys = keys
        self._limits = limits
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, now and then."""
        self._task = asyncio.create_task(self._run(), name="bookkeeper")

    async def close(self) -> None:
        """Write what is left and end. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.write()

    async def write(self) -> None:
        """Write what has changed. A failure goes to the log only."""
        changes = _Changes(self._keys.take_uses(), self._limits.take_changes(), self._clock())
        if not changes.uses and not changes.counts:
            return
        try:
            await self._database.run(partial(_write, changes=changes))
        except Exception as error:  # noqa: BLE001 - nothing may end the books but `close`
            is_ours = isinstance(error, PunaError)
            _log.warning("usage is not recorded: %s", error, exc_info=None if is_ours else error)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.write()


def _write(connection: sqlite3.Connection, changes: _Changes) -> None:
    write_uses(connection, changes.uses)
    write_counts(connection, changes.counts, changes.now)
