"""What one connection may carry: several requests, never one inside another, and no silence without an end."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon
from puna import app as app_module
from puna.config import Settings

_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})")


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


LAST = head("GET /health", "Connection: close")
STOP = head("POST /puna/v1/shutdown", f"Authorization: Bearer {ADMIN_TOKEN}", "Content-Length: 0")
"""A request that leaves a trace when somebody takes it for one."""


@asynccontextmanager
async def connection(
    daemon: RunningDaemon,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    try:
        async with asyncio.timeout(60):
            yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def exchange(daemon: RunningDaemon, data: bytes) -> list[int]:
    """Send this, and return the statuses of what comes until the daemon closes the connection."""
    async with connection(daemon) as (reader, writer):
        writer.write(data)
        return [int(status) for status in _STATUS.findall(await reader.read())]


async def test_requests_that_are_sent_together_are_answered_in_their_order(daemon: RunningDaemon) -> None:
    paths = ["/health", "/nope", "/v1/models", "/api/tags"] * 25
    requests = b"".join(head(f"GET {path}") for path in paths)
    statuses = await exchange(daemon, requests + LAST)
    assert statuses == [200, 404, 200, 401] * 25 + [200]
    assert await exchange(daemon, STOP + LAST) == [200, 200]
    assert daemon.stops == ["stop"]


@pytest.mark.parametrize(
    "refused",
    [
        head("POST /api/generate", f"Content-Length: {len(STOP)}"),
        head("POST /nope", f"Content-Length: {len(STOP)}"),
        head("DELETE /generate", f"Content-Length: {len(STOP)}"),
        head("POST /generate", "Origin: https://evil.example", f"Content-Length: {len(STOP)}"),
        head("GET /health", f"Content-Length: {len(STOP)}"),
        head("POST /generate", "Content-Length: 0", f"Content-Length: {len(STOP)}"),
        head("POST /generate", f"Content-Length: {len(STOP)}", "Transfer-Encoding: chunked"),
        head("POST /generate", "Transfer-Encoding: chunked, identity"),
        head("POST /generate", "Transfer-Encoding: xchunked"),
    ],
    ids=[
        "no key",
        "no route",
        "no method",
        "foreign page",
        "body not wanted",
        "two lengths",
        "length and chunks",
        "chunks not last",
        "no such transfer",
    ],
)
async def test_a_body_is_never_taken_for_a_request(daemon: RunningDaemon, refused: bytes) -> None:
    first, *others = await exchange(daemon, refused + STOP + LAST)
    assert first == 200 if b"/health" in refused else 400 <= first < 500
    assert others in ([], [200])
    assert daemon.stops == []


async def test_a_connection_that_stays_silent_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "KEEPALIVE_S", 0.05)
    async with run_daemon(tmp_path, settings=Settings(rate_limits="off")) as daemon:
        for said in (b"", b"GET /hea", head("GET /health")[:-2]):
            assert await exchange(daemon, said) == []
