"""Waiting for what may block for ever: a dead network drive, a name server that does not answer."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")
_V = TypeVar("_V")

PATIENCE_S = 15.0
"""For looks at the disk and at other processes; they take milliseconds."""


async def run_bounded(look: Callable[[], _T], timeout_s: float = PATIENCE_S) -> _T:
    """Run a function that blocks in a thread, and return what it returns. Raises what it raises, or `TimeoutError`.

    After the time limit the thread is left alone, and it keeps neither the loop nor the process from ending.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            result = look()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            _tell(loop, partial(_settle, outcome, outcome.set_exception, error))
        else:
            _tell(loop, partial(_settle, outcome, outcome.set_result, result))

    threading.Thread(target=run, name="look", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await outcome


def _settle(outcome: "asyncio.Future[_T]", settle: Callable[[_V], None], value: _V) -> None:
    if not outcome.done():
        settle(value)


def _tell(loop: asyncio.AbstractEventLoop, settle: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
