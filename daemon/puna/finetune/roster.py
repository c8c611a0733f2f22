"""All fine-tunings as they are now, and who watches them."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from puna.domain.finetune import FinetuneJob
from puna.errors import NotFoundError, OverloadedError
from puna.news import Listener

MAX_LISTENERS = 200
_RETRY_AFTER_S = 60.0


class Roster:
    """Called from the event loop only."""

    def __init__(self) -> None:
        self._jobs: dict[str, FinetuneJob] = {}
        self._listeners: set[Listener[FinetuneJob]] = set()
        self._is_closed = False

    def get(self, job_id: str) -> FinetuneJob:
        """Return a job as it is now. Raises `NotFoundError`."""
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"There is no fine-tuning {job_id[:60]}.")
        return job

    def jobs(self) -> Sequence[FinetuneJob]:
        """Return all jobs, the oldest first."""
        return list(self._jobs.values())

    def put(self, job: FinetuneJob) -> None:
        """Take a job in, or its news."""
        self._jobs[job.id] = job
        for listener in self._listeners:
            listener.tell(job.id)

    def change(self, job_id: str, **changes: object) -> None:
        """Change fields of a job. Raises `NotFoundError`."""
        self.put(replace(self.get(job_id), **changes))

    def remove(self, job_ids: Iterable[str]) -> None:
        """Forget jobs."""
        for job_id in job_ids:
            del self._jobs[job_id]

    @contextmanager
    def listen(self) -> Iterator[AsyncGenerator[FinetuneJob]]:
        """Give all jobs as they are, and then each that has news, until `close`. Raises `OverloadedError`."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise OverloadedError("Too many programs watch fine-tunings.", retry_after_s=_RETRY_AFTER_S)
        listener = Listener(self._jobs.get)
        for job_id in self._jobs:
            listener.tell(job_id)
        self._listeners.add(listener)
        if self._is_closed:
            listener.close()
        try:
            yield listener.read()
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Let all who watch end once they have read the news. Idempotent."""
        self._is_closed = True
        for listener in self._listeners:
            listener.close()
