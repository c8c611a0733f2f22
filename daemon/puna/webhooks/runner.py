"""The owner of all deliveries that have not ended: one task that begins attempts and writes what came of them."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

import puna
from puna.errors import PunaError
from puna.webhooks.backlog import Backlog, Limits, Pending
from puna.webhooks.message import to_message
from puna.webhooks.outcome import Answered, Result, failure_of
from puna.webhooks.ports import Landing, Open, Sender, WebhookStore
from puna.webhooks.records import Attempt
from puna.webhooks.schedule import JITTER, LONGEST_S, Again, Delivered, GivenUp, Gone, Schedule, pause_after

_log = logging.getLogger(__name__)

_TICK_S = 60.0
"""How often the clock is looked at at least: the machine may have slept, or its clock have been set."""
_DISK_RETRY_S = 2.0
"""How long nothing is sent after the disk failed: what cannot be recorded would be sent again and again."""
_SWEEP_S = 3600.0
_CLOSING_GRACE_S = 2.0
"""How long attempts under way may end when the daemon stops; those that do not are made again."""


class RunnerOptions(Struct, frozen=True, kw_only=True):
    """How deliveries are made."""

    schedule: Schedule = Schedule()
    limits: Limits = Limits()


class DeliveryRunner:
    """Called from the event loop only. An attempt counts once it is on disk; before, it may be made again."""

    def __init__(
        self,
        store: WebhookStore,
        sender: Sender,
        options: RunnerOptions,
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`now` gives seconds since 1970, `chance` a random number from 0 to below 1."""
        self._store = store
        self._sender = sender
        self._schedule = options.schedule
        self._now = now
        self._chance = chance
        self._backlog = Backlog(options.limits)
        self._flights: dict[int, asyncio.Task[Landing | None]] = {}
        self._landed: list[Landing] = []
        self._wake = asyncio.Event()
        self._paused_until_s = -math.inf
        self._next_sweep_s = -math.inf
        self._is_closing = False

    @property
    def backlog(self) -> Backlog:
        """The deliveries, to be looked at only."""
        return self._backlog

    def take_up(self, left: Open) -> None:
        """Go on with what an earlier run left on disk."""
        # A clock that was wrong when a time was written must not hold up a message for years.
        latest_s = self._now() + LONGEST_S * (1 + JITTER)
        self.take_in(replace(each, due_s=min(each.due_s, latest_s)) for each in left.pending)
        for receiver, until_s in left.pauses:
            self._backlog.pause(receiver, min(until_s, latest_s))

    def take_in(self, pending: Iterable[Pending]) -> None:
        """Begin to deliver what is on disk."""
        for each in pending:
            self._backlog.add(each)
        self._wake.set()

    def drop(self, delivery_ids: Iterable[int]) -> None:
        """Try these no more; attempts under way may end."""
        self._backlog.forget(delivery_ids)

    def forget(self, webhook_id: str) -> None:
        """Send a webhook nothing any more, and break off what is under way."""
        waiting, in_flight = self._backlog.of_webhook(webhook_id)
        self._backlog.forget(waiting)
        for delivery_id in in_flight:
            if delivery_id in self._flights:
                self._flights[delivery_id].cancel()

    def wake(self) -> None:
        """Look at the clock now."""
        self._wake.set()

    def close(self) -> None:
        """Ask `run` to return."""
        self._is_closing = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `close`."""
        while not self._is_closing:
            await self._try_step()
            await self._sleep()
        await self._end_flights()
        try:
            await self._write()
        except PunaError as error:
            _log.warning("the last attempts are made again after the next start: %s", error.message)

    async def _try_step(self) -> None:
        self._wake.clear()
        try:
            await self._step()
        except Exception as error:  # noqa: BLE001 - nothing may end the owner but `close`
            self._pause(error)

    async def _step(self) -> None:
        await self._write()
        if self._clock() >= self._paused_until_s:
            self._start_flights()
        await self._sweep()

    async def _sleep(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._idle_s()):
                await self._wake.wait()

    def _idle_s(self) -> float:
        """Return how long nothing is to do, unless something happens."""
        pause_s = self._paused_until_s - self._clock()
        if pause_s > 0:
            return pause_s
        return max(
            0.0, min(self._backlog.next_s() - self._now(), self._next_sweep_s - self._clock(), _TICK_S)
        )

    # Attempts

    def _start_flights(self) -> None:
        while not self._is_closing and (pending := self._backlog.take(self._now())) is not None:
            flight = asyncio.create_task(self._attempt(pending), name=f"delivery {pending.id}")
            self._flights[pending.id] = flight
            flight.add_done_callback(partial(self._end_flight, pending))

    async def _attempt(self, pending: Pending) -> Landing | None:
        parcel = await self._store.parcel(pending.id)
        if parcel is None:
            return None
        began_at, began_s = self._now(), self._clock()
        result = await self._sender.send(to_message(parcel, now_s=began_at, version=puna.__version__))
        return self._judge(pending, result, began_at=began_at, duration_s=self._clock() - began_s)

    def _judge(self, pending: Pending, result: Result, *, began_at: float, duration_s: float) -> Landing:
        verdict = self._schedule.decide(result, attempts=pending.attempts + 1, chance=self._chance())
        now_s = self._now()
        return Landing(
            pending=pending,
            attempt=Attempt(
                began_at=round(began_at, 3),
                duration_s=round(duration_s, 3),
                status=result.status if isinstance(result, Answered) else None,
                failure=failure_of(result),
            ),
            verdict=verdict,
            due_s=now_s + verdict.after_s if isinstance(verdict, Again) else now_s,
            paused_until_s=now_s + pause_after(result),
        )

    def _end_flight(self, pending: Pending, flight: "asyncio.Task[Landing | None]") -> None:
        del self._flights[pending.id]
        self._wake.set()
        if flight.cancelled():
            self._backlog.land(pending.id, is_delivered=None)
        elif (error := flight.exception()) is not None:
            self._backlog.land(pending.id, is_delivered=None)
            self._backlog.add(pending)
            self._pause(error)
        elif (landing := flight.result()) is not None:
            # Its place is free once it is on disk: while that fails, nothing more is sent.
            self._landed.append(landing)
        else:
            self._backlog.land(pending.id, is_delivered=None)

    async def _end_flights(self) -> None:
        flights = list(self._flights.values())
        if flights:
            await asyncio.wait(flights, timeout=_CLOSING_GRACE_S)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await asyncio.sleep(0)  # their callbacks run

    # What came of them

    async def _write(self) -> None:
        """Put on disk, in one go, which attempts have ended, and act on them afterwards."""
        landings = tuple(self._landed)
        if not landings:
            return
        await self._store.record(landings)
        del self._landed[: len(landings)]
        for landing in landings:
            self._apply(landing)

    def _apply(self, landing: Landing) -> None:
        pending, verdict = landing.pending, landing.verdict
        self._backlog.land(pending.id, is_delivered=isinstance(verdict, Delivered))
        self._backlog.pause(pending.receiver, landing.paused_until_s)
        _tell(landing)
        if isinstance(verdict, Again):
            self._backlog.add(replace(pending, due_s=landing.due_s, attempts=pending.attempts + 1))
        elif isinstance(verdict, Gone):
            self.forget(pending.webhook_id)

    async def _sweep(self) -> None:
        if self._clock() < self._next_sweep_s:
            return
        self._next_sweep_s = self._clock() + _SWEEP_S
        self._backlog.tidy(self._now())
        await self._store.sweep()

    def _pause(self, error: BaseException) -> None:
        self._paused_until_s = self._clock() + _DISK_RETRY_S
        is_ours = isinstance(error, PunaError)
        _log.warning("webhooks wait: %s", error, exc_info=None if is_ours else error)

    @staticmethod
    def _clock() -> float:
        """Return monotonic seconds."""
        return asyncio.get_running_loop().time()


def _tell(landing: Landing) -> None:
    """Write to the log what a person may look for there; the delivery log has the rest."""
    pending = landing.pending
    match landing.verdict:
        case GivenUp(failure):
            _log.warning("delivery %d to %s is given up: %s", pending.id, pending.webhook_id, failure)
        case Gone(failure):
            _log.warning("the webhook %s is disabled: %s", pending.webhook_id, failure)
        case _:
            pass
