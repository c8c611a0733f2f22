"""The tasks that run: each on a lease of its own, so that a model is held only while it works."""

import asyncio
from collections.abc import Callable

from puna.domain.generation import GenerationRequest
from puna.jobs.entries import Interrupted, Outcome
from puna.jobs.execution import outcome_of_error, run_task
from puna.jobs.job import TaskRef
from puna.jobs.ports import Lease, Models


class Flights:
    """Tasks in flight. Called from the event loop only."""

    def __init__(
        self, models: Models, *, on_ready: Callable[[], None], on_end: Callable[[TaskRef, Outcome], None]
    ) -> None:
        """`on_ready` is called when a task has its model, `on_end` once for every task that was started."""
        self._models = models
        self._on_ready = on_ready
        self._on_end = on_end
        self._leases: dict[TaskRef, Lease] = {}
        self._tasks: dict[TaskRef, asyncio.Task[Outcome]] = {}

    def __len__(self) -> int:
        """How many run."""
        return len(self._tasks)

    @property
    def leases(self) -> list[Lease]:
        """The leases of those that have their model, where each has one open request."""
        return list(self._leases.values())

    def start(self, ref: TaskRef, model: str, request: GenerationRequest) -> None:
        """Begin a task; returns at once."""
        flying = asyncio.create_task(self._fly(ref, model, request), name=f"{ref.job_id} {ref.index}")
        self._tasks[ref] = flying
        flying.add_done_callback(lambda done: self._land(ref, done))

    def abort_job(self, job_id: str) -> None:
        """Ask the tasks of a job to end; returns at once."""
        for ref, flying in self._tasks.items():
            if ref.job_id == job_id:
                flying.cancel()

    async def close(self) -> None:
        """Abort all tasks; returns when they have ended."""
        flying = list(self._tasks.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    async def _fly(self, ref: TaskRef, model: str, request: GenerationRequest) -> Outcome:
        try:
            async with self._models.acquire(model) as lease:
                self._leases[ref] = lease
                self._on_ready()
                try:
                    return await run_task(lease, request)
                finally:
                    del self._leases[ref]
        except Exception as error:  # noqa: BLE001 - a border: the task gets an end, whatever it is
            return outcome_of_error(error)

    def _land(self, ref: TaskRef, flying: asyncio.Task[Outcome]) -> None:
        del self._tasks[ref]
        self._on_end(ref, Interrupted(0) if flying.cancelled() else flying.result())
