"""Workers on their way out of memory. A claim is given back when its worker is gone, not before."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from puna.residency.ledger import Ledger
from puna.residency.seat import Seat


class Departures:
    """Part of the coordinator, of one event loop."""

    def __init__(self, ledger: Ledger, after: Callable[[], Awaitable[None]]) -> None:
        """`after` is run when a worker is gone and its claim is given back."""
        self._ledger = ledger
        self._after = after
        self._seats: set[Seat] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def claims(self) -> list[Mapping[str, int]]:
        """Return what the workers claim that are not gone yet."""
        return [seat.claim for seat in self._seats if seat.plan.takes_place]

    def announce(self, seat: Seat) -> None:
        """Count a seat as leaving, whose worker or load is about to be ended."""
        self._seats.add(seat)
        self._ledger.note_leaving(seat.claim_number)

    def drop(self, seat: Seat) -> None:
        """Give back the claim of a seat that never had a worker, or has it no more. Idempotent."""
        self._seats.discard(seat)
        self._ledger.release(seat.claim_number)

    def begin(self, seat: Seat, name: str) -> None:
        """End a worker in the background: nobody waits for it."""
        self._begin(seat, name)

    async def cancel(self, load: asyncio.Task[None]) -> None:
        """End a load, and return when it has left nothing behind."""
        load.cancel()
        self._remember(load)
        await asyncio.wait([load])

    async def close(self, seat: Seat, name: str) -> None:
        """End a worker, and return when it is gone. Who is cancelled meanwhile leaves that to the background."""
        await asyncio.shield(self._begin(seat, name))

    def _begin(self, seat: Seat, name: str) -> asyncio.Task[None]:
        self.announce(seat)
        task = asyncio.create_task(self._close(seat), name=f"free {name}")
        self._remember(task)
        return task

    def _remember(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self, seat: Seat) -> None:
        try:
            if seat.watch is not None:
                seat.watch.cancel()
            if seat.worker is not None:
                await seat.worker.close()
        finally:
            self.drop(seat)
        await self._after()

    async def wait(self) -> None:
        """Return when all that was begun in the background is over, well or not."""
        if self._tasks:
            await asyncio.wait(self._tasks)
