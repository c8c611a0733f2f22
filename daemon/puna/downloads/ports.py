"""What downloads need of the world."""

from pathlib import Path
from typing import Protocol

from puna.hub.ports import Wanted, Watch


class Fetcher(Protocol):
    """Brings files into the cache; `puna.downloads.cached.HubFetcher` is the real one."""

    async def fetch(self, wanted: Wanted, watch: Watch) -> Path:
        """Return where a file is; cancelling keeps what has arrived. Raises `PunaError`."""
        ...

    async def check_room(self, name: str, missing_bytes: int, *, promised_bytes: int = 0) -> None:
        """Raise `DiskFullError` where so many bytes more do not fit on the disk; `name` is for people.

        `promised_bytes` are still to come of other downloads.
        """
        ...

    async def conclude(self, repo: str, revision: str, commit: str) -> None:
        """Remember what a revision means now that its files are there. Raises `PunaError`."""
        ...

    async def measure(self, wanted: Wanted, etag: str | None) -> int:
        """Return how many bytes of a file are on disk. Asks nobody."""
        ...

    async def discard(self, wanted: Wanted, etag: str | None) -> None:
        """Remove what has arrived of an unfinished file."""
        ...
