"""Names to addresses, without holding up anything else."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

from puna.errors import PunaError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, in the order in which to try them; one address is its own. Raises `LookupFailedError`."""

_MOST_LOOKUPS = 16
"""Lookups under way, those included that nobody waits for any more: the system's cannot be cancelled."""


class LookupFailedError(PunaError):
    """The name has no address, or none that could be learnt now."""


class NameLookup:
    """The system's own lookup, a thread for each: one that hangs takes neither the loop's threads nor the exit."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(_MOST_LOOKUPS)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host. Raises `LookupFailedError`."""
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        if not self._free.acquire(blocking=False):
            raise LookupFailedError("The name could not be looked up: too many lookups hang.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()
        thread = threading.Thread(
            target=self._look_up, args=(host, port, loop, answer), name="puna-lookup", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._free.release()
            raise LookupFailedError("The name could not be looked up: no thread can be started.") from error
        try:
            return await answer
        except (OSError, UnicodeError) as error:
            raise LookupFailedError(f"The name {host} has no address.") from error

    def _look_up(
        self,
        host: str,
        port: int,
        loop: asyncio.AbstractEventLoop,
        answer: "asyncio.Future[Sequence[str]]",
    ) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        except (OSError, UnicodeError) as error:
            _hand_over(loop, _fail, answer, error)
        else:
            _hand_over(loop, _settle, answer, addresses)
        finally:
            self._free.release()


def _hand_over(loop: asyncio.AbstractEventLoop, do: Callable[..., None], *values: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(do, *values)


def _settle(answer: "asyncio.Future[Sequence[str]]", value: Sequence[str]) -> None:
    if not answer.done():
        answer.set_result(value)


def _fail(answer: "asyncio.Future[Sequence[str]]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
