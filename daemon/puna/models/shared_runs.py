"""Blocking work in threads, done once for all who want the same at the same time."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class SharedRuns:
    """Runs blocking functions in threads; callers with the same key at the same time share one run."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def share(self, key: str, function: Callable[[], _T]) -> _T:
        """Return what the function returns; a caller who is cancelled does not cancel it for the others."""
        task: asyncio.Task[_T] | None = self._running.get(key)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(function))
            self._running[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    async def share_anew(self, key: str, function: Callable[[], _T]) -> _T:
        """As `share`, but without joining a run that has begun already: it may have missed what is there now."""
        running = self._running.get(key)
        if running is not None:
            await asyncio.wait([running])
        return await self.share(key, function)

    def _end(self, key: str, task: asyncio.Task[Any]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()
