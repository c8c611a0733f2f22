"""The Hub's cache as downloads see it: the real `Fetcher`."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from puna.errors import StoreError
from puna.hub import failures
from puna.hub.cache import RepoFolder
from puna.hub.names import is_etag
from puna.hub.placing import free_bytes, write_ref
from puna.hub.ports import Wanted, Watch
from puna.hub.transfer import Transfer


class HubFetcher:
    """Brings files from the Hub into one cache."""

    def __init__(
        self,
        transfer: Transfer,
        cache: Path,
        *,
        reserve_bytes: int,
        measure_free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """`reserve_bytes` stay free on the disk."""
        self._transfer = transfer
        self._cache = cache
        self._reserve_bytes = reserve_bytes
        self._measure_free = measure_free

    async def fetch(self, wanted: Wanted, watch: Watch) -> Path:
        """Return where a file is; cancelling keeps what has arrived. Raises as `Transfer.fetch`."""
        return await self._transfer.fetch(wanted, watch)

    async def check_room(self, name: str, missing_bytes: int, *, promised_bytes: int = 0) -> None:
        """Raise `DiskFullError` where so many bytes do not fit beside those that are promised to other downloads."""
        free = await asyncio.to_thread(self._measure_free, self._cache)
        needed = missing_bytes + self._reserve_bytes
        if missing_bytes and needed + promised_bytes > free:
            raise failures.disk_full(
                name, needed_bytes=needed, free_bytes=free, promised_bytes=promised_bytes
            )

    async def conclude(self, repo: str, revision: str, commit: str) -> None:
        """Remember what a revision means now that its files are there. Raises `StoreError`."""
        folder = RepoFolder(self._cache, repo)
        try:
            await asyncio.to_thread(write_ref, folder, revision=revision, commit=commit)
        except OSError as error:
            raise StoreError(f"The Hub's cache cannot be written: {error.strerror}.") from error

    async def measure(self, wanted: Wanted, etag: str | None) -> int:
        """Return how many bytes of a file are on disk."""
        return await asyncio.to_thread(_measure, RepoFolder(self._cache, wanted.repo), wanted, etag)

    async def discard(self, wanted: Wanted, etag: str | None) -> None:
        """Remove what has arrived of an unfinished file. Raises `StoreError`."""
        if etag is None or not is_etag(etag):
            return
        part = RepoFolder(self._cache, wanted.repo).part(etag)
        try:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        except OSError as error:
            raise StoreError(f"A part of {wanted.name} cannot be removed: {error.strerror}.") from error


def _measure(folder: RepoFolder, wanted: Wanted, etag: str | None) -> int:
    shown = _size_of(folder.file(wanted.commit, wanted.name))
    if shown is not None and wanted.size_bytes in {None, shown}:
        return shown
    if etag is None or not is_etag(etag):
        return 0
    # A whole blob that is not shown yet counts as arrived; showing it is the transfer's work.
    return _size_of(folder.blob(etag)) or _size_of(folder.part(etag)) or 0


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
