"""Jobs in the database: the `JobStore` of `puna.jobs.ports`. The module's functions are one transaction each."""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from puna.domain.chat import Message
from puna.domain.generation import ChatPrompt, GenerationRequest, Priority, Sampling
from puna.jobs.backlog import OpenJob
from puna.jobs.entries import Entry, JobEnd, TaskAttempt, TaskEnd
from puna.jobs.job import JobOrder, JobReport, JobState, TaskRef, TaskReport, TaskState
from puna.store.database import Database

_log = logging.getLogger(__name__)
_conversation = msgspec.json.Decoder(tuple[Message, ...])
_sampling = msgspec.json.Decoder(Sampling)


class JobJournal:
    """All jobs of one database."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds since 1970."""
        self._database = database
        self._now = now

    async def add(self, job_id: str, order: JobOrder) -> None:
        """Keep a new job."""
        await self._database.run(partial(insert_job, job_id=job_id, order=order, now_s=self._now()))

    async def open_jobs(self) -> Sequence[OpenJob]:
        """Return the jobs that have not ended, the oldest first."""
        return await self._database.run(select_open_jobs)

    async def requests(self, refs: Sequence[TaskRef]) -> Sequence[GenerationRequest | None]:
        """Return what to ask the model for each of these pending tasks, in this order; None for what is unreadable."""
        return await self._database.run(lambda connection: [select_request(connection, ref) for ref in refs])

    async def write(self, entries: Sequence[Entry]) -> None:
        """Keep what became of tasks and jobs."""
        await self._database.run(partial(apply_entries, entries=entries, now_s=self._now()))

    async def report(self, organisation_id: str, job_id: str) -> JobReport | None:
        """Return a job of this organisation; None where it has none of this id."""
        return await self._database.run(
            partial(select_report, organisation_id=organisation_id, job_id=job_id)
        )

    async def remove_ended(self, older_than_s: float) -> int:
        """Forget the jobs that ended longer ago; returns how many."""
        return await self._database.run(partial(delete_ended, before_s=self._now() - older_than_s))


def insert_job(connection: sqlite3.Connection, *, job_id: str, order: JobOrder, now_s: float) -> None:
    """Write a job and all its tasks."""
    connection.execute(
        "INSERT INTO jobs (id, organisation_id, model, sampling, max_tokens, state, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            job_id,
            order.organisation_id,
            order.model,
            _to_json(order.sampling),
            order.max_tokens,
            JobState.OPEN,
            int(now_s),
        ),
    )
    connection.executemany(
        "INSERT INTO tasks (job_id, task_index, conversation, state) VALUES (?, ?, ?, ?)",
        (
            (job_id, index, _to_json(turns), TaskState.PENDING)
            for index, turns in enumerate(order.conversations)
        ),
    )


def select_open_jobs(connection: sqlite3.Connection) -> list[OpenJob]:
    """Read which tasks are left to do."""
    jobs = connection.execute(
        "SELECT id, organisation_id, model FROM jobs WHERE ended_at IS NULL ORDER BY created_at, rowid"
    ).fetchall()
    return [_open_job(connection, *row) for row in jobs]


def _open_job(connection: sqlite3.Connection, job_id: str, organisation_id: str, model: str) -> OpenJob:
    tasks = connection.execute(
        "SELECT task_index, attempts FROM tasks WHERE job_id = ? AND state = ? ORDER BY task_index",
        (job_id, TaskState.PENDING),
    ).fetchall()
    return OpenJob(
        id=job_id,
        organisation_id=organisation_id,
        model=model,
        pending=tuple(index for index, _ in tasks),
        attempts={index: attempts for index, attempts in tasks if attempts},
    )


def select_request(connection: sqlite3.Connection, ref: TaskRef) -> GenerationRequest | None:
    """Read a task as the model gets it. It must be pending: the conversation goes when the task ends.

    None, with a line in the log, for one that this Puna cannot read: another version may have written it.
    """
    conversation, sampling, max_tokens = connection.execute(
        "SELECT conversation, sampling, max_tokens FROM tasks JOIN jobs ON jobs.id = tasks.job_id"
        " WHERE job_id = ? AND task_index = ?",
        (ref.job_id, ref.index),
    ).fetchone()
    try:
        return GenerationRequest(
            prompt=ChatPrompt(_conversation.decode(conversation)),
            sampling=_sampling.decode(sampling),
            max_tokens=max_tokens,
            priority=Priority.BACKGROUND,
        )
    except msgspec.MsgspecError as error:
        _log.warning("task %d of %s cannot be read: %s", ref.index, ref.job_id, error)
        return None


def apply_entries(connection: sqlite3.Connection, *, entries: Sequence[Entry], now_s: float) -> None:
    """Write what became of tasks and jobs. What has ended already stays as it is."""
    for entry in entries:
        match entry:
            case TaskEnd():
                connection.execute(
                    "UPDATE tasks SET state = ?, result = ?, error = ?, conversation = ''"
                    " WHERE job_id = ? AND task_index = ? AND state = ?",
                    (
                        entry.state,
                        entry.result,
                        entry.error,
                        entry.ref.job_id,
                        entry.ref.index,
                        TaskState.PENDING,
                    ),
                )
            case TaskAttempt(ref, attempts):
                connection.execute(
                    "UPDATE tasks SET attempts = ? WHERE job_id = ? AND task_index = ?",
                    (attempts, ref.job_id, ref.index),
                )
            case JobEnd():
                _end_job(connection, entry, now_s)


def _end_job(connection: sqlite3.Connection, end: JobEnd, now_s: float) -> None:
    connection.execute(
        "UPDATE jobs SET state = ?, error = ?, ended_at = ? WHERE id = ? AND ended_at IS NULL",
        (end.state, end.error, int(now_s), end.job_id),
    )
    connection.execute(
        "UPDATE tasks SET state = ?, error = ?, conversation = '' WHERE job_id = ? AND state = ?",
        (TaskState(end.state), end.error, end.job_id, TaskState.PENDING),
    )


def select_report(connection: sqlite3.Connection, *, organisation_id: str, job_id: str) -> JobReport | None:
    """Read a job and what became of its tasks."""
    job = connection.execute(
        "SELECT state, error FROM jobs WHERE id = ? AND organisation_id = ?", (job_id, organisation_id)
    ).fetchone()
    if job is None:
        return None
    tasks = connection.execute(
        "SELECT task_index, state, result, error FROM tasks WHERE job_id = ? ORDER BY task_index", (job_id,)
    )
    return JobReport(
        id=job_id,
        state=JobState(job[0]),
        error=job[1],
        tasks=tuple(
            TaskReport(index=index, state=TaskState(state), result=result, error=error)
            for index, state, result, error in tasks
        ),
    )


def delete_ended(connection: sqlite3.Connection, *, before_s: float) -> int:
    """Delete the jobs that ended before that time, with their tasks."""
    return connection.execute("DELETE FROM jobs WHERE ended_at < ?", (int(before_s),)).rowcount


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
