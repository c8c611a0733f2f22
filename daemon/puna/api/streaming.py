"""One writer for every stream: an event is one write, the client's pace is kept, and who left is noticed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Protocol

from aiohttp import web
from msgspec import Struct

from puna.api.errors import translate_error
from puna.api.exchange import Exchange, exchange_of
from puna.domain.generation import Finished, FinishReason, GenerationEvent
from puna.errors import GenerationError, OverloadedError, PunaError

SSE = "text/event-stream; charset=utf-8"
NDJSON = "application/x-ndjson"

SEND_STALL_S = 120.0
"""How long a client may leave its stream unread before it counts as gone: it holds a slot meanwhile."""
SILENCE_S = 15.0
"""The longest silence of a stream that may have comments."""
_COMMENT = b": waiting\n\n"


class StreamEncoder(Protocol):
    """Events into the bytes of one dialect. Pure, but may hold text back; made anew for each stream.

    Both methods return whole events, or nothing at all.
    """

    @property
    def content_type(self) -> str:
        """`SSE` or `NDJSON`."""
        ...

    def encode(self, event: GenerationEvent) -> bytes:
        """The next event; with `Finished` come whatever was held back and the regular end."""
        ...

    def encode_error(self, error: PunaError) -> bytes:
        """The end after a failure, with whatever was held back."""
        ...


async def send_stream(
    request: web.Request, events: AsyncGenerator[GenerationEvent], encoder: StreamEncoder
) -> web.StreamResponse:
    """Send the events of one generation and return the response; errors as in `send_chunks`."""
    chunks = _encode(events, encoder, exchange_of(request))
    return await send_chunks(request, encoder.content_type, chunks, encoder.encode_error)


async def _encode(
    events: AsyncGenerator[GenerationEvent], encoder: StreamEncoder, exchange: Exchange
) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        async for event in events:
            note_event(event, exchange)
            exchange.is_complete = isinstance(event, Finished)
            yield encoder.encode(event)


async def send_chunks(
    request: web.Request,
    content_type: str,
    chunks: AsyncGenerator[bytes],
    encode_error: Callable[[PunaError], bytes],
) -> web.StreamResponse:
    """Send chunks of whole events, empty ones left out, and return the response.

    A failure before anything was sent is raised, so that the answer gets its proper status; a later one ends the
    stream with the bytes of `encode_error`. The generator is closed in every case, which frees the slots when the
    client left; it sets `Exchange.is_complete` before its last chunk. HEAD gets the head alone.
    """
    exchange = exchange_of(request)
    wire = _Wire(request, content_type, has_comments=exchange.dialect.has_comments and content_type == SSE)
    async with aclosing(chunks):
        try:
            await _send(wire, exchange, chunks, encode_error)
        except ConnectionError:
            if not wire.is_open:
                raise
            # The client is gone. aiohttp must not take this for a failure of ours.
            exchange.has_left = True
            wire.response.force_close()
    return wire.response


async def _send(
    wire: "_Wire",
    exchange: Exchange,
    chunks: AsyncGenerator[bytes],
    encode_error: Callable[[PunaError], bytes],
) -> None:
    try:
        async with wire.kept_alive():
            await _send_all(wire, chunks)
    except ConnectionError:
        raise
    except Exception as error:
        if not wire.is_open:
            raise
        # The status is sent: whatever it is, the stream has to say so.
        exchange.stream_error = translate_error(error)
        await wire.send(encode_error(exchange.stream_error))


async def _send_all(wire: "_Wire", chunks: AsyncGenerator[bytes]) -> None:
    is_empty = True
    async for chunk in chunks:
        if chunk:
            is_empty = False
            await wire.send(chunk)
            if wire.is_head_only:
                return
    if is_empty:
        raise GenerationError("The model ended without an answer.")


class _Wire:
    """A streamed response that begins with its first bytes. Between events, comments show that it lives.

    A prompt may take minutes before there is a first event; proxies and HTTP clients give up a silent answer sooner.
    """

    def __init__(self, request: web.Request, content_type: str, *, has_comments: bool) -> None:
        self.response = web.StreamResponse(
            headers={"Content-Type": content_type, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        self.is_open = False
        """Whether the status is sent, or was about to be."""
        self.is_head_only = request.method == "HEAD"
        self._request = request
        self._has_comments = has_comments
        self._turn = asyncio.Lock()
        self._is_quiet = True

    async def send(self, data: bytes) -> None:
        """Send whole events. Raises `ConnectionError` when nobody reads them."""
        if not data:
            return
        self._is_quiet = False
        async with self._turn:
            if not self.is_open:
                self.is_open = True
                await self.response.prepare(self._request)
            if not self.is_head_only:
                await _write(self.response, data)

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Send comments while the block is silent, where the dialect's clients know them."""
        if not self._has_comments:
            yield
            return
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self) -> None:
        with suppress(ConnectionError):  # whoever sends the next event finds out
            while True:
                self._is_quiet = True
                await asyncio.sleep(SILENCE_S)
                if self._is_quiet:
                    await self.send(_COMMENT)


class ChoiceEvent(Struct, frozen=True):
    """An event of one of several texts that are generated at the same time."""

    index: int
    """Which text it is, from 0."""
    event: GenerationEvent


@asynccontextmanager
async def merge_events(
    streams: Sequence[AsyncGenerator[GenerationEvent]],
) -> AsyncIterator[AsyncGenerator[ChoiceEvent]]:
    """Give the events of several generations as they come; the first failure ends all of them and is raised.

    All generators are closed behind the block.
    """
    queue: asyncio.Queue[ChoiceEvent | Exception | None] = asyncio.Queue()

    async def pump(index: int, events: AsyncGenerator[GenerationEvent]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    queue.put_nowait(ChoiceEvent(index, event))
        except Exception as error:  # noqa: BLE001 - raised where the events are read
            queue.put_nowait(error)
        else:
            queue.put_nowait(None)

    async def read() -> AsyncGenerator[ChoiceEvent]:
        left = len(streams)
        while left:
            item = await queue.get()
            match item:
                case ChoiceEvent():
                    yield item
                case None:
                    left -= 1
                case error:
                    raise error

    tasks = [asyncio.create_task(pump(index, events)) for index, events in enumerate(streams)]
    try:
        async with aclosing(read()) as merged:
            yield merged
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def note_event(event: GenerationEvent, exchange: Exchange) -> None:
    """Note what a text cost, at its end. Raises `OverloadedError` for an end that nobody asked for."""
    if isinstance(event, Finished):
        check_finished(event)
        exchange.add_usage(event.usage)


def check_finished(finished: Finished) -> None:
    """Raise `OverloadedError` for an end that nobody asked for."""
    if finished.reason is FinishReason.ABORT:
        raise OverloadedError("The text was cut off: the model is being unloaded, or the daemon is stopping.")


async def _write(response: web.StreamResponse, data: bytes) -> None:
    try:
        async with asyncio.timeout(SEND_STALL_S):
            await response.write(data)
    except TimeoutError as error:
        raise ConnectionAbortedError("the client does not read its stream") from error
