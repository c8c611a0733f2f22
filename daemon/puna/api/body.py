"""Reading a request body: bounded in size and in time, and not at all when it is refused."""

import asyncio

from aiohttp import HttpVersion11, web

from puna.api.exchange import Exchange, exchange_of
from puna.errors import BodyTooLargeError, InvalidRequestError, OverloadedError, PunaError

BODY_STALL_S = 30.0
"""Longest wait for the next bytes of a body."""
BODY_TOTAL_S = 300.0
"""Longest time for a whole body."""
BODIES_AT_ONCE = 16
"""How many bodies of the greatest length may be in memory together."""
SMALL_BODY_BYTES = 64 * 1024
"""Bodies up to this always have room, so that nobody is shut out by whoever sends large ones."""
_RETRY_AFTER_S = 5.0


class BodyStalledError(InvalidRequestError):
    """The client stopped sending in the middle of its body."""


class BodyRoomError(OverloadedError):
    """The bodies of the open requests leave no room for another one."""


class BodyRoom:
    """The memory that the bodies of all open requests may take together. Used from the event loop only."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """How much they take now."""
        return self._held_bytes

    def take(self, exchange: Exchange, size_bytes: int) -> None:
        """Keep room for more of a body until `leave`; one that comes alone has it. Raises `BodyRoomError`."""
        held_bytes = exchange.held_body_bytes + size_bytes
        others_bytes = self._held_bytes - exchange.held_body_bytes
        if held_bytes > SMALL_BODY_BYTES and 0 < others_bytes > self._limit_bytes - held_bytes:
            raise BodyRoomError(
                "Puna is busy with other large requests; try again in a few seconds.",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._held_bytes += size_bytes
        exchange.held_body_bytes = held_bytes

    def leave(self, exchange: Exchange) -> None:
        """Give back what a request that has ended took."""
        self._held_bytes -= exchange.held_body_bytes
        exchange.held_body_bytes = 0


BODY_ROOM: web.AppKey[BodyRoom] = web.AppKey("body_room")


def check_declared_length(length: int | None, limit_bytes: int) -> None:
    """Refuse a body that says itself that it is too large. Raises `BodyTooLargeError`."""
    if length is not None and length > limit_bytes:
        raise body_too_large(limit_bytes)


def body_too_large(limit_bytes: int) -> PunaError:
    """Return the error for a body above the limit."""
    return BodyTooLargeError(f"The body is too large: the limit is {limit_bytes} bytes.")


async def read_body(request: web.Request) -> bytes:
    """Return the whole body, decompressed where `Content-Encoding` says so.

    Reading stops as soon as the limit of the route is passed. Raises `BodyTooLargeError`, `BodyStalledError`,
    `BodyRoomError`, or `InvalidRequestError` when the connection is lost.
    """
    exchange = exchange_of(request)
    if exchange.early_body is not None:
        early, exchange.early_body = exchange.early_body, None
        return early
    await invite_body(request)
    limit_bytes = exchange.body_limit_bytes
    room = request.app[BODY_ROOM]
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TOTAL_S):
            while chunk := await _read_chunk(request):
                body += chunk
                if len(body) > limit_bytes:
                    raise body_too_large(limit_bytes)
                room.take(exchange, len(chunk))
    except TimeoutError as error:
        raise BodyStalledError("The body did not arrive in time.") from error
    except ConnectionError as error:
        raise InvalidRequestError("The connection was lost while the body was read.") from error
    return bytes(body)


async def _read_chunk(request: web.Request) -> bytes:
    """Return the next bytes, none at the end. `asyncio.wait_for` swallows a cancellation in Python 3.11."""
    async with asyncio.timeout(BODY_STALL_S):
        return await request.content.readany()


async def leave_uninvited(_: web.Request) -> None:
    """Say nothing yet to `Expect: 100-continue`: a body that will be refused is never sent then."""


async def invite_body(request: web.Request) -> None:
    """Answer `Expect: 100-continue`: the body is wanted. Who does not use `read_body` calls it before reading."""
    if request.headers.get("Expect", "").lower() != "100-continue" or request.version < HttpVersion11:
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # The answer proper has not begun: aiohttp takes a response with bytes out as one that is already sent.
    request.writer.output_size = 0
