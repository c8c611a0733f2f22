"""The owner of all open jobs: one task on the event loop that starts tasks and writes what became of them."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from puna.errors import PunaError
from puna.jobs.backlog import Backlog, OpenJob
from puna.jobs.entries import Entry, Interrupted, JobEnd, Outcome, Refused
from puna.jobs.flights import Flights
from puna.jobs.job import TaskRef
from puna.jobs.pacing import Load, tasks_allowed
from puna.jobs.ports import JobStore, Models
from puna.jobs.turn import Turn, next_turn

_log = logging.getLogger(__name__)

_TICK_S = 0.25
"""How often the pace is looked at again while tasks wait."""
_DISK_RETRY_S = 2.0
"""How long nothing starts after the disk failed."""
_SWEEP_S = 3600.0
"""How often old jobs are looked for."""

_UNREADABLE = Refused("This conversation cannot be read from the disk; send it again in another job.")


class JobOptions(Struct, frozen=True, kw_only=True):
    """What the settings say about running jobs."""

    share: float
    """See `puna.jobs.pacing.tasks_allowed`."""
    keep_s: float
    """How long jobs are kept after their end."""


class JobRunner:
    """Called from the event loop only. What it knows of a job's end is on disk before anyone is told."""

    def __init__(
        self, store: JobStore, models: Models, options: JobOptions, *, clock: Callable[[], float]
    ) -> None:
        """`clock` gives monotonic seconds."""
        self._store = store
        self._options = options
        self._clock = clock
        self._wake = asyncio.Event()
        self._backlog = Backlog()
        self._flights = Flights(models, on_ready=self._wake.set, on_end=self._land)
        self._unwritten: list[Entry] = []
        self._is_behind = False
        self._ends: dict[str, asyncio.Event] = {}
        self._turn: Turn | None = None
        self._slots = 1
        self._last_interactive_s = -math.inf
        self._paused_until_s = -math.inf
        self._next_sweep_s = -math.inf
        self._is_taking = True
        self._is_closing = False

    @property
    def backlog(self) -> Backlog:
        """The open jobs, to be looked at only."""
        return self._backlog

    def take_in(self, job: OpenJob) -> None:
        """Begin to run a job that is on disk."""
        self._backlog.add(job)
        self._ends[job.id] = asyncio.Event()
        self._wake.set()

    def cancel(self, job_id: str) -> None:
        """Give a job up; `wait_for_end` tells when that is on disk."""
        self._note(self._backlog.cancel(job_id))

    async def wait_for_end(self, job_id: str, timeout_s: float) -> None:
        """Return when the end of the job is on disk, at once where it is already, and after the time anyway."""
        end = self._ends.get(job_id)
        if end is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await end.wait()

    def stop_taking(self) -> None:
        """Start no further task, those that run may end; nobody who waits for a job is kept. Idempotent."""
        self._is_taking = False
        for end in self._ends.values():
            end.set()

    def close(self) -> None:
        """Ask `run` to return."""
        self._is_closing = True
        self._wake.set()

    async def run(self) -> None:
        """Run jobs until `close`; then abort the tasks in flight, which the next start runs again."""
        while not self._is_closing:
            await self._try_step()
            await self._sleep()
        await self._flights.close()
        try:
            await self._write()
        except PunaError as error:
            _log.warning("ended tasks run again after the next start, their results are lost: %s", error)

    async def _try_step(self) -> None:
        try:
            await self._step()
        except Exception as error:  # noqa: BLE001 - nothing may end the owner but `close`
            self._pause(_DISK_RETRY_S)
            is_ours = isinstance(error, PunaError)
            _log.warning("jobs wait: %s", error, exc_info=None if is_ours else error)

    async def _step(self) -> None:
        """Fill the slots before writing, so that the model works while the disk does."""
        self._wake.clear()
        if self._is_behind:
            await self._write()
        await self._start_tasks()
        await self._write()
        await self._sweep()

    async def _sleep(self) -> None:
        now_s = self._clock()
        is_due = self._backlog.waiting or self._unwritten
        until_s = max(now_s + _TICK_S, self._paused_until_s) if is_due else self._next_sweep_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until_s - now_s):
                await self._wake.wait()

    # Starting tasks

    async def _start_tasks(self) -> None:
        refs = self._take_tasks()
        if not refs:
            return
        try:
            requests = await self._store.requests(refs)
        except BaseException:
            for ref in refs:
                self._backlog.end(ref, Interrupted(0))
            raise
        for ref, request in zip(refs, requests, strict=True):
            job = self._backlog.job(ref.job_id)
            if request is None:
                self._note(self._backlog.end(ref, _UNREADABLE))
            elif job is not None:  # else it was cancelled while the disk was read
                self._flights.start(ref, job.model, request)

    def _take_tasks(self) -> Sequence[TaskRef]:
        now_s = self._clock()
        if not self._is_taking or now_s < self._paused_until_s:
            return ()
        turn = self._next_turn(now_s)
        if turn is None:
            return ()
        allowed = tasks_allowed(self._measure_load(now_s), self._options.share)
        refs: list[TaskRef] = []
        while self._backlog.in_flight < allowed and (ref := self._backlog.take(turn.model)) is not None:
            refs.append(ref)
        return refs

    def _next_turn(self, now_s: float) -> Turn | None:
        waiting = self._backlog.models_waiting()
        turn = next_turn(self._turn, waiting, in_flight=self._backlog.in_flight, now_s=now_s)
        if turn is not None and turn != self._turn:
            self._turn, self._slots, self._last_interactive_s = turn, 1, -math.inf
        return turn

    def _measure_load(self, now_s: float) -> Load:
        """Look at the model through the leases of running tasks; before its first one, it has one slot."""
        leases = self._flights.leases
        interactive = max(0, leases[0].open_requests - len(leases)) if leases else 0
        if leases:
            self._slots = leases[0].loaded.slots
        if interactive:
            self._last_interactive_s = now_s
        return Load(slots=self._slots, interactive=interactive, quiet_s=now_s - self._last_interactive_s)

    # Ends

    def _land(self, ref: TaskRef, outcome: Outcome) -> None:
        if isinstance(outcome, Interrupted):
            self._pause(outcome.retry_after_s)
        self._note(self._backlog.end(ref, outcome))

    def _note(self, entries: Sequence[Entry]) -> None:
        self._unwritten.extend(entries)
        for entry in entries:
            if isinstance(entry, JobEnd):
                self._flights.abort_job(entry.job_id)
        self._wake.set()

    async def _write(self) -> None:
        """Put on disk, in one go, what has ended since the last time; tell it afterwards."""
        entries = tuple(self._unwritten)
        if not entries:
            return
        self._is_behind = True
        await self._store.write(entries)
        self._is_behind = False
        del self._unwritten[: len(entries)]
        for entry in entries:
            if isinstance(entry, JobEnd):
                self._ends.pop(entry.job_id).set()
                _log.info("%s is %s%s", entry.job_id, entry.state, f": {entry.error}" if entry.error else "")

    async def _sweep(self) -> None:
        now_s = self._clock()
        if now_s < self._next_sweep_s:
            return
        self._next_sweep_s = now_s + _SWEEP_S
        removed = await self._store.remove_ended(self._options.keep_s)
        if removed:
            _log.info("removed %d jobs that ended long ago", removed)

    def _pause(self, time_s: float) -> None:
        self._paused_until_s = max(self._paused_until_s, self._clock() + time_s)
