"""Reading a request body: bounded in size and in time, and not at all when it is refused."""

import asyncio

from aiohttp import HttpVersion11, web

from puna.api.exchange import exchange_of
from puna.errors import BodyTooLargeError, InvalidRequestError, PunaError

BODY_STALL_S = 30.0
"""Longest wait for the next bytes of a body."""
BODY_TOTAL_S = 300.0
"""Longest time for a whole body."""


class BodyStalledError(InvalidRequestError):
    """The client stopped sending in the middle of its body."""


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
    or `InvalidRequestError` when the connection is lost.
    """
    exchange = exchange_of(request)
    if exchange.early_body is not None:
        early, exchange.early_body = exchange.early_body, None
        return early
    await invite_body(request)
    limit_bytes = exchange.body_limit_bytes
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TOTAL_S):
            while chunk := await asyncio.wait_for(request.content.readany(), BODY_STALL_S):
                body += chunk
                if len(body) > limit_bytes:
                    raise body_too_large(limit_bytes)
    except TimeoutError as error:
        raise BodyStalledError("The body did not arrive in time.") from error
    except ConnectionError as error:
        raise InvalidRequestError("The connection was lost while the body was read.") from error
    return bytes(body)


async def leave_uninvited(_: web.Request) -> None:
    """Say nothing yet to `Expect: 100-continue`: a body that will be refused is never sent then."""


async def invite_body(request: web.Request) -> None:
    """Answer `Expect: 100-continue`: the body is wanted. Who does not use `read_body` calls it before reading."""
    if request.headers.get("Expect", "").lower() != "100-continue" or request.version < HttpVersion11:
        return
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # The answer proper has not begun: aiohttp takes a response with bytes out as one that is already sent.
    request.writer.output_size = 0
