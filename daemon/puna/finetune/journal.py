"""Fine-tunings in the database. What a running one has learnt is in its checkpoint, not here."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import msgspec
from msgspec.structs import replace

from puna.domain.finetune import FinetuneJob, FinetuneState
from puna.store.database import Database

_log = logging.getLogger(__name__)
_job = msgspec.json.Decoder(FinetuneJob)


class Journal(Protocol):
    """Keeps fine-tunings over restarts."""

    async def read(self) -> Sequence[FinetuneJob]:
        """Return all, the oldest first; those that ran are queued again."""
        ...

    async def write(self, job: FinetuneJob) -> None:
        """Keep a fine-tuning as it is now."""
        ...

    async def remove(self, job_ids: Iterable[str]) -> None:
        """Forget fine-tunings."""
        ...


class StoredJournal:
    """The `Journal` in one database; raises what `Database.run` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Sequence[FinetuneJob]:
        """Return all, the oldest first; those that ran are queued again."""
        return await self._database.run(select_jobs)

    async def write(self, job: FinetuneJob) -> None:
        """Keep a fine-tuning as it is now."""
        await self._database.run(partial(replace_job, job=job))

    async def remove(self, job_ids: Iterable[str]) -> None:
        """Forget fine-tunings."""
        await self._database.run(partial(delete_jobs, job_ids=tuple(job_ids)))


def replace_job(connection: sqlite3.Connection, *, job: FinetuneJob) -> None:
    """Write a fine-tuning, over its earlier state where it has one."""
    connection.execute(
        "INSERT INTO finetunes (id, job, created_at) VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET job = excluded.job",
        (job.id, msgspec.json.encode(job).decode(), job.created_at),
    )


def select_jobs(connection: sqlite3.Connection) -> list[FinetuneJob]:
    """Read all fine-tunings; one that this Puna cannot read is left out, with a line in the log."""
    rows = connection.execute("SELECT id, job FROM finetunes ORDER BY created_at, rowid").fetchall()
    found = (_read(job_id, text) for job_id, text in rows)
    return [job for job in found if job is not None]


def delete_jobs(connection: sqlite3.Connection, *, job_ids: Sequence[str]) -> None:
    """Forget fine-tunings."""
    connection.executemany("DELETE FROM finetunes WHERE id = ?", [(job_id,) for job_id in job_ids])


def _read(job_id: str, text: str) -> FinetuneJob | None:
    try:
        job = _job.decode(text)
    except msgspec.MsgspecError as error:
        _log.warning("the fine-tuning %s cannot be read (%s)", job_id, error)
        return None
    return replace(job, state=FinetuneState.QUEUED, plan=None, progress=None) if job.is_open else job
