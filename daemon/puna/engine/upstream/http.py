"""Connections to one engine: what goes wrong with them is translated here, and nothing is read without a limit."""

import asyncio
import contextlib
import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import msgspec
import truststore
from yarl import URL

from puna.domain.remote import RemoteModel
from puna.engine.upstream import failures
from puna.engine.upstream.event_reader import EventReader, OversizedEventError
from puna.engine.upstream.passage import INSTANCES_HEADER, passage_through
from puna.errors import InvalidRequestError, PunaError

MAX_BODY_BYTES = 128 * 1024 * 1024
"""Of a whole answer: 2048 vectors of 4096 numbers in base64 are 45 MB."""
MAX_EVENT_BYTES = 4 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_ERROR_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 4.0
"""Idle connections are closed before the engine does it: uvicorn, which vLLM and SGLang run on, waits 5 s."""
_DRAIN_S = 0.1
_EVENT_STREAM = "text/event-stream"


class UpstreamHttp:
    """One pool of connections; belongs to one event loop and must be closed there.

    The key goes to the address of the settings and nowhere else: redirects are refused, and neither the
    environment's proxies nor its `.netrc` are looked at.
    """

    def __init__(self, remote: RemoteModel, key: str | None, *, instance: str) -> None:
        """`instance` names this start of Puna, for engines that are Punas too."""
        self._remote = remote
        self._instance = instance
        self._headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        is_secret = remote.base_url.startswith("https:")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEEP_ALIVE_S,
                # The system's own certificates: a frozen program has no others.
                ssl=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_secret else True,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=remote.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections; requests that are open fail. Idempotent."""
        await self._session.close()

    async def get(self, path: str) -> bytes:
        """Return the whole answer to GET at a path below the base address; errors as in `post`."""
        async with self._request("GET", path, None) as response:
            return await self._read_whole(response)

    async def post(self, path: str, body: object) -> bytes:
        """Return the whole answer to a body at a path below the base address, or below its root with a slash.

        Raises what `puna.engine.upstream.failures` lists. The caller limits the time.
        """
        async with self._request("POST", path, body) as response:
            return await self._read_whole(response)

    @asynccontextmanager
    async def stream(self, path: str, body: object) -> AsyncIterator["EventStream"]:
        """Give the events of an answer; errors as in `post`. Leaving early closes the connection."""
        async with self._request("POST", path, body) as response:
            if response.content_type != _EVENT_STREAM:
                raise await self._to_unstreamed(response)
            yield EventStream(response, self._remote)

    @asynccontextmanager
    async def _request(self, method: str, path: str, body: object) -> AsyncIterator[aiohttp.ClientResponse]:
        with translated(self._remote):
            response = await self._session.request(
                method,
                URL(self._url_of(path), encoded=True),
                data=None if body is None else _encode(body),
                headers=self._headers | {INSTANCES_HEADER: passage_through(self._instance)},
                allow_redirects=False,
            )
        try:
            if response.status != 200:
                raise await self._to_error(response)
            yield response
        finally:
            # Given back to the pool where it was read to its end, closed else.
            response.release()

    def _url_of(self, path: str) -> str:
        base = self._remote.base_url
        return f"{base.rpartition('/')[0]}{path}" if path.startswith("/") else f"{base}/{path}"

    async def _read_whole(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        with translated(self._remote):
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    raise failures.odd_answer("more than any answer takes", self._remote)
        return bytes(content)

    async def _to_unstreamed(self, response: aiohttp.ClientResponse) -> PunaError:
        """Return the error for an answer that is no stream: the error that it says, where it says one."""
        fields = failures.read_error(await self._read_whole(response))
        if fields.message:
            return failures.from_event(fields, self._remote)
        what = response.content_type if response.content_type.isprintable() else "something"
        return failures.odd_answer(f"{what[:80]} in place of a stream", self._remote)

    async def _to_error(self, response: aiohttp.ClientResponse) -> PunaError:
        """Return the error for a status; a body that does not come in time is left."""
        content = b""
        try:
            async with asyncio.timeout(_ERROR_TIMEOUT_S):
                content = await response.content.read(_MAX_ERROR_BYTES)
        except (TimeoutError, aiohttp.ClientError):
            pass
        return failures.from_answer(
            response.status, content, response.headers.get("Retry-After"), self._remote
        )


class EventStream:
    """The events of one answer, read as they are wanted."""

    def __init__(self, response: aiohttp.ClientResponse, remote: RemoteModel) -> None:
        self._response = response
        self._remote = remote
        self._reader = EventReader(limit_bytes=MAX_EVENT_BYTES)
        self._ready: deque[bytes] = deque()
        self._is_at_end = False

    async def next(self) -> bytes | None:
        """Return the data of the next event; None at the end of the answer. Errors as in `UpstreamHttp.post`."""
        while not self._ready and not self._is_at_end:
            self._ready.extend(await self._read())
        return self._ready.popleft() if self._ready else None

    async def drain(self) -> None:
        """Read what is left, for a moment, so that the connection can be used again. Raises nothing."""
        with contextlib.suppress(TimeoutError, PunaError):
            async with asyncio.timeout(_DRAIN_S):
                while not self._is_at_end:
                    await self._read()

    async def _read(self) -> list[bytes]:
        with translated(self._remote):
            chunk = await self._response.content.readany()
        self._is_at_end = not chunk
        if self._is_at_end:
            return self._reader.finish()
        try:
            return self._reader.push(chunk)
        except OversizedEventError:
            raise failures.odd_answer("an event that has no end", self._remote) from None


@contextmanager
def translated(remote: RemoteModel) -> Iterator[None]:
    """Turn aiohttp's errors into ours. `TimeoutError` stays what it is, unless it is the connection's."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
        raise failures.unreachable(_reason_of(error), remote) from None
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL):
        raise failures.odd_answer("something that is no HTTP", remote) from None
    except (aiohttp.ClientError, ConnectionError):
        raise failures.cut_off(remote) from None


def _reason_of(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate is not trusted, or it speaks no TLS"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known"
        case aiohttp.ClientConnectorError():
            return os.strerror(error.errno).lower() if error.errno else "no connection"
        case _:
            return "it does not accept the connection in time"


def _encode(body: object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequestError(f"The request cannot be passed on: {error}.") from error
