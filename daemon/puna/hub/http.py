"""Bytes from the Hub and the hosts that it sends us to: redirects by hand, so that the token goes to the Hub only."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import truststore
from yarl import URL

from puna.hub import failures
from puna.hub.token import headers_for

_MAX_REDIRECTS = 6
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_TIMEOUT_S = 15.0
_TEXT_LIMIT_S = 30.0
"""How long a small text may take in all."""
MAX_TEXT_BYTES = 1024 * 1024


class HubHttp:
    """One pool of connections; belongs to one event loop and must be closed there."""

    def __init__(
        self, endpoint: str, read_token: Callable[[], Awaitable[str | None]], *, stall_s: float = 30.0
    ) -> None:
        """`stall_s` is how long no byte may come before a connection counts as dead."""
        self.endpoint = endpoint
        self._read_token = read_token
        self._stall_s = stall_s
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def get(self, url: str, *, first_byte: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for the bytes from `first_byte` on, following redirects; any status may come.

        Raises `HubUnreachableError` for redirects that are none, and aiohttp's errors and `TimeoutError` when the
        connection fails, now or while the bytes are read.
        """
        address = _address(url, self.endpoint)
        for _ in range(_MAX_REDIRECTS):
            async with await self._ask(address, first_byte) as response:
                if response.status not in _REDIRECTS or "Location" not in response.headers:
                    yield response
                    return
                address = _address(response.headers["Location"], self.endpoint, base=address)
        raise failures.odd_answer("too many redirects")

    async def _ask(self, address: URL, first_byte: int) -> aiohttp.ClientResponse:
        headers = await self._headers(str(address), first_byte)
        try:
            return await self._open().get(address, headers=headers, allow_redirects=False)
        except ValueError as error:  # the system cannot look up such a name
            raise failures.odd_answer("it redirects to an odd address") from error

    async def text(self, url: str) -> str | None:
        """Return a small text file, its first megabyte where it is longer; None where there is no such file."""
        try:
            async with asyncio.timeout(_TEXT_LIMIT_S), self.get(url) as response:
                if response.status != 200:
                    return None
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) >= MAX_TEXT_BYTES:
                        break
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failures.unreachable(describe_loss(error)) from error
        return bytes(content[:MAX_TEXT_BYTES]).decode(errors="replace")

    async def _headers(self, url: str, first_byte: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", **headers_for(url, self.endpoint, await self._read_token())}
        return {**headers, "Range": f"bytes={first_byte}-"} if first_byte else headers

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=self._stall_s
            )
            # The system's own certificates, as `huggingface_hub` uses them: a frozen program has no others.
            connector = aiohttp.TCPConnector(ssl=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            self._session = aiohttp.ClientSession(
                timeout=timeout, connector=connector, auto_decompress=False, trust_env=True
            )
        return self._session


def _address(text: str, endpoint: str, *, base: URL | None = None) -> URL:
    """Read an address; raise for one that is none of the web's, or would be asked in the clear where the Hub is not."""
    schemes = {"https"} if endpoint.startswith("https:") else {"http", "https"}
    try:
        address = URL(text, encoded=True)
        address = base.join(address) if base else address
        if address.scheme in schemes and address.host and address.port:
            return address
    except ValueError:
        pass
    raise failures.odd_answer("it redirects to an odd address")


def describe_loss(error: Exception) -> str:
    """Return in words how a connection failed."""
    match error:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate cannot be trusted"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case _:
            return "the connection was lost"
