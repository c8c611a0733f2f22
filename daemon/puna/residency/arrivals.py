"""Models on their way into memory: the file is checked, room is waited for, the worker loads.

A file that cannot be run fails here before anybody is evicted for it.
"""

import asyncio
import logging
from typing import Protocol

from msgspec.structs import replace

from puna.domain.memory import CPU, LoadPlan, Shortfall
from puna.errors import ModelLoadError, PunaError, WorkerDiedLoadingError
from puna.residency.backoff import DEATHS_TO_FAIL, describe_death, given_up, wait_before_load
from puna.residency.departures import Departures
from puna.residency.ledger import Ledger, Rooms
from puna.residency.place import Place
from puna.residency.policy import Fit
from puna.residency.ports import Launcher, Memory
from puna.residency.seat import Seat

_log = logging.getLogger(__name__)


class Owner(Protocol):
    """The coordinator, which hears what happened and decides what comes next."""

    def settle(self) -> None:
        """Something changed: let the policy decide."""
        ...

    def note_ready(self, place: Place) -> None:
        """A worker has loaded; nobody was let in yet."""
        ...

    def note_end(self, place: Place) -> None:
        """A load is over, well or not, and those who waited know."""
        ...


class Arrivals:
    """Part of the coordinator, of one event loop."""

    def __init__(
        self, owner: Owner, launcher: Launcher, memory: Memory, ledger: Ledger, departures: Departures
    ) -> None:
        self._owner = owner
        self._launcher = launcher
        self._memory = memory
        self._ledger = ledger
        self._departures = departures

    def begin(self, place: Place) -> None:
        """Bring a model into memory, in one task for all who wait for it."""
        place.bringing = asyncio.create_task(self._bring(place), name=f"load {place.entry.id}")

    def give_seat(self, place: Place, plan: LoadPlan) -> None:
        """Make the claim for a model that waits for room, and let it load."""
        assert place.seated is not None
        place.fit = None
        place.seat = Seat(plan, self._ledger.claim(plan))
        place.seated.set_result(place.seat)

    def refuse(self, place: Place, error: PunaError) -> None:
        """Tell a model that waits for room that there will be none."""
        assert place.seated is not None
        place.fit = None
        place.seated.set_exception(error)

    def give_up(self, place: Place) -> None:
        """Nobody waits any more for a model that waits for room."""
        assert place.bringing is not None
        place.fit = None
        place.bringing.cancel()

    async def _bring(self, place: Place) -> None:
        place.progress = 0.0
        try:
            await _wait_out_deaths(place)
            fit, readings = await asyncio.gather(self._memory.appraise(place.entry), self._memory.read())
            self._ledger.observe(readings)
            await self._load(place, fit)
            place.error = None
        except PunaError as error:
            place.error = error.message
            place.fail_tickets(error)
        except Exception:  # noqa: BLE001 - those who wait must not wait for ever, whatever went wrong
            _log.exception("%s was not loaded", place.entry.id)
            place.error = f"{place.entry.id} was not loaded because of an error in Puna; its log says more."
            place.fail_tickets(PunaError(place.error))
        finally:
            self._end(place)

    def _end(self, place: Place) -> None:
        place.bringing = place.fit = place.seated = None
        if place.seat is not None and place.seat.worker is None:
            self._departures.drop(place.seat)
            place.seat = None
        self._owner.settle()
        self._owner.note_end(place)

    async def _load(self, place: Place, fit: Fit) -> None:
        """Load where the plan says; what a GPU does not take after all, because its driver knows better, on the CPU."""
        seat = await self._find_room(place, fit)
        try:
            await self._fill(place, seat)
        except ModelLoadError as error:
            if not seat.plan.gpu_layers:
                raise
            _log.warning("%s goes to the CPU, for it could not be put on the GPU: %s", place.entry.id, error)
            place.seat = None
            self._departures.drop(seat)
            await self._fill(place, await self._find_room(place, _on_cpu_alone(fit)))

    async def _find_room(self, place: Place, fit: Fit) -> Seat:
        """Return the model's seat, with its claim made, once the policy gives it one."""
        place.seated = asyncio.get_running_loop().create_future()
        elsewhere = fit({})
        if isinstance(elsewhere, LoadPlan) and not elsewhere.takes_place:
            self.give_seat(place, elsewhere)
        else:
            place.fit = fit
            self._owner.settle()
        return await place.seated

    async def _fill(self, place: Place, seat: Seat) -> None:
        def take_progress(progress: float) -> None:
            place.progress = progress

        try:
            seat.worker = await self._launcher.launch(place.entry, take_progress, seat.plan)
        except WorkerDiedLoadingError as error:
            _count_death(place, error.message)
            raise
        self._ledger.settle(seat.claim_number)
        seat.watch = asyncio.create_task(self._watch(place, seat), name=f"watch {place.entry.id}")
        self._owner.note_ready(place)

    async def _watch(self, place: Place, seat: Seat) -> None:
        """Wait for the worker's death; a worker that is ended on purpose is not watched any more."""
        assert seat.worker is not None
        how = await seat.worker.wait_end()
        seat.watch = None
        if place.seat is seat:
            place.seat = None
            place.stop_expiry()
            _count_death(place, describe_death(place.entry.id, how))
            self._departures.begin(seat, place.entry.id)
            self._owner.settle()


def _on_cpu_alone(fit: Fit) -> Fit:
    def fit_to_cpu(rooms: Rooms) -> LoadPlan | Shortfall:
        outcome = fit({CPU: rooms.get(CPU, 0)})
        if isinstance(outcome, Shortfall):
            return outcome
        return replace(outcome, placement_reason="it could not be put on the GPU; the log says why")

    return fit_to_cpu


async def _wait_out_deaths(place: Place) -> None:
    if place.deaths >= DEATHS_TO_FAIL:
        raise given_up(place.entry.id, place.deaths, place.last_death)
    now_s = asyncio.get_running_loop().time()
    wait_s = wait_before_load(place.deaths, place.last_death_s, now_s)
    if wait_s:
        await asyncio.sleep(wait_s)


def _count_death(place: Place, message: str) -> None:
    place.deaths += 1
    place.last_death_s = asyncio.get_running_loop().time()
    place.error = place.last_death = message
    _log.warning("%s", message)
