"""One request's place in the queue for a model."""

import asyncio

from puna.errors import PunaError
from puna.residency.ports import Worker


class Ticket:
    """Waits until its model may be used. Numbers only grow: smaller is longer ago."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._granted: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None
        """When it has waited long enough for room."""

    @property
    def is_open(self) -> bool:
        """Whether nothing has come of it yet, and somebody waits for it."""
        return not self._granted.done()

    @property
    def is_granted(self) -> bool:
        """Whether it got its lease, wanted or not."""
        done = self._granted.done() and not self._granted.cancelled()
        return done and self._granted.exception() is None

    async def wait(self) -> Worker:
        """Return the worker. Raises what `fail` was given."""
        return await self._granted

    def grant(self, worker: Worker) -> None:
        """Let the request in."""
        self._granted.set_result(worker)

    def fail(self, error: PunaError) -> None:
        """Turn the request away."""
        if self.is_open:
            self._granted.set_exception(error)
