"""A receiver of webhooks on loopback that fails, stalls, redirects, says that it is gone, and recovers.

It verifies what comes with the `standardwebhooks` library, as a receiver of the wide world does.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How one request is answered."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    stalls: bool = False
    """Nothing is answered until the receiver closes."""
    cuts: bool = False
    """The connection is cut instead of an answer."""
    babbles: bool = False
    """A body without end follows."""
    holds_body: bool = False
    """The head is sent, the body never is."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


class WebhookReceiver:
    """`script` answers requests in turn, then `reply` answers all; `secret` set, what is not signed with it is 401."""

    def __init__(self) -> None:
        self.script: list[Reply] = []
        self.reply = Reply()
        self.secret: str | None = None
        self.received: list[Received] = []
        self.accepted: list[Any] = []
        """Verified bodies that were answered with 2xx."""
        self.refused: list[str] = []
        """Why requests were not believed."""
        self.poured_bytes = 0
        """Of bodies without end."""
        self.under_way = 0
        self.most_under_way = 0
        self.port = 0
        self.scheme = "http"
        self._closing = asyncio.Event()
        self._changed = asyncio.Event()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def until(self, is_so: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something holds of what was received."""
        async with asyncio.timeout(timeout_s):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(path=request.path, headers=headers, body=body, at_s=time.time()))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self._changed.set()
        try:
            return await self._answer(request, body, headers)
        finally:
            self.under_way -= 1
            self._changed.set()

    async def _answer(self, request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
        try:
            payload = Webhook(self.secret).verify(body, headers) if self.secret else None
        except WebhookVerificationError as error:
            self.refused.append(str(error))
            return web.Response(status=401)
        reply = self.script.pop(0) if self.script else self.reply
        if reply.stalls:
            await self._closing.wait()
        if reply.cuts:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if reply.babbles or reply.holds_body:
            return await self._pour(request, reply)
        if 200 <= reply.status <= 299:
            self.accepted.append(payload)
        return web.Response(status=reply.status, headers=reply.headers)

    async def _pour(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers={"Content-Length": str(1 << 40)})
        await response.prepare(request)
        while reply.babbles and not self._closing.is_set():
            await response.write(b"x" * 65_536)
            self.poured_bytes += 65_536
        await self._closing.wait()
        return response

    def close(self) -> None:
        """Let everybody go who is kept waiting."""
        self._closing.set()


@asynccontextmanager
async def run_receiver(
    port: int = 0, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[WebhookReceiver]:
    """Run a receiver on a free port of 127.0.0.1, or on this one."""
    receiver = WebhookReceiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, ssl_context=tls).start()
        receiver.port = runner.addresses[0][1]
        receiver.scheme = "https" if tls else "http"
        yield receiver
    finally:
        receiver.close()
        await runner.cleanup()
