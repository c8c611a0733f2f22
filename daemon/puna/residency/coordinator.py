"""The one owner of what is in memory: loads, shares, reloads and unloads models."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from puna.domain.models import ModelEntry, ModelKind
from puna.errors import NoModelLoadedError, OverloadedError
from puna.residency.arrivals import Arrivals
from puna.residency.departures import Departures
from puna.residency.kinds import check_kind
from puna.residency.lease import Lease
from puna.residency.ledger import Ledger
from puna.residency.place import Place, Resident
from puna.residency.policy import Decision, Situation, decide
from puna.residency.ports import Catalogue, Launcher, Memory, Worker
from puna.residency.refusals import RETRY_AFTER_S, to_error, too_long_queue, waited_in_vain
from puna.residency.ticket import Ticket

ROOM_TIMEOUT_S = 50.0
"""How long a request waits for room that others use, before it is told to come again: clients give up after 60 s."""


class LoadOutcome(Struct, frozen=True):
    """What a load came to."""

    entry: ModelEntry
    already_loaded: bool


class Coordinator:
    """Called from the event loop only. Every method may be called at any time; loads are single-flight.

    Whatever happens ends in `settle`, which asks the policy what to do now and does it. Models come by `Arrivals` and
    go by `Departures`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        launcher: Launcher,
        memory: Memory,
        *,
        default_model: str | None,
        max_loaded_models: int,
        queue_limit: int,
        idle_timeout_s: float = math.inf,
        room_timeout_s: float = ROOM_TIMEOUT_S,
    ) -> None:
        """A model leaves memory after `idle_timeout_s` without a lease, unless its last request wished otherwise."""
        self._catalogue = catalogue
        self._memory = memory
        self._default_model = default_model
        self._limit = max_loaded_models
        self._queue_limit = queue_limit
        self._idle_timeout_s = idle_timeout_s
        self._room_timeout_s = room_timeout_s
        self._ledger = Ledger()
        self._places: dict[str, Place] = {}
        self._departures = Departures(self._ledger, self._look_again)
        self._arrivals = Arrivals(self, launcher, memory, self._ledger, self._departures)
        self._decision = Decision()
        self._current: str | None = None
        self._adapter: ModelEntry | None = None
        self._clock = itertools.count(1)
        self._is_stopping = False
        self._is_closed = False

    @asynccontextmanager
    async def acquire(
        self,
        model: str | None,
        *,
        kind: ModelKind = ModelKind.TEXT,
        keep_alive_s: float | None = None,
    ) -> AsyncIterator[Lease]:
        """Hold a model in memory, loading it first where needed; None is the current or the default one.

        An adapter is held in the place of its base.

        `keep_alive_s` is how long it stays afterwards, infinity for ever: it is pinned then, until another request
        says otherwise. None is the setting. Raises `ModelNotFoundError`, `NoModelLoadedError`, `ModelLoadError`,
        `WorkerDiedError`, `OverloadedError`, or `InvalidRequestError` for a model of another kind.
        """
        entry, place = await self._find(model, kind)
        worker = await self._obtain(place)
        try:
            yield Lease(entry, place, worker, self._queue_limit)
        finally:
            self._give_back(place, keep_alive_s)

    async def load(self, model: str) -> LoadOutcome:
        """Load a model and make it the current one; returns when it is ready. Errors as in `acquire`.

        One that was given up, because its worker kept dying, gets another chance.
        """
        entry, place = await self._find(model)
        already_loaded = place.is_ready
        place.deaths = 0
        await self._obtain(place)
        self._current = place.entry.id
        self._adapter = entry if entry.adapter else None
        self._give_back(place, None)
        return LoadOutcome(entry, already_loaded)

    async def unload(self, model: str | None = None) -> ModelEntry | None:
        """Free a model, the current one by default; its open requests fail. None when it is not loaded.

        The name of an adapter frees its base, with all others that stand on it. Raises `ModelNotFoundError` for a
        name that is no model.
        """
        name = model or self._current
        if name is None:
            return None
        model_id = await self._resident_id(name)
        place = self._places.pop(model_id, None)
        if place is None:
            return None
        if self._current == model_id:
            self._current = self._adapter = None
        await self._free(place)
        return place.entry

    async def let_go(self, model: str) -> None:
        """Free a model: at once where it is idle, else as soon as all who use it or wait for it now are served.

        Whatever `keep_alive` these wish. Raises `ModelNotFoundError` for a name that is no model.
        """
        model_id = await self._resident_id(model)
        place = self._places.get(model_id)
        if place is not None and (place.leases or place.tickets):
            place.is_unwanted = True
        else:
            await self.unload(model_id)

    async def _resident_id(self, name: str) -> str:
        return name if name in self._places else (await self._catalogue.find(name)).resident_id

    @property
    def current(self) -> Resident | None:
        """The model that requests without a name get, when it is in memory or on its way; an adapter as itself."""
        place = self._places.get(self._current) if self._current else None
        if place is None:
            return None
        adapter = self._current_adapter
        return replace(place.snapshot(), entry=adapter) if adapter else place.snapshot()

    @property
    def _current_adapter(self) -> ModelEntry | None:
        """The adapter that was loaded last, as long as its base is the current model."""
        return self._adapter if self._adapter and self._adapter.base == self._current else None

    @property
    def ledger(self) -> Ledger:
        """What each device has, and what is claimed of it. For reading only."""
        return self._ledger

    def residents(self) -> tuple[Resident, ...]:
        """Return all models in memory, on their way, or failed since their last use; of adapters, their bases."""
        return tuple(place.snapshot() for place in self._places.values())

    def refuse_new_work(self) -> None:
        """Answer from now on with `OverloadedError`; what runs goes on."""
        self._is_stopping = True

    async def close(self) -> None:
        """Cancel loads and end all workers; new requests get `OverloadedError`. Idempotent."""
        self._is_stopping = self._is_closed = True
        places = list(self._places.values())
        self._places.clear()
        await asyncio.gather(*(self._free(place) for place in places), self._departures.wait())

    # Requests: each takes a ticket, and gets its lease from `settle`.

    async def _find(self, model: str | None, kind: ModelKind | None = None) -> tuple[ModelEntry, Place]:
        """Return what a name means, and the place in which it answers: an adapter's is that of its base."""
        adapter = self._current_adapter
        name = model or (adapter.id if adapter else self._current) or self._default_model
        if name is None:
            raise NoModelLoadedError(
                "No model is currently loaded. Please load a model first using POST /models/load."
            )
        self._check_open()
        entry = await self._entry_of(name)
        if kind is not None:
            check_kind(entry, kind)
        if model is None and self._current is None:
            self._adapter = entry if entry.adapter else None
        own = await self._entry_of(entry.base) if entry.base else entry
        place = self._places.setdefault(own.id, Place(own))
        if not place.is_underway:
            place.entry = own  # the file may be another one than the last time
        return entry, place

    async def _entry_of(self, name: str) -> ModelEntry:
        place = self._places.get(name)
        is_there = place is not None and place.is_underway
        return place.entry if place and is_there else await self._catalogue.find(name)

    async def _obtain(self, place: Place) -> Worker:
        """Return the model's worker with a lease on it, which `_give_back` ends."""
        self._check_open()
        if sum(len(each.tickets) for each in self._places.values()) >= self._queue_limit:
            self._forget(place)
            raise too_long_queue(self._queue_limit)
        ticket = self._queue_up(place)
        try:
            return await ticket.wait()
        except BaseException:
            self._withdraw(place, ticket)
            raise
        finally:
            if ticket.timer is not None:
                ticket.timer.cancel()

    def _check_open(self) -> None:
        if self._is_stopping:
            raise OverloadedError("Puna is stopping.", retry_after_s=RETRY_AFTER_S)

    def _queue_up(self, place: Place) -> Ticket:
        ticket = Ticket(next(self._clock))
        place.tickets.append(ticket)
        self.settle()
        if ticket.is_open:
            self._have_patience(place, ticket)
        return ticket

    def _have_patience(self, place: Place, ticket: Ticket) -> None:
        loop = asyncio.get_running_loop()
        ticket.timer = loop.call_later(self._room_timeout_s, self._lose_patience, place, ticket)

    def _withdraw(self, place: Place, ticket: Ticket) -> None:
        """The request leaves the queue, perhaps in the moment in which it was let in."""
        if ticket in place.tickets:
            place.tickets.remove(ticket)
        if ticket.is_granted:
            self._give_back(place, None)
        self.settle()

    def _lose_patience(self, place: Place, ticket: Ticket) -> None:
        """A load that has begun may take its own time; what waits for room has waited long enough.

        After a load that a GPU did not take it may wait for room again.
        """
        is_loading = place.seat is not None and not place.is_ready
        if ticket.is_open and is_loading:
            self._have_patience(place, ticket)
        elif ticket.is_open:
            busy = [each.entry.id for each in self._places.values() if each.leases and each is not place]
            ticket.fail(waited_in_vain(place.entry.id, self._room_timeout_s, busy))

    def _give_back(self, place: Place, keep_alive_s: float | None) -> None:
        place.leases -= 1
        self._let_rest(place, keep_alive_s)
        self.settle()

    # What is to be done now.

    def settle(self) -> None:
        """Let requests in, begin loads and evict models, as the policy says. May be called at any time."""
        if self._is_closed:
            return
        self._drop_lost_connections()
        self._let_in()
        self._decision = decision = decide(self._situation())
        for model_id, plan in decision.loads:
            self._arrivals.give_seat(self._places[model_id], plan)
        for model_id, refusal in decision.refusals:
            error = to_error(model_id, refusal, limit=self._limit)
            self._arrivals.refuse(self._places[model_id], error)
        for model_id in decision.evictions:
            self._evict_for(decision.head, self._places[model_id])
        self._let_in()
        self._begin_loads()

    def _drop_lost_connections(self) -> None:
        """Let go of engines elsewhere that were lost; nobody tells when that happens."""
        for place in self._places.values():
            seat = place.seat
            if seat is not None and seat.is_lost and not seat.plan.takes_place:
                place.seat = None
                self._departures.begin(seat, place.entry.id)

    def _situation(self) -> Situation:
        places = self._places.values()
        return Situation(
            capacity=self._ledger.capacity,
            occupants=[occupant for place in places if (occupant := place.occupant)],
            leaving=self._departures.claims(),
            wants=[want for place in places if (want := place.want)],
            limit=self._limit,
        )

    def _let_in(self) -> None:
        """Give leases to those who need not wait for somebody who came before them."""
        for place in list(self._places.values()):
            is_drained = place.entry.id in self._decision.drained
            if place.seat is None or not place.seat.is_ready:
                continue
            worker = place.seat.worker
            assert worker is not None
            for ticket in list(place.tickets):
                if not is_drained or ticket.number < max(self._decision.drained_since, place.turn):
                    place.tickets.remove(ticket)
                    self._lend(place, worker, ticket)

    def _lend(self, place: Place, worker: Worker, ticket: Ticket) -> None:
        if ticket.is_open:
            place.leases += 1
            place.last_used = next(self._clock)
            place.stop_expiry()
            ticket.grant(worker)

    def _evict_for(self, head: str | None, place: Place) -> None:
        if head is not None and self._current == place.entry.id:
            self._places[head].becomes_current = True
        self._evict(place)

    def _begin_loads(self) -> None:
        for place in list(self._places.values()):
            if place.tickets and place.seat is None and place.bringing is None:
                place.is_unwanted = False
                self._arrivals.begin(place)
            elif not place.tickets and place.fit is not None:
                self._arrivals.give_up(place)

    def note_ready(self, place: Place) -> None:
        """A worker has loaded; for the arrivals."""
        place.turn = next(self._clock)
        if place.becomes_current or self._current is None:
            self._current = place.entry.id
        place.becomes_current = False

    def note_end(self, place: Place) -> None:
        """A load is over; for the arrivals."""
        if place.is_ready and not place.leases and place.expiry is None:
            self._let_rest(place, None)
        self._forget(place)

    # Leaving memory.

    def _let_rest(self, place: Place, keep_alive_s: float | None) -> None:
        """Let an idle model go after its time; a new lease stops the clock. A pin stays until a request says more."""
        if keep_alive_s is not None or not place.is_pinned:
            place.is_pinned = keep_alive_s == math.inf
            place.keep_alive_s = self._idle_timeout_s if keep_alive_s is None else keep_alive_s
        if place.is_unwanted:
            place.is_pinned, place.keep_alive_s = False, 0.0
        place.stop_expiry()
        if not place.leases and not math.isinf(place.keep_alive_s):
            loop = asyncio.get_running_loop()
            place.expiry = loop.call_later(place.keep_alive_s, self._expire, place)

    def _expire(self, place: Place) -> None:
        place.expiry = None
        if place.is_ready and not place.leases and not place.tickets:
            self._evict(place)
            self.settle()

    def _evict(self, place: Place) -> None:
        """Take an idle model out of memory; requests that wait for it bring it back in their turn."""
        assert place.seat is not None
        assert not place.leases
        place.stop_expiry()
        seat, place.seat = place.seat, None
        place.is_pinned = place.is_unwanted = False
        self._departures.begin(seat, place.entry.id)
        self._forget(place)

    def _forget(self, place: Place) -> None:
        if place.is_needless and self._places.get(place.entry.id) is place:
            del self._places[place.entry.id]

    async def _look_again(self) -> None:
        """A worker is gone: see what memory there is now, and who may use it."""
        try:
            if not self._is_closed:
                self._ledger.observe(await self._memory.read())
        finally:
            self.settle()

    async def _free(self, place: Place) -> None:
        """Take a model out of memory, whatever it does."""
        place.stop_expiry()
        place.fail_tickets(
            OverloadedError("The model was unloaded while it was loading.", retry_after_s=RETRY_AFTER_S)
        )
        if place.seat is not None:
            self._departures.announce(place.seat)
        if place.bringing is not None:
            await self._departures.cancel(place.bringing)
        if place.seat is not None:
            seat, place.seat = place.seat, None
            await self._departures.close(seat, place.entry.id)
