"""Streams of news that go on for as long as somebody watches."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from aiohttp import web

from puna.api.encoding import encode_json
from puna.api.errors import translate_error
from puna.api.exchange import Exchange, exchange_of
from puna.api.streaming import SSE, send_chunks
from puna.errors import PunaError

_PACE_S = 0.2
"""The shortest time between two events of a stream; what comes in between is told by the next."""
_HEARTBEAT_S = 10.0

_T = TypeVar("_T")


class Followed(Protocol):
    """What has news: a download, a fine-tuning."""

    @property
    def id(self) -> str:
        """Its name in paths."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether it goes on by itself, so that more news will come."""
        ...


_F = TypeVar("_F", bound=Followed)

Listen = Callable[[], AbstractContextManager[AsyncGenerator[_F]]]
"""Gives everything as it is, and then whatever has news. Raises `OverloadedError`."""


async def follow(
    request: web.Request, event: str, listen: Listen[_F], wanted: str | None
) -> web.StreamResponse:
    """Send news as server-sent events of that name: of the one with this id until it goes on no more, or of all."""
    chunks = _events(event.encode(), listen, wanted, exchange_of(request))
    return await send_chunks(request, SSE, chunks, encode_error)


async def _events(
    event: bytes, listen: Listen[_F], wanted: str | None, exchange: Exchange
) -> AsyncGenerator[bytes]:
    with listen() as news:
        yield b": news of Puna\n\n"
        async for item in with_heartbeats(news):
            if item is None:
                yield b": still there\n\n"
            elif wanted in {None, item.id}:
                exchange.is_complete = wanted is not None and not item.is_open
                yield b"event: " + event + b"\ndata: " + encode_json(item) + b"\n\n"
                if exchange.is_complete:
                    return
                await asyncio.sleep(_PACE_S)
    exchange.is_complete = True


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
