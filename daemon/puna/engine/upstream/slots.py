"""How many requests an engine gets at the same time, and who is next."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from puna.domain.generation import Priority


class NoSlotError(Exception):
    """No place was free in time."""


class Slots:
    """A bounded number of places. Somebody who waits for an answer goes before the tasks of jobs."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._busy = 0
        self._queues: dict[Priority, deque[asyncio.Future[None]]] = {
            Priority.INTERACTIVE: deque(),
            Priority.BACKGROUND: deque(),
        }

    @property
    def busy(self) -> int:
        """Places that are taken."""
        return self._busy

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def take(self, priority: Priority, *, timeout_s: float) -> AsyncIterator[None]:
        """Hold a place. Raises `NoSlotError`."""
        await self._enter(priority, timeout_s)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, priority: Priority, timeout_s: float) -> None:
        if self._busy < self._count:
            self._busy += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queues[priority].append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()
            else:
                self._queues[priority].remove(turn)
            if isinstance(error, TimeoutError):
                raise NoSlotError from None
            raise

    def _leave(self) -> None:
        """Hand the place to the next one, who need not be awake yet."""
        for queue in self._queues.values():
            # Those who were cancelled take themselves out when they wake up.
            turn = next((each for each in queue if not each.done()), None)
            if turn is not None:
                queue.remove(turn)
                turn.set_result(None)
                return
        self._busy -= 1
