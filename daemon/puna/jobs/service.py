"""Jobs as the dialects use them: submit, look, cancel."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Self

from msgspec import Struct

from puna.config import Settings
from puna.errors import NotFoundError, OverloadedError
from puna.jobs.admission import JobLimits, check_room, check_size
from puna.jobs.backlog import OpenJob
from puna.jobs.job import JobOrder, JobReport
from puna.jobs.journal import JobJournal
from puna.jobs.ports import JobStore, Models
from puna.jobs.runner import JobOptions, JobRunner
from puna.store.database import Database

_log = logging.getLogger(__name__)

NEARLY_DONE_TASKS = 8
"""A job with so few tasks left may end while somebody waits for it: a worker usually runs as many at once."""
_CANCEL_WAIT_S = 2.0
"""How long a cancellation may take to reach the disk before its answer is given anyway."""
_RETRY_AFTER_S = 5.0
_DAY_S = 86_400


class JobFigures(Struct, frozen=True, kw_only=True):
    """How much there is to do."""

    queued_jobs: int = 0
    running_jobs: int = 0
    waiting_tasks: int = 0
    running_tasks: int = 0


class JobService:
    """Called from the event loop only."""

    def __init__(
        self,
        store: JobStore,
        models: Models,
        limits: JobLimits,
        options: JobOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives monotonic seconds."""
        self._store = store
        self._limits = limits
        self._runner = JobRunner(store, models, options, clock=clock)
        self._running: asyncio.Task[None] | None = None
        self._accepting: set[asyncio.Task[None]] = set()
        self._owners_arriving: list[str] = []
        self._is_stopping = False

    @classmethod
    def of_settings(cls, settings: Settings, database: Database, models: Models) -> Self:
        """Return the jobs of a database, bounded as the settings say."""
        limits = JobLimits(
            tasks=settings.job_task_limit,
            characters=settings.job_character_limit,
            open_jobs_of_organisation=settings.job_queue_limit,
            open_jobs=settings.job_total_limit,
        )
        options = JobOptions(share=settings.job_share, keep_s=settings.job_keep_days * _DAY_S)
        return cls(JobJournal(database), models, limits, options)

    async def start(self) -> None:
        """Take up what an earlier run left. Raises `PunaError` when the disk does not tell it."""
        for job in await self._store.open_jobs():
            self._runner.take_in(job)
        backlog = self._runner.backlog
        if len(backlog):
            _log.info("taking up %d jobs with %d tasks to do", len(backlog), backlog.waiting)
        self._running = asyncio.create_task(self._runner.run(), name="jobs")

    async def submit(self, order: JobOrder) -> str:
        """Keep a job and return its id: it is on disk then, and run whatever happens to the daemon.

        Raises `InvalidRequestError` for a job that is too large, `OverloadedError` when too many are open, and
        what the store raises.
        """
        check_size(order, self._limits)
        if self._is_stopping:
            raise OverloadedError("Puna is stopping.", retry_after_s=_RETRY_AFTER_S)
        owners = [*self._runner.backlog.organisations(), *self._owners_arriving]
        check_room(order.organisation_id, owners, self._limits)
        job_id = f"job_{secrets.token_hex(8)}"
        self._owners_arriving.append(order.organisation_id)
        accepting = asyncio.create_task(self._accept(job_id, order), name=f"accept {job_id}")
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)
        # A client that leaves now must not part what is on disk from what is run.
        await asyncio.shield(accepting)
        _log.info("%s is accepted: %d tasks for %s", job_id, len(order.conversations), order.model)
        return job_id

    async def report(self, organisation_id: str, job_id: str, *, wait_s: float = 0.0) -> JobReport:
        """Return a job as it is on disk; one that is nearly done is waited for, `wait_s` at most.

        Raises `NotFoundError` when the organisation has no such job.
        """
        job = self._runner.backlog.job(job_id)
        is_own = job is None or job.organisation_id == organisation_id
        if is_own and self._runner.backlog.remaining(job_id) <= NEARLY_DONE_TASKS:
            await self._runner.wait_for_end(job_id, wait_s)
        report = await self._store.report(organisation_id, job_id)
        if report is None:
            raise NotFoundError(f"This organisation has no job {job_id}.")
        return report

    async def cancel(self, organisation_id: str, job_id: str) -> JobReport:
        """Give a job up and return it; one that has ended stays as it is. Raises `NotFoundError`."""
        await self.report(organisation_id, job_id)
        self._runner.cancel(job_id)
        await self._runner.wait_for_end(job_id, _CANCEL_WAIT_S)
        return await self.report(organisation_id, job_id)

    @property
    def figures(self) -> JobFigures:
        """How much there is to do now."""
        backlog = self._runner.backlog
        return JobFigures(
            queued_jobs=len(backlog) - backlog.running_jobs,
            running_jobs=backlog.running_jobs,
            waiting_tasks=backlog.waiting,
            running_tasks=backlog.in_flight,
        )

    def stop_taking(self) -> None:
        """Refuse jobs and start no further task; tasks that run may end. Idempotent."""
        self._is_stopping = True
        self._runner.stop_taking()

    async def close(self) -> None:
        """Abort what runs, which the next start runs again, and write what has ended. Idempotent."""
        self.stop_taking()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        self._runner.close()
        if self._running is not None:
            await self._running

    async def _accept(self, job_id: str, order: JobOrder) -> None:
        try:
            await self._store.add(job_id, order)
        finally:
            self._owners_arriving.remove(order.organisation_id)
        self._runner.take_in(
            OpenJob(
                id=job_id,
                organisation_id=order.organisation_id,
                model=order.model,
                pending=tuple(range(len(order.conversations))),
            )
        )
