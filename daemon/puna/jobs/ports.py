"""What jobs need of the world. All of it is called from the event loop only."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from puna.domain.generation import Completion, GenerationRequest
from puna.domain.models import LoadedModel
from puna.jobs.backlog import OpenJob
from puna.jobs.entries import Entry
from puna.jobs.job import JobOrder, JobReport, TaskRef


class Lease(Protocol):
    """A model that stays in memory while it is held."""

    @property
    def loaded(self) -> LoadedModel:
        """What its worker told."""
        ...

    @property
    def open_requests(self) -> int:
        """Requests of everybody that run or wait for a slot of the model."""
        ...

    async def complete(self, request: GenerationRequest) -> Completion:
        """Return the whole text of a request. Cancelling it aborts the request. Raises `PunaError`."""
        ...


class Models(Protocol):
    """Where models come from; `puna.residency.coordinator.Coordinator` is the real one."""

    def acquire(self, model: str | None) -> AbstractAsyncContextManager[Lease]:
        """Hold a model, loading it first where needed. Raises `PunaError`."""
        ...


class JobStore(Protocol):
    """Jobs on disk. Whatever a method wrote is there when it returns; `PunaError` where that failed."""

    async def add(self, job_id: str, order: JobOrder) -> None:
        """Keep a new job."""
        ...

    async def open_jobs(self) -> Sequence[OpenJob]:
        """Return the jobs that have not ended, the oldest first."""
        ...

    async def requests(self, refs: Sequence[TaskRef]) -> Sequence[GenerationRequest | None]:
        """Return what to ask the model for each of these pending tasks, in this order; None for what is unreadable."""
        ...

    async def write(self, entries: Sequence[Entry]) -> None:
        """Keep what became of tasks and jobs: all of it or nothing. What has ended already stays as it is."""
        ...

    async def report(self, organisation_id: str, job_id: str) -> JobReport | None:
        """Return a job of this organisation; None where it has none of this id."""
        ...

    async def remove_ended(self, older_than_s: float) -> int:
        """Forget the jobs that ended longer ago; returns how many."""
        ...
