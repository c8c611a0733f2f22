"""Work that goes on after its request was answered, and ends with the application."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

from aiohttp import web

from puna.api.errors import translate_error

_log = logging.getLogger(__name__)


class BackgroundTasks:
    """The running ones. A failure goes to the log: nobody waits for it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, object], *, name: str | None = None) -> None:
        """Begin the work; returns at once."""
        task = asyncio.create_task(self._run(work), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def start_once(self, name: str, work: Callable[[], Coroutine[object, object, object]]) -> None:
        """Begin the work unless one of this name still runs: clients that ask again and again wait for one."""
        if all(task.get_name() != name for task in self._running):
            self.start(work(), name=name)

    async def close(self) -> None:
        """Cancel what still runs."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, work: Coroutine[object, object, object]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - a border: the log is the only one to tell
            _log.warning("work in the background failed: %s", translate_error(error).message)


_TASKS = web.AppKey("background_tasks", BackgroundTasks)


async def own_background_tasks(app: web.Application) -> AsyncIterator[None]:
    """Hold the tasks while the application runs, and end them with it; a cleanup context."""
    app[_TASKS] = BackgroundTasks()
    yield
    await app[_TASKS].close()


def background_of(request: web.Request) -> BackgroundTasks:
    """Return the background tasks of this application."""
    return request.app[_TASKS]
