"""Who watches things that change, such as downloads: each gets the newest state of each, however slowly it reads."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Listener(Generic[_T]):
    """One reader. It never holds more than the names of things that have news, so a slow one costs nothing.

    What has news for longest is read first, so that none is left out while another one tells something all the time.
    """

    def __init__(self, look: Callable[[str], _T | None]) -> None:
        """`look` returns a thing as it is now; None for one that is gone."""
        self._look = look
        self._news: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._is_closed = False

    def tell(self, name: str) -> None:
        """Say that a thing has news; closed, it does not listen any more."""
        if not self._is_closed:
            self._news[name] = None
            self._wake.set()

    def close(self) -> None:
        """Let the reader end after the news that there are."""
        self._is_closed = True
        self._wake.set()

    async def read(self) -> AsyncGenerator[_T]:
        """Yield things that have news, each as it is when it is read, until `close`."""
        while self._news or not self._is_closed:
            await self._wake.wait()
            self._wake.clear()
            while self._news:
                oldest = next(iter(self._news))
                del self._news[oldest]
                found = self._look(oldest)
                if found is not None:
                    yield found
