"""Streams of news that go on for as long as somebody watches."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from puna.api.encoding import encode_json
from puna.api.errors import translate_error
from puna.errors import PunaError

PACE_S = 0.2
"""The shortest time between two events of a stream; what comes in between is told by the next."""
_HEARTBEAT_S = 10.0

_T = TypeVar("_T")


async def with_heartbeats(news: AsyncGenerator[_T]) -> AsyncGenerator[_T | None]:
    """Yield the news, and None now and then: only a write tells that the client has left."""
    while True:
        waiting: asyncio.Future[_T | None] = asyncio.ensure_future(anext(news, None))
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=_HEARTBEAT_S)
                if not waiting.done():
                    yield None
            piece = waiting.result()
        finally:
            waiting.cancel()
        if piece is None:
            return
        yield piece


def encode_error(error: PunaError) -> bytes:
    """Return the event that ends a stream which failed."""
    return b"event: error\ndata: " + encode_json({"detail": translate_error(error).message}) + b"\n\n"
