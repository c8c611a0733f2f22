"""POST /api/pull: a model from the Hub, told as Ollama tells it: a layer is a file."""

import hashlib
from collections.abc import AsyncGenerator, Iterator

from aiohttp import web

from puna.api.bringing import wait_for
from puna.api.context import Context, context_of
from puna.api.encoding import encode_json
from puna.api.exchange import Exchange, exchange_of
from puna.api.ollama.door import find, read
from puna.api.ollama.errors import message_of
from puna.api.ollama.models import name_in
from puna.api.ollama.names import plain_name
from puna.api.ollama.replies import PullReply, StatusReply
from puna.api.ollama.schema import NAME
from puna.api.responses import json_response
from puna.api.streaming import NDJSON, send_chunks
from puna.domain.downloads import Download, FileProgress
from puna.errors import ModelNotFoundError

_LONG_S = 7 * 86_400.0
_SUCCESS = StatusReply("success")


async def pull(request: web.Request) -> web.StreamResponse:
    """POST /api/pull: downloads a model; one that is there is pulled already.

    The daemon owns the download: it goes on when the client leaves, and the next pull takes it up.
    """
    body = await read(request, NAME)
    name, puller = name_in(body), context_of(request).hub.puller
    try:
        await find(request, name)
    except ModelNotFoundError:
        if puller.reference_of(plain_name(name)) is None:
            raise
        download = await puller.pull(plain_name(name))
    else:
        if body.stream is False:
            return json_response(_SUCCESS)
        return await _send(request, _tell_nothing(exchange_of(request)))
    if body.stream is False:
        await wait_for(context_of(request), download, _LONG_S)
        return json_response(_SUCCESS)
    return await _send(request, _tell(context_of(request), download, exchange_of(request)))


async def _send(request: web.Request, lines: AsyncGenerator[bytes]) -> web.StreamResponse:
    return await send_chunks(
        request, NDJSON, lines, lambda error: encode_json({"error": message_of(error)}) + b"\n"
    )


async def _tell_nothing(exchange: Exchange) -> AsyncGenerator[bytes]:
    yield _line(StatusReply("pulling manifest"))
    exchange.is_complete = True
    yield _line(_SUCCESS)


async def _tell(context: Context, begun: Download, exchange: Exchange) -> AsyncGenerator[bytes]:
    yield _line(StatusReply("pulling manifest"))
    told: dict[str, PullReply] = {}
    async for download in _news(context, begun):
        for reply in progress_lines(download):
            if told.get(reply.digest or "") != reply:
                told[reply.digest or ""] = reply
                yield _line(reply)
    yield _line(StatusReply("verifying sha256 digest"))
    yield _line(StatusReply("writing manifest"))
    exchange.is_complete = True
    yield _line(_SUCCESS)


async def _news(context: Context, begun: Download) -> AsyncGenerator[Download]:
    """Yield a download as it goes, until it is done. Raises what stopped it, unless it has gone on meanwhile."""
    yield begun
    while (download := await wait_for(context, begun, 0)).is_open:
        with context.hub.downloads.listen() as news:
            async for each in news:
                if each.id == begun.id:
                    yield each
                    if not each.is_open:
                        break
    yield download


def progress_lines(download: Download) -> Iterator[PullReply]:
    """Yield one line for each file that has begun. Pure."""
    for file in download.files:
        if file.done_bytes or file.is_done or file.note:
            yield _to_line(file)


def _to_line(file: FileProgress) -> PullReply:
    # Ollama's command line cuts 12 digits out of the digest; a file without one gets one of its name.
    digest = file.digest or f"sha256:{hashlib.sha256(file.name.encode()).hexdigest()}"
    short = digest.partition(":")[2][:12] if file.digest else file.name
    return PullReply(
        status=f"pulling {short}", digest=digest, total=file.size_bytes, completed=file.done_bytes
    )


def _line(reply: StatusReply | PullReply) -> bytes:
    return encode_json(reply) + b"\n"
