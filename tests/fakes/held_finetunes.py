"""A fine-tuning service that takes orders and trains nothing: how each job ends, the test says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from puna.domain.finetune import FinetuneJob, FinetuneOrder, FinetuneState
from puna.errors import NotFoundError, PunaError


def _open_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class HeldFinetunes:
    """What surfaces use of a `FinetuneService`."""

    refusal: PunaError | None = None
    """Of orders."""
    interruption: PunaError | None = None
    """Of waiting."""
    may_accept: asyncio.Event = field(default_factory=_open_event)
    """Cleared, orders wait."""
    jobs: dict[str, FinetuneJob] = field(default_factory=dict)
    waiting: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def order(self, order: FinetuneOrder) -> FinetuneJob:
        await self.may_accept.wait()
        if self.refusal:
            raise self.refusal
        number = len(self.jobs)
        job = FinetuneJob(
            id=f"ft_{number:012x}",
            adapter_id=f"ft_model_{number:012x}",
            order=order,
            state=FinetuneState.QUEUED,
            created_at=1_000,
        )
        self.jobs[job.id] = job
        return job

    def list(self) -> Sequence[FinetuneJob]:
        return list(self.jobs.values())

    def get(self, job_id: str) -> FinetuneJob:
        if job_id not in self.jobs:
            raise NotFoundError(f"There is no fine-tuning {job_id}.")
        return self.jobs[job_id]

    def only(self) -> FinetuneJob:
        """Return the only job."""
        (job,) = self.jobs.values()
        return job

    async def cancel(self, job_id: str, *, keeps_checkpoint: bool = False) -> FinetuneJob:
        job = replace(self.get(job_id), state=FinetuneState.CANCELLED, has_checkpoint=keeps_checkpoint)
        self.jobs[job_id] = job
        return job

    async def resume(self, job_id: str) -> FinetuneJob:
        self.jobs[job_id] = replace(self.get(job_id), state=FinetuneState.QUEUED)
        return self.jobs[job_id]

    async def wait(self, job_id: str, timeout_s: float) -> FinetuneJob:
        self.waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                while self.get(job_id).is_open:
                    if self.interruption:
                        raise self.interruption
                    await self._news.wait()
        finally:
            self.waiting -= 1
        return self.get(job_id)

    def end(self, state: FinetuneState, **facts: Any) -> None:
        """End the only job."""
        job = self.only()
        self.jobs[job.id] = replace(job, state=state, started_at=1_010, ended_at=1_190, **facts)
        self._news.set()

    async def start(self) -> None:
        """Take up nothing."""

    async def close(self) -> None:
        """Hold nothing open."""
