"""Downloads as surfaces use them: begin, look, pause, resume, cancel, listen. The service owns all of them."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from puna.domain.downloads import IS_OPEN, IS_STOPPED, Download, DownloadOrder, DownloadState
from puna.downloads.board import Board, FileWork, Job
from puna.downloads.journal import Journal
from puna.downloads.ports import Fetcher
from puna.errors import InvalidRequestError, NotFoundError, OverloadedError, PunaError
from puna.hub.ports import Wanted
from puna.news import Listener

_log = logging.getLogger(__name__)

MAX_OPEN = 100
"""Downloads that may wait or run; more are told to come again."""
MAX_ENDED = 50
"""Ended downloads that are still listed."""
MAX_LISTENERS = 200
_RETRY_AFTER_S = 30.0
_STEPS_GRACE_S = 5.0
"""How long a stop waits for what is being begun, paused or cancelled: a disk may hang."""


OnDone = Callable[[DownloadOrder], Awaitable[object]]


class DownloadService:
    """Called from the event loop only. A task for each file does the work; nobody else changes a download."""

    def __init__(
        self,
        fetcher: Fetcher,
        journal: Journal,
        *,
        files_at_once: int,
        on_done: OnDone | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`on_done` is awaited before a download is done; `clock` gives monotonic seconds, `now` those since 1970."""
        self._fetcher = fetcher
        self._journal = journal
        self._files_at_once = files_at_once
        self._on_done = on_done
        self._clock = clock
        self._now = now
        self._board = Board()
        self._tasks: dict[asyncio.Task[None], Job] = {}
        self._listeners: set[Listener[Download]] = set()
        self._intake = asyncio.Lock()
        """One order at a time: what would bring the same finds the one before it whole, or gone."""
        self._steps: set[asyncio.Task[Download]] = set()
        """What was asked for and is being done."""
        self._is_closing = False

    async def start(self) -> None:
        """Take up what an earlier run left, where it stopped. Raises `PunaError` when the disk does not tell it."""
        for job in await self._journal.read():
            if job.state in IS_OPEN | IS_STOPPED:
                await self._measure(job)
            self._board.add(job)
        if self._board.open_count():
            _log.info("taking up %d downloads", self._board.open_count())
        self._begin_files()

    async def submit(self, order: DownloadOrder) -> Download:
        """Begin a download; one that would bring the same and has not ended is taken up instead.

        Raises `DiskFullError` where the disk has no room for it, `OverloadedError` when too many are open, and
        what the journal raises.
        """
        return await self._to_its_end(self._submit(order))

    async def _submit(self, order: DownloadOrder) -> Download:
        async with self._intake:
            self._check_taking()
            job = self._board.find_same(order) or await self._take_in(order)
        return await self._resume(job.id)

    async def _take_in(self, order: DownloadOrder) -> Job:
        """Note a new download, stopped, once it is known to fit. Errors as `submit`."""
        if self._board.open_count() >= MAX_OPEN:
            raise OverloadedError("Too many downloads wait; try again later.", retry_after_s=_RETRY_AFTER_S)
        job = Job(f"dl_{secrets.token_hex(6)}", order, int(self._now()), state=DownloadState.PAUSED)
        await self._measure(job)
        await self._fetcher.check_room(
            order.name, job.missing_bytes, promised_bytes=self._board.promised_bytes()
        )
        self._board.add(job)
        try:
            await self._journal.write(job)
        except PunaError:
            self._board.remove(job.id)
            raise
        _log.info("download %s: %s, %d files, %d bytes", job.id, order.name, len(job.files), job.size_bytes)
        await self._forget_old()
        return job

    def get(self, download_id: str) -> Download:
        """Return a download as it is now. Raises `NotFoundError`."""
        return self._job(download_id).snapshot(self._clock())

    def list(self) -> Sequence[Download]:
        """Return all downloads, the oldest first."""
        return [job.snapshot(self._clock()) for job in self._board.jobs()]

    async def pause(self, download_id: str) -> Download:
        """Stop a download and keep what has arrived.

        Raises `NotFoundError`, or `InvalidRequestError` for one that has ended.
        """
        return await self._to_its_end(self._pause(download_id))

    async def _pause(self, download_id: str) -> Download:
        job = self._job(download_id)
        _check_not_ended(job)
        if job.state in IS_OPEN:
            await self._stop(job, DownloadState.PAUSED)
        return self.get(job.id)

    async def resume(self, download_id: str) -> Download:
        """Let a paused or failed download go on; files that were complete are looked at again. Errors as `pause`."""
        return await self._to_its_end(self._resume(download_id))

    async def _resume(self, download_id: str) -> Download:
        self._check_taking()
        job = self._job(download_id)
        _check_not_ended(job)
        if job.state in IS_STOPPED:
            job.state, job.error, job.ended_at = DownloadState.QUEUED, None, None
            job.rate.reset()
            for file in job.files:
                file.is_done = False
            await self._keep(job)
            self._tell(job)
            self._begin_files()
        return self.get(job.id)

    async def cancel(self, download_id: str) -> Download:
        """Give a download up: parts of unfinished files are removed, complete files stay. Errors as `pause`."""
        return await self._to_its_end(self._cancel(download_id))

    async def _cancel(self, download_id: str) -> Download:
        job = self._job(download_id)
        _check_not_ended(job)
        await self._stop(job, DownloadState.CANCELLED)
        for file in job.files:
            if not file.is_done and not self._board.is_wanted_elsewhere(job, file):
                await self._fetcher.discard(_wanted(job, file), file.order.etag)
                file.done_bytes = 0
        self._tell(job)
        return job.snapshot(self._clock())  # it may be forgotten already

    async def wait(self, download_id: str, timeout_s: float) -> Download:
        """Return a download once it goes on no more by itself, or after the time as it is then.

        Raises `NotFoundError`, and `OverloadedError` when the daemon stops meanwhile.
        """
        with self.listen() as listener:
            try:
                async with asyncio.timeout(timeout_s):
                    async for download in listener:
                        if download.id == download_id and not download.is_open:
                            break
            except TimeoutError:
                return self.get(download_id)
        download = self.get(download_id)
        if download.is_open:
            self._check_taking()
        return download

    @contextmanager
    def listen(self) -> Iterator[AsyncGenerator[Download]]:
        """Give all downloads as they are, and then each that has news. Raises `OverloadedError`."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise OverloadedError("Too many programs watch downloads.", retry_after_s=_RETRY_AFTER_S)
        listener = Listener(self._look)
        for job in self._board.jobs():
            listener.tell(job.id)
        self._listeners.add(listener)
        if self._is_closing:
            listener.close()
        try:
            yield listener.read()
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """Stop all transfers, which the next start takes up again, and let listeners end. Idempotent."""
        self._is_closing = True
        if self._steps:
            await asyncio.wait(self._steps, timeout=_STEPS_GRACE_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        for listener in self._listeners:
            listener.close()

    async def _to_its_end(self, step: Coroutine[Any, Any, Download]) -> Download:
        """Return what comes of a step, which is not left half done where who asked for it leaves meanwhile."""
        task = asyncio.create_task(step)
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)
        return await asyncio.shield(task)

    # Files

    def _begin_files(self) -> None:
        if self._is_closing:
            return
        for job, index in self._board.next_files(self._files_at_once):
            file = job.files[index]
            file.is_running = True
            job.state = DownloadState.RUNNING
            job.rate.note(self._clock(), job.received_bytes)
            task = asyncio.create_task(self._bring(job, file), name=f"download {file.order.name}")
            self._tasks[task] = job
            task.add_done_callback(partial(self._note_over, job, file))
            self._tell(job)

    async def _bring(self, job: Job, file: FileWork) -> None:
        try:
            path = await self._fetcher.fetch(_wanted(job, file), _FileWatch(self, job, file))
            self._note_whole(job, file, path)
            if all(each.is_done for each in job.files):
                await self._finish(job)
        except PunaError as error:
            await self._fail(job, error.message)
        except Exception:  # noqa: BLE001 - nobody awaits the task: the download has to say so
            _log.exception("download %s failed", job.id)
            await self._fail(job, "Something unexpected happened; `puna logs` tells more.")

    def _note_over(self, job: Job, file: FileWork, task: asyncio.Task[None]) -> None:
        """Let others have the place of a file's task, which may have been cancelled before it began."""
        del self._tasks[task]
        file.is_running = False
        self.note_doing(job, file, "")
        self._begin_files()

    def _note_whole(self, job: Job, file: FileWork, path: Path) -> None:
        file.is_done, file.done_bytes = True, file.size_bytes
        if file is job.files[0]:
            job.path = str(path)
        self._tell(job)

    async def _finish(self, job: Job) -> None:
        await self._fetcher.conclude(job.order.repo, job.order.revision, job.order.commit)
        if job.state in IS_OPEN:
            await self._tell_done(job)  # first: who hears that it is done uses its names at once
        if job.state in IS_OPEN:
            await self._end(job, DownloadState.DONE)
            _log.info("download %s is done: %s", job.id, job.order.name)

    async def _tell_done(self, job: Job) -> None:
        if self._on_done is None:
            return
        try:
            await self._on_done(job.order)
        except Exception as error:  # noqa: BLE001 - the files are here, whatever becomes of the rest
            _log.warning("download %s is done, but what follows is not: %s", job.id, error)

    async def _fail(self, job: Job, message: str) -> None:
        """Stop a download for a reason; where somebody stopped it already, theirs counts."""
        if job.state not in IS_OPEN:
            return
        _log.warning("download %s of %s failed: %s", job.id, job.order.name, message)
        job.error = message
        await self._stop(job, DownloadState.FAILED)

    async def _stop(self, job: Job, state: DownloadState) -> None:
        current = asyncio.current_task()
        tasks = [task for task, of in self._tasks.items() if of is job and task is not current]
        for task in tasks:
            task.cancel()  # before the state is written: the download may be resumed meanwhile
        await self._end(job, state)
        if tasks:
            await asyncio.wait(tasks)

    async def _end(self, job: Job, state: DownloadState) -> None:
        job.state = state
        job.ended_at = None if state is DownloadState.PAUSED else int(self._now())
        await self._keep(job)
        self._tell(job)

    # What is known of downloads

    async def _measure(self, job: Job) -> None:
        """Look on the disk how far each file is."""
        for file in job.files:
            have_bytes = await self._fetcher.measure(_wanted(job, file), file.order.etag)
            file.done_bytes = min(have_bytes, file.size_bytes) if file.size_bytes else have_bytes
            file.size_bytes = max(file.size_bytes, file.done_bytes)

    async def _keep(self, job: Job) -> None:
        """Write a state; a disk that fails must not stop what works."""
        try:
            await self._journal.write(job)
        except PunaError as error:
            _log.warning("the state of download %s is not kept: %s", job.id, error.message)

    async def _forget_old(self) -> None:
        surplus = [job.id for job in self._board.surplus(MAX_ENDED)]
        for download_id in surplus:
            self._board.remove(download_id)
        if surplus:
            await self._journal.remove(surplus)

    def _tell(self, job: Job) -> None:
        for listener in self._listeners:
            listener.tell(job.id)

    def _look(self, download_id: str) -> Download | None:
        job = self._board.get(download_id)
        return job.snapshot(self._clock()) if job else None

    def _job(self, download_id: str) -> Job:
        job = self._board.get(download_id)
        if job is None:
            raise NotFoundError(f"There is no download {download_id[:100]}.")
        return job

    def _check_taking(self) -> None:
        if self._is_closing:
            raise OverloadedError("Puna is stopping.", retry_after_s=_RETRY_AFTER_S)

    def note_arrival(self, job: Job, file: FileWork, have_bytes: int, size_bytes: int) -> None:
        """Take note of what a transfer tells."""
        if not file.note:  # else it is read again from the disk
            job.received_bytes += max(0, have_bytes - file.done_bytes)
            job.rate.note(self._clock(), job.received_bytes)
        file.done_bytes, file.size_bytes = have_bytes, size_bytes
        self._tell(job)

    def note_doing(self, job: Job, file: FileWork, note: str) -> None:
        """Take note of what a transfer does beside receiving."""
        if file.note != note:
            file.note = note
            self._tell(job)


class _FileWatch:
    """Tells the service of one file."""

    def __init__(self, service: DownloadService, job: Job, file: FileWork) -> None:
        self._service = service
        self._job = job
        self._file = file

    def arrived(self, have_bytes: int, size_bytes: int) -> None:
        self._service.note_arrival(self._job, self._file, have_bytes, size_bytes)

    def told(self, note: str) -> None:
        self._service.note_doing(self._job, self._file, note)


def _wanted(job: Job, file: FileWork) -> Wanted:
    return Wanted(
        repo=job.order.repo,
        commit=job.order.commit,
        name=file.order.name,
        size_bytes=file.order.size_bytes,
    )


def _check_not_ended(job: Job) -> None:
    if job.state not in IS_OPEN | IS_STOPPED:
        raise InvalidRequestError(f"The download {job.id} is {job.state}; begin it anew.")
