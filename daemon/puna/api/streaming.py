"""One writer for every stream: an event is one write, the client's pace is kept, and who left is noticed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from aiohttp import web

from puna.api.errors import translate_error
from puna.api.exchange import Exchange, exchange_of
from puna.domain.generation import Finished, FinishReason, GenerationEvent, TextDelta
from puna.errors import GenerationError, OverloadedError, PunaError

SSE = "text/event-stream; charset=utf-8"
NDJSON = "application/x-ndjson"

SEND_STALL_S = 120.0
"""How long a client may leave its stream unread before it counts as gone: it holds a slot meanwhile."""


class StreamEncoder(Protocol):
    """Events into the bytes of one dialect. Pure, but may hold text back; made anew for each stream.

    Every method returns whole events, or nothing at all.
    """

    @property
    def content_type(self) -> str:
        """`SSE` or `NDJSON`."""
        ...

    def encode_text(self, text: str) -> bytes:
        """More text."""
        ...

    def encode_finish(self, finished: Finished) -> bytes:
        """The regular end, with whatever was held back."""
        ...

    def encode_error(self, error: PunaError) -> bytes:
        """The end after a failure, with whatever was held back."""
        ...


async def send_stream(
    request: web.Request, events: AsyncGenerator[GenerationEvent], encoder: StreamEncoder
) -> web.StreamResponse:
    """Send the events of one generation and return the response.

    A failure before the first event is raised, so that the answer gets its proper status; a later one ends
    the stream in the dialect's way. The generator is closed in every case, which frees the slot when the
    client left.
    """
    async with aclosing(events):
        first = await _first_event(events)
        response = web.StreamResponse(
            headers={
                "Content-Type": encoder.content_type,
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        try:
            await response.prepare(request)
            await _send_events(response, exchange_of(request), first, events, encoder)
        except ConnectionError:
            # The client is gone. aiohttp must not take this for a failure of ours.
            response.force_close()
    return response


async def _first_event(events: AsyncGenerator[GenerationEvent]) -> GenerationEvent:
    try:
        return check_event(await anext(events))
    except StopAsyncIteration as error:
        raise GenerationError("The model ended without an answer.") from error


async def _send_events(
    response: web.StreamResponse,
    exchange: Exchange,
    first: GenerationEvent,
    events: AsyncGenerator[GenerationEvent],
    encoder: StreamEncoder,
) -> None:
    try:
        await _send_event(response, exchange, first, encoder)
        async for event in events:
            await _send_event(response, exchange, check_event(event), encoder)
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001 - the status is sent: whatever it is, the stream has to say so
        exchange.stream_error = translate_error(error)
        await _write(response, encoder.encode_error(exchange.stream_error))


async def _send_event(
    response: web.StreamResponse, exchange: Exchange, event: GenerationEvent, encoder: StreamEncoder
) -> None:
    match event:
        case TextDelta():
            await _write(response, encoder.encode_text(event.text))
        case Finished():
            exchange.add_usage(event.usage)
            exchange.is_complete = True
            await _write(response, encoder.encode_finish(event))


def check_event(event: GenerationEvent) -> GenerationEvent:
    """Return the event. Raises `OverloadedError` for an end that nobody asked for."""
    if isinstance(event, Finished) and event.reason is FinishReason.ABORT:
        raise OverloadedError("The text was cut off: the model is being unloaded, or the daemon is stopping.")
    return event


async def _write(response: web.StreamResponse, data: bytes) -> None:
    if not data:
        return
    try:
        async with asyncio.timeout(SEND_STALL_S):
            await response.write(data)
    except TimeoutError as error:
        raise ConnectionAbortedError("the client does not read its stream") from error
