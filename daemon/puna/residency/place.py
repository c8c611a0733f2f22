"""A model that somebody wants in memory, as the coordinator keeps it, and as others may see it."""

import asyncio
import math

from msgspec import Struct

from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, ModelState, WorkerStatus
from puna.errors import PunaError
from puna.residency.policy import Fit, Occupant, Want
from puna.residency.seat import Seat
from puna.residency.ticket import Ticket


class Resident(Struct, frozen=True, kw_only=True):
    """A snapshot of one model that is in memory, on its way there, or failed to get there."""

    entry: ModelEntry
    state: ModelState
    progress: float
    loaded: LoadedModel | None
    status: WorkerStatus
    error: str | None
    idle_s_left: float | None
    """Seconds until the model leaves memory if nobody asks for it; None where it stays."""
    plan: LoadPlan | None = None
    """What it takes of each device, and why it gets not more; None while it has no room."""
    is_pinned: bool = False
    """Whether it stays until somebody unloads it."""
    waiting_requests: int = 0
    """Requests that wait for the model to be loaded."""
    deaths: int = 0
    """How often its worker died in a row, without an answer between."""


class Place:
    """The coordinator's own record of a model. Only the coordinator and its leases touch it."""

    def __init__(self, entry: ModelEntry) -> None:
        self.entry = entry
        self.seat: Seat | None = None
        self.bringing: asyncio.Task[None] | None = None
        """Checks the file, waits for room and loads; there is one at a time."""
        self.fit: Fit | None = None
        """How it could be loaded, while it waits for room."""
        self.seated: asyncio.Future[Seat] | None = None
        """Done when it gets room."""
        self.tickets: list[Ticket] = []
        self.progress = 0.0
        self.error: str | None = None
        self.deaths = 0
        self.last_death = ""
        """How its worker died the last time."""
        self.last_death_s = 0.0
        self.leases = 0
        self.open_requests = 0
        self.last_used = 0
        self.turn = 0
        """Whoever queued up before this number is let in, even if the model is to leave for somebody else then."""
        self.keep_alive_s = math.inf
        self.is_pinned = False
        self.is_unwanted = False
        """Whether somebody asked for it to go as soon as it is idle."""
        self.becomes_current = False
        """Whether the current model was evicted for it."""
        self.expiry: asyncio.TimerHandle | None = None

    @property
    def is_ready(self) -> bool:
        """Whether requests can go in now."""
        return self.seat is not None and self.seat.is_ready

    @property
    def is_underway(self) -> bool:
        """Whether it is in memory or on its way there."""
        return self.seat is not None or self.bringing is not None

    @property
    def is_needless(self) -> bool:
        """Whether nothing would be lost without this record."""
        has_more = self.seat or self.bringing or self.tickets or self.leases or self.error
        return not has_more

    @property
    def state(self) -> ModelState:
        """Where the model stands."""
        if self.is_ready:
            return ModelState.READY
        if self.bringing is not None:
            return ModelState.LOADING
        return ModelState.FAILED if self.error else ModelState.UNLOADED

    @property
    def occupant(self) -> Occupant | None:
        """What the policy sees of it where it has a place in memory, or will have one."""
        if self.seat is None or not self.seat.plan.takes_place:
            return None
        return Occupant(
            id=self.entry.id,
            claim=self.seat.claim,
            is_busy=self.leases > 0 or not self.seat.is_ready,
            is_pinned=self.is_pinned,
            last_used=self.last_used,
        )

    @property
    def want(self) -> Want | None:
        """What the policy sees of it where requests wait for it to get room."""
        if self.fit is None or self.seat is not None or not self.tickets:
            return None
        return Want(id=self.entry.id, since=self.tickets[0].number, fit=self.fit)

    def note_answer(self) -> None:
        """A request was answered: the model runs well."""
        self.deaths = 0

    def fail_tickets(self, error: PunaError) -> None:
        """Turn away all who wait."""
        for ticket in self.tickets:
            ticket.fail(error)
        self.tickets.clear()

    def stop_expiry(self) -> None:
        """Let it stay for now."""
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None

    def snapshot(self) -> Resident:
        """Return what others may see of it."""
        worker = self.seat.worker if self.seat is not None and self.is_ready else None
        return Resident(
            entry=self.entry,
            state=self.state,
            progress=1.0 if worker else self.progress,
            loaded=worker.loaded if worker else None,
            status=worker.status if worker else WorkerStatus(),
            error=self.error,
            idle_s_left=self._idle_s_left(),
            plan=self.seat.plan if self.seat else None,
            is_pinned=self.is_pinned,
            waiting_requests=len(self.tickets),
            deaths=self.deaths,
        )

    def _idle_s_left(self) -> float | None:
        if self.expiry is not None:
            return max(0.0, self.expiry.when() - asyncio.get_running_loop().time())
        return None if math.isinf(self.keep_alive_s) else self.keep_alive_s
