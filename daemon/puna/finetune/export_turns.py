"""Whose turn it is to merge an adapter with its base."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from puna.errors import OverloadedError

MAX_EXPORTS = 5
"""That may wait or run; more are told to come again."""
_RETRY_AFTER_S = 60.0


class ExportTurns:
    """Who exports takes a turn: several merges at once would fill disk and memory, and none would be done sooner."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._taken = 0

    def check_room(self) -> None:
        """Raise `OverloadedError` when too many wait."""
        if self._taken >= MAX_EXPORTS:
            raise OverloadedError("Too many exports wait; try again later.", retry_after_s=_RETRY_AFTER_S)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for those before. Raises as `check_room`."""
        self.check_room()
        self._taken += 1
        try:
            async with self._turn:
                yield
        finally:
            self._taken -= 1
