"""Jobs in memory that keep the contract of the store on disk: all of a write or nothing, ends stay."""

import asyncio
from collections.abc import Sequence

from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, GenerationRequest, Priority, Sampling
from puna.errors import StoreError
from puna.jobs.backlog import OpenJob
from puna.jobs.entries import Entry, JobEnd, TaskAttempt, TaskEnd
from puna.jobs.job import JobOrder, JobReport, JobState, TaskRef, TaskReport, TaskState


class MemoryJobs:
    """A `JobStore` that outlives the daemons of a test.

    Tests close `gate` or `reading_gate` to hold it up, set `is_full` to make every write fail, and count in
    `broken_reads` how often conversations cannot be read yet.
    """

    def __init__(self) -> None:
        self.orders: dict[str, JobOrder] = {}
        self.ends: dict[TaskRef, TaskEnd] = {}
        self.attempts: dict[TaskRef, int] = {}
        self.job_ends: dict[str, JobEnd] = {}
        self.writes = 0
        self.sweeps: list[float] = []
        self.is_full = False
        self.broken_reads = 0
        self.unreadable: set[TaskRef] = set()
        """Tasks whose conversations cannot be read at all."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading_gate = asyncio.Event()
        self.reading_gate.set()

    async def _pass(self, *, is_write: bool = False) -> None:
        await self.gate.wait()
        if is_write and self.is_full:
            raise StoreError("The disk is full.")

    async def add(self, job_id: str, order: JobOrder) -> None:
        await self._pass(is_write=True)
        self.insert(job_id, order)

    def insert(self, job_id: str, order: JobOrder) -> None:
        assert job_id not in self.orders
        self.orders[job_id] = order

    async def open_jobs(self) -> Sequence[OpenJob]:
        await self._pass()
        return self.list_open()

    def list_open(self) -> list[OpenJob]:
        return [self._open(job_id) for job_id in self.orders if job_id not in self.job_ends]

    def _open(self, job_id: str) -> OpenJob:
        order = self.orders[job_id]
        refs = [TaskRef(job_id, index) for index in range(len(order.conversations))]
        return OpenJob(
            id=job_id,
            organisation_id=order.organisation_id,
            model=order.model,
            pending=tuple(ref.index for ref in refs if ref not in self.ends),
            attempts={
                ref.index: self.attempts[ref] for ref in refs if ref in self.attempts and ref not in self.ends
            },
        )

    async def requests(self, refs: Sequence[TaskRef]) -> Sequence[GenerationRequest | None]:
        await self._pass()
        await self.reading_gate.wait()
        if self.broken_reads:
            self.broken_reads -= 1
            raise StoreError("The disk cannot be read.")
        assert not any(ref in self.ends for ref in refs), "a task that has ended runs again"
        return [
            GenerationRequest(
                prompt=ChatPrompt(self.orders[ref.job_id].conversations[ref.index]),
                sampling=self.orders[ref.job_id].sampling,
                max_tokens=self.orders[ref.job_id].max_tokens,
                priority=Priority.BACKGROUND,
            )
            if ref not in self.unreadable
            else None
            for ref in refs
        ]

    async def write(self, entries: Sequence[Entry]) -> None:
        await self._pass(is_write=True)
        self.writes += 1
        self.apply(entries)

    def apply(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            match entry:
                case TaskEnd():
                    assert entry.ref not in self.ends, "a task ends twice"
                    self.ends[entry.ref] = entry
                case TaskAttempt(ref, attempts):
                    self.attempts[ref] = attempts
                case JobEnd():
                    self._end(entry)

    def _end(self, end: JobEnd) -> None:
        assert end.job_id not in self.job_ends, "a job ends twice"
        self.job_ends[end.job_id] = end
        for index in self._open(end.job_id).pending:
            ref = TaskRef(end.job_id, index)
            assert end.state is not JobState.COMPLETED, "a task was lost"
            self.ends[ref] = TaskEnd(ref=ref, state=TaskState(end.state), error=end.error)

    async def report(self, organisation_id: str, job_id: str) -> JobReport | None:
        await self._pass()
        order = self.orders.get(job_id)
        if order is None or order.organisation_id != organisation_id:
            return None
        end = self.job_ends.get(job_id)
        return JobReport(
            id=job_id,
            state=end.state if end else JobState.OPEN,
            error=end.error if end else None,
            tasks=tuple(self._report(TaskRef(job_id, index)) for index in range(len(order.conversations))),
        )

    def _report(self, ref: TaskRef) -> TaskReport:
        end = self.ends.get(ref, TaskEnd(ref=ref, state=TaskState.PENDING))
        return TaskReport(index=ref.index, state=end.state, result=end.result, error=end.error)

    async def remove_ended(self, older_than_s: float) -> int:
        await self._pass()
        self.sweeps.append(older_than_s)
        return 0


def order_of(*texts: str, organisation: str = "org_a", model: str = "demo", max_tokens: int = 16) -> JobOrder:
    """Return an order with a conversation of one turn for each text."""
    return JobOrder(
        organisation_id=organisation,
        model=model,
        conversations=tuple((Message(Role.USER, text),) for text in texts),
        sampling=Sampling(temperature=0.0),
        max_tokens=max_tokens,
    )
