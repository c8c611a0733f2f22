"""Downloads in the database. How far one is, is not written: the files on disk tell."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from puna.domain.downloads import IS_OPEN, DownloadOrder, DownloadState
from puna.downloads.board import Job
from puna.store.database import Database

_log = logging.getLogger(__name__)

_order = msgspec.json.Decoder(DownloadOrder)
_COLUMNS = "id, work, state, error, path, created_at, ended_at"


class Journal(Protocol):
    """Keeps downloads over restarts."""

    async def read(self) -> Sequence[Job]:
        """Return all, the oldest first; those that ran are queued again."""
        ...

    async def write(self, job: Job) -> None:
        """Keep a download as it is now."""
        ...

    async def remove(self, job_ids: Iterable[str]) -> None:
        """Forget downloads."""
        ...


class StoredJournal:
    """The `Journal` in one database; raises what `Database.run` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Sequence[Job]:
        """Return all, the oldest first; those that ran are queued again."""
        return await self._database.run(select_jobs)

    async def write(self, job: Job) -> None:
        """Keep a download as it is now."""
        await self._database.run(partial(replace_job, row=_to_row(job)))

    async def remove(self, job_ids: Iterable[str]) -> None:
        """Forget downloads."""
        await self._database.run(partial(delete_jobs, job_ids=tuple(job_ids)))


_Row = tuple[str, str, str, str | None, str | None, int, int | None]


def _to_row(job: Job) -> _Row:
    order = msgspec.json.encode(job.order).decode()
    return job.id, order, job.state.value, job.error, job.path, job.created_at, job.ended_at


def replace_job(connection: sqlite3.Connection, *, row: _Row) -> None:
    """Write a download, over its earlier state where it has one."""
    connection.execute(
        f"INSERT INTO downloads ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, error = excluded.error, path = excluded.path,"
        " ended_at = excluded.ended_at",
        row,
    )


def select_jobs(connection: sqlite3.Connection) -> list[Job]:
    """Read all downloads, but for those that cannot be read: another version of Puna may have written them."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM downloads ORDER BY created_at, rowid")  # noqa: S608 - a constant
    return [job for row in rows if (job := _read_job(row)) is not None]


def _read_job(row: _Row) -> Job | None:
    try:
        return _to_job(row)
    except ValueError as error:
        _log.warning("the download %s cannot be read, and is left out: %s", row[0], error)
        return None


def _to_job(row: _Row) -> Job:
    job_id, order, state, error, path, created_at, ended_at = row
    was = DownloadState(state)
    job = Job(
        id=job_id,
        order=_order.decode(order),
        created_at=created_at,
        state=DownloadState.QUEUED if was in IS_OPEN else was,
        error=error,
        ended_at=ended_at,
        path=path,
    )
    if was is DownloadState.DONE:
        for file in job.files:
            file.is_done, file.done_bytes = True, file.size_bytes
    return job


def delete_jobs(connection: sqlite3.Connection, *, job_ids: Sequence[str]) -> None:
    """Forget downloads."""
    connection.executemany("DELETE FROM downloads WHERE id = ?", [(job_id,) for job_id in job_ids])
