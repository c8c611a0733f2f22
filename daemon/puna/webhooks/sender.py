"""Messages over HTTP: to an address that was just judged, without redirects, bounded in time and in size."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import truststore
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from puna.errors import PunaError
from puna.webhooks.address import IpAddress, parse_target
from puna.webhooks.gate import Gate
from puna.webhooks.outcome import Answered, Result, Unanswered, parse_retry_after
from puna.webhooks.ports import Message

TIMEOUT_S = 20.0
"""Of a whole attempt, from the name's lookup to the head of the answer."""
_DRAIN_S = 1.0
_DRAIN_BYTES = 64 * 1024
"""So much of an answer's body is read, and dropped, that a receiver may end its sentence."""


class _Pinned(AbstractResolver):
    """Gives addresses that were judged, and asks nobody again."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the interface has it
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class HttpSender:
    """Sends messages, each over a connection of its own; no proxy is used, since it would resolve names anew."""

    def __init__(
        self, gate: Gate, *, timeout_s: float = TIMEOUT_S, now: Callable[[], float] = time.time
    ) -> None:
        """`now` gives seconds since 1970, against which dates of `Retry-After` are read."""
        self._gate = gate
        self._timeout_s = timeout_s
        self._now = now
        self._trust: ssl.SSLContext | None = None

    async def send(self, message: Message) -> Result:
        """Return what came of it. Only its own cancellation is raised."""
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                addresses = await self._gate.admit(parse_target(message.url))
                async with self._open(message.url, addresses) as session:
                    return await self._post(session, message, limit)
        except TimeoutError:
            return Unanswered(f"No answer came within {self._timeout_s:g} seconds.")
        except PunaError as error:
            return Unanswered(error.message)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unanswered(describe_loss(error))

    async def _post(self, session: aiohttp.ClientSession, message: Message, limit: asyncio.Timeout) -> Result:
        async with session.post(
            URL(message.url), data=message.body, headers=message.headers, allow_redirects=False
        ) as response:
            # The status is all that counts: what happens to the rest of the answer changes nothing any more.
            limit.reschedule(None)
            await _drain(response)
            retry_after = response.headers.get("Retry-After")
            return Answered(
                status=response.status, retry_after_s=parse_retry_after(retry_after, now_s=self._now())
            )

    def _open(self, url: str, addresses: Sequence[str]) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses),
            use_dns_cache=False,
            force_close=True,
            socket_factory=_only_to(frozenset(map(ipaddress.ip_address, addresses))),
            ssl=self._context() if url.lower().startswith("https:") else True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._trust


def describe_loss(error: Exception) -> str:
    """Return in a sentence how a connection failed; no text of the receiver or of this machine is in it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "The receiver's certificate cannot be trusted."
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "No secure connection to the receiver could be made."
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "The receiver refused the connection: nothing listens there."
        case aiohttp.ClientConnectorError():
            return "The receiver could not be reached."
        case aiohttp.ClientResponseError() | ValueError():
            return "The receiver's answer is no sound HTTP."
        case _:
            return "The connection was lost before the receiver answered."


def _only_to(addresses: frozenset[IpAddress]) -> Callable[[Any], socket.socket]:
    """Return what makes sockets, for these addresses alone, however the client came by another one."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if ipaddress.ip_address(address[0]) not in addresses:
            raise OSError("an address that was not judged")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


async def _drain(response: aiohttp.ClientResponse) -> None:
    left = _DRAIN_BYTES
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAIN_S):
            while left > 0 and (chunk := await response.content.readany()):
                left -= len(chunk)
    response.close()
