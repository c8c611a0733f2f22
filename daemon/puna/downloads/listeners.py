"""Who wants to know how downloads go: each gets the newest state of each download, however slowly it reads."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from puna.domain.downloads import Download


class Listener:
    """One reader. It never holds more than the names of downloads that have news, so a slow one costs nothing.

    What has news for longest is read first, so that none is left out while another one tells something all the time.
    """

    def __init__(self, look: Callable[[str], Download | None]) -> None:
        """`look` returns a download as it is now; None for one that was forgotten."""
        self._look = look
        self._news: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._is_closed = False

    def tell(self, download_id: str) -> None:
        """Say that a download has news."""
        self._news[download_id] = None
        self._wake.set()

    def close(self) -> None:
        """Let the reader end after the news that there are."""
        self._is_closed = True
        self._wake.set()

    async def read(self) -> AsyncGenerator[Download]:
        """Yield downloads that have news, each as it is when it is read, until the daemon stops."""
        while self._news or not self._is_closed:
            await self._wake.wait()
            self._wake.clear()
            while self._news:
                oldest = next(iter(self._news))
                del self._news[oldest]
                download = self._look(oldest)
                if download is not None:
                    yield download
