"""An engine with OpenAI's API that says what a test wrote for it, and breaks off, stalls or babbles where told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Json = Mapping[str, object]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, object]


@dataclass
class FakeEngine:
    """What a test can reach of it. `answers` are by path; a path that is missing there is a 404."""

    port: int = 0
    models: Sequence[Json] = ({"id": "org/big", "owned_by": "vllm", "max_model_len": 4096},)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    left: int = 0
    """Requests whose client left before the answer was over."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def body(self) -> dict[str, object]:
        """The last body."""
        return self.asked[-1].body

    async def handle(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        body = json.loads(content) if content else {}
        self.asked.append(Asked(request.method, request.path, dict(request.headers), body))
        if request.path in self.answers:
            try:
                return await self.answers[request.path](request)
            except (ConnectionError, asyncio.CancelledError):
                self.left += 1
                raise
        if request.path == "/v1/models":
            return web.json_response({"object": "list", "data": list(self.models)})
        return web.json_response({"error": {"message": "no such route", "type": "not_found"}}, status=404)


@asynccontextmanager
async def run_engine() -> AsyncIterator[FakeEngine]:
    """Run the engine on a free port of 127.0.0.1. A handler is cancelled when its client leaves."""
    engine = FakeEngine()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", engine.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        engine.port = runner.addresses[0][1]
        yield engine
    finally:
        await runner.cleanup()


def chunk(delta: Json, *, finish_reason: str | None = None, **others: object) -> bytes:
    """Return an event of a chat."""
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **others})


def event(data: object) -> bytes:
    """Return one event of a stream."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def usage(prompt: int, completion: int) -> bytes:
    """Return the event with the figures."""
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


HELLO = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hello"}),
    chunk({"content": " world"}),
    chunk({}, finish_reason="stop"),
    usage(5, 2),
    event("[DONE]"),
)


def says(*pieces: bytes, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Answer:
    """Answer with these pieces, each a write of its own, and do something before the end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then is not None:
            await then(request)
        return response

    return answer


def replies(body: object, *, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON, or with this very text; header names are written with underscores."""

    async def answer(_: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(text=text, status=status, content_type=kind, headers=named)

    return answer


async def stall(_: web.Request) -> None:
    """Say nothing more."""
    await asyncio.Event().wait()


async def cut(request: web.Request) -> None:
    """Close the connection in the middle of the answer."""
    assert request.transport is not None
    request.transport.abort()
