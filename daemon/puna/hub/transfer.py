"""One file from the Hub into its cache: resumed at the byte where it stopped, checked, and never half there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import filelock
from msgspec import Struct

from puna.errors import PunaError, StoreError
from puna.hub import failures
from puna.hub.cache import RepoFolder
from puna.hub.http import HubHttp
from puna.hub.partial import PartFile
from puna.hub.placing import free_bytes, is_there, link
from puna.hub.ports import ContentChangedError, MetadataSource, Wanted, Watch
from puna.hub.receiving import Receiver
from puna.hub.records import FileMetadata

_LOCK_POLL_S = 0.5
_MAX_CHANGES = 2
"""How often the content may change under way before it is given up; at one commit it never should."""


PartMaker = Callable[[Path, FileMetadata, str], PartFile]


class TransferOptions(Struct, frozen=True, kw_only=True):
    """Bounds of all transfers."""

    reserve_bytes: int = 512 * 1024 * 1024
    """What stays free on the disk."""
    max_tries: int = 12
    """Connections in a row that may fail without a byte."""


class Transfer:
    """Fetches files; one for the daemon, called from its event loop."""

    def __init__(
        self,
        source: MetadataSource,
        http: HubHttp,
        cache: Path,
        options: TransferOptions,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        make_part: PartMaker = PartFile,
        measure_free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """`make_part` and `measure_free` are for tests that have no disk to fill."""
        self._cache = cache
        self._options = options
        self._sleep = sleep
        self._receiver = Receiver(source, http, max_tries=options.max_tries, sleep=sleep, clock=clock)
        self._make_part = make_part
        self._measure_free = measure_free

    async def fetch(self, wanted: Wanted, watch: Watch) -> Path:
        """Return where a file is, fetching what of it is not there; cancelling keeps what has arrived.

        Raises the errors of `puna.hub.failures`, and `StoreError` for a disk that cannot be written.
        """
        folder = RepoFolder(self._cache, wanted.repo)
        path = folder.file(wanted.commit, wanted.name)
        if await asyncio.to_thread(is_there, path, wanted.size_bytes):
            size_bytes = (await asyncio.to_thread(path.stat)).st_size
            watch.arrived(size_bytes, size_bytes)
            return path
        for _ in range(_MAX_CHANGES):
            metadata = await self._receiver.look_up(wanted, watch)
            try:
                async with _locked(folder.lock(metadata.etag), watch, self._sleep):
                    return await self._fetch_content(wanted, folder, metadata, watch)
            except ContentChangedError:
                continue
        raise failures.damaged(wanted.name, "the Hub changes it under way")

    async def _fetch_content(
        self, wanted: Wanted, folder: RepoFolder, metadata: FileMetadata, watch: Watch
    ) -> Path:
        """Make sure that the blob is there and has its name."""
        blob = folder.blob(metadata.etag)
        if await asyncio.to_thread(is_there, blob, metadata.size_bytes):
            watch.arrived(metadata.size_bytes, metadata.size_bytes)
            return await asyncio.to_thread(_show, folder, metadata.etag, wanted)
        part = self._make_part(folder.part(metadata.etag), metadata, wanted.name)
        try:
            await self._open(part, metadata, watch)
            await self._check_room(part, metadata, wanted.name)
            await self._receiver.fill(part, metadata, wanted, watch)
            watch.told("checking")
            finishing = asyncio.create_task(asyncio.to_thread(_finish, part, folder, metadata.etag, wanted))
            try:
                return await asyncio.shield(finishing)
            finally:
                await asyncio.wait([finishing])  # who cancels meanwhile leaves no content without a name
        except (failures.DamagedDownloadError, ContentChangedError):
            await asyncio.to_thread(part.discard)
            raise
        finally:
            watch.told("")
            await asyncio.shield(asyncio.to_thread(part.close))

    async def _open(self, part: PartFile, metadata: FileMetadata, watch: Watch) -> None:
        """Open the file, and tell how far the hash of what is there has come."""
        loop, is_wanted = asyncio.get_running_loop(), True

        def on_read(have_bytes: int) -> bool:
            loop.call_soon_threadsafe(watch.arrived, have_bytes, metadata.size_bytes)
            return is_wanted

        watch.told("reading what is there")
        try:
            await asyncio.to_thread(part.open, on_read)
        finally:
            is_wanted = False
        watch.told("")
        watch.arrived(part.size_bytes, metadata.size_bytes)

    async def _check_room(self, part: PartFile, metadata: FileMetadata, name: str) -> None:
        free = await asyncio.to_thread(self._measure_free, part.path)
        needed = metadata.size_bytes - part.size_bytes + self._options.reserve_bytes
        if needed > free:
            raise failures.disk_full(name, needed_bytes=needed, free_bytes=free)


def _finish(part: PartFile, folder: RepoFolder, etag: str, wanted: Wanted) -> Path:
    """Keep a file that is whole, and show it."""
    part.finish(folder.blob(etag))
    return _show(folder, etag, wanted)


def _show(folder: RepoFolder, etag: str, wanted: Wanted) -> Path:
    try:
        return link(folder, etag=etag, commit=wanted.commit, name=wanted.name)
    except OSError as error:
        raise _unusable(wanted.name, error) from error


def _unusable(name: str, error: OSError) -> PunaError:
    return StoreError(f"{name} cannot be written into the Hub's cache: {error.strerror}.")


@asynccontextmanager
async def _locked(path: Path, watch: Watch, sleep: Callable[[float], Awaitable[None]]) -> AsyncIterator[None]:
    """Hold the lock of a content, waiting while another program writes it. A killed program's lock is free."""
    # The mode is the library's own: several users can share a cache.
    lock = filelock.FileLock(path, mode=0o664, thread_local=False, is_singleton=False)
    await asyncio.to_thread(_make_folder, path.parent)
    try:
        while not _try_lock(lock):
            watch.told("another program downloads this file; waiting for it")
            await sleep(_LOCK_POLL_S)
        watch.told("")
        yield
    finally:
        lock.release()


def _try_lock(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    except OSError as error:
        raise _unusable("The lock", error) from error
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable("A file", error) from error
