"""Several texts of one request in one stream."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from aiohttp import web

from puna.api.exchange import Exchange, exchange_of
from puna.api.streaming import StreamEncoder, merge_events, note_event, send_chunks, send_stream
from puna.domain.generation import Finished, GenerationEvent


class ChoicesEncoder(StreamEncoder, Protocol):
    """A `StreamEncoder` for texts that are generated at the same time."""

    def encode_choice(self, index: int, event: GenerationEvent) -> bytes:
        """As `encode`, for one of the texts."""
        ...


async def send_choices(
    request: web.Request, streams: Sequence[AsyncGenerator[GenerationEvent]], encoder: ChoicesEncoder
) -> web.StreamResponse:
    """Send the texts as they come and return the response; errors as in `send_chunks`."""
    if len(streams) == 1:
        return await send_stream(request, streams[0], encoder)
    chunks = _encode(streams, encoder, exchange_of(request))
    return await send_chunks(request, encoder.content_type, chunks, encoder.encode_error)


async def _encode(
    streams: Sequence[AsyncGenerator[GenerationEvent]], encoder: ChoicesEncoder, exchange: Exchange
) -> AsyncGenerator[bytes]:
    left = len(streams)
    async with merge_events(streams) as events:
        async for each in events:
            note_event(each.event, exchange)
            left -= isinstance(each.event, Finished)
            exchange.is_complete = not left
            yield encoder.encode_choice(each.index, each.event)
