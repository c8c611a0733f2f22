"""Reading bodies from the socket: bounded in size and time, and never more than needed."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from fakes.running_daemon import RunningDaemon, run_daemon, until
from puna.api import body as body_module
from puna.api.body import read_body
from puna.api.exchange import Exchange, begin_exchange
from puna.api.head import head_of
from puna.api.locallab.routes import DIALECT
from puna.config import Settings

LIMIT = 4096


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


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, str]]:
    """Return status, headers in lower case, and the JSON body."""
    status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := (await reader.readline()).decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, json.loads(await reader.readexactly(int(headers["content-length"])))


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """A daemon with a limit that tests can pass quickly."""
    async with run_daemon(tmp_path, settings=Settings(body_limit_bytes=LIMIT, rate_limits="off")) as running:
        yield running


async def test_a_body_that_says_it_is_too_large_is_not_read(daemon: RunningDaemon) -> None:
    async with connection(daemon) as (reader, writer):
        writer.write(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\n")
        status, headers, answer = await read_answer(reader)
    assert (status, headers["connection"]) == (413, "close")
    assert answer["detail"] == "The body is too large: the limit is 16777216 bytes."


async def test_a_body_of_100_mb_is_refused_and_the_sender_gets_to_see_it(
    client: aiohttp.ClientSession,
) -> None:
    async with client.post("/generate", data=io.BytesIO(b"x" * 100_000_000)) as answer:
        assert answer.status == 413
        assert "too large" in (await answer.json())["detail"]


async def test_a_chunked_body_is_cut_off_at_the_limit(small: RunningDaemon) -> None:
    async with connection(small) as (reader, writer):
        writer.write(b"POST /chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"1000\r\n" + b" " * LIMIT + b"\r\n1\r\n \r\n")
        status, headers, answer = await read_answer(reader)
    assert (status, headers["connection"]) == (413, "close")
    assert answer["detail"] == f"The body is too large: the limit is {LIMIT} bytes."


async def test_a_chunked_body_is_read_like_any_other(small: RunningDaemon) -> None:
    body = b'{"prompt":"x"}'
    async with connection(small) as (reader, writer):
        writer.write(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in body:
            writer.write(b"1\r\n%c\r\n" % byte)
        writer.write(b"0\r\n\r\n")
        status, _, answer = await read_answer(reader)
    assert (status, answer["response"]) == (200, "Hello world")


async def test_a_small_body_that_unpacks_into_a_large_one_is_refused(small: RunningDaemon) -> None:
    async with small.client() as client:
        packed = gzip.compress(b" " * 1_000_000)
        assert len(packed) < LIMIT
        async with client.post("/generate", data=packed, headers={"Content-Encoding": "gzip"}) as answer:
            assert answer.status == 413


async def test_large_bodies_have_a_bound_together_and_small_ones_always_room(
    small: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "SMALL_BODY_BYTES", 100)
    body = b'{"prompt":"x"}'
    large = body + b" " * (LIMIT - len(body))
    head = f"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LIMIT}\r\n\r\n".encode()
    room = small.app[body_module.BODY_ROOM]
    async with AsyncExitStack() as stack:
        for _ in range(body_module.BODIES_AT_ONCE):
            _, writer = await stack.enter_async_context(connection(small))
            writer.write(head + large[:-1])
        await until(lambda: room.held_bytes == body_module.BODIES_AT_ONCE * (LIMIT - 1))
        async with connection(small) as (reader, writer):
            writer.write(head + large)
            status, headers, answer = await read_answer(reader)
        assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "5")
        assert "other large requests" in answer["detail"]
        async with connection(small) as (reader, writer):
            writer.write(head.replace(b"%d" % LIMIT, b"%d" % len(body)) + body)
            assert (await read_answer(reader))[0] == 200
    await until(lambda: room.held_bytes == 0)
    async with connection(small) as (reader, writer):
        writer.write(head + large)
        assert (await read_answer(reader))[0] == 200
    await until(lambda: room.held_bytes == 0)


@pytest.mark.parametrize("turns", range(10))
async def test_whoever_leaves_while_the_body_is_read_is_not_answered(
    daemon: RunningDaemon, turns: int
) -> None:
    """All of it is there; how far reading is shows in turns of the loop."""
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    request = make_mocked_request("POST", "/generate", payload=content, app=daemon.app)
    begin_exchange(
        request,
        Exchange(head=head_of(request), dialect=DIALECT, route=None, body_limit_bytes=LIMIT, number=1),
    )
    reading = asyncio.create_task(read_body(request))
    await asyncio.sleep(0)
    content.feed_data(b"{}")
    content.feed_eof()
    for _ in range(turns):
        await asyncio.sleep(0)
    is_cancelled = reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled() == is_cancelled


async def test_a_packed_body_is_read_and_a_damaged_one_refused(client: aiohttp.ClientSession) -> None:
    headers = {"Content-Encoding": "gzip"}
    async with client.post("/generate", data=gzip.compress(b'{"prompt":"x"}'), headers=headers) as answer:
        assert answer.status == 200
    async with client.post("/generate", data=b"no gzip at all", headers=headers) as answer:
        assert answer.status == 400
        assert "cannot be read" in (await answer.json())["detail"]


@pytest.mark.parametrize("encoding", ["foo", "gzip, gzip", "br, foo"])
async def test_a_body_in_an_unknown_encoding_is_refused(client: aiohttp.ClientSession, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    async with client.post("/generate", data=b'{"prompt":"x"}', headers=headers) as answer:
        assert answer.status == 415
        assert (await answer.json())["detail"].startswith(
            f"The content encoding {encoding} is not known here"
        )


async def test_a_body_that_stops_coming_is_given_up(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "BODY_STALL_S", 0.05)
    async with connection(daemon) as (reader, writer):
        writer.write(b'POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"pro')
        status, headers, answer = await read_answer(reader)
    assert (status, headers["connection"]) == (400, "close")
    assert answer["detail"] == "The body did not arrive in time."


async def test_a_body_that_trickles_is_given_up_too(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "BODY_TOTAL_S", 0.05)
    async with connection(daemon) as (reader, writer):
        writer.write(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n ")
        status, _, _ = await read_answer(reader)
    assert status == 400


async def test_a_refused_body_is_not_even_invited(daemon: RunningDaemon) -> None:
    async with connection(daemon) as (reader, writer):
        writer.write(
            b"POST /generate HTTP/1.1\r\nHost: localhost\r\n"
            b"Expect: 100-continue\r\nContent-Length: 104857600\r\n\r\n"
        )
        status, _, _ = await read_answer(reader)
    assert status == 413


async def test_a_welcome_body_is_invited(daemon: RunningDaemon) -> None:
    body = b'{"prompt":"x"}'
    async with connection(daemon) as (reader, writer):
        writer.write(
            b"POST /generate HTTP/1.1\r\nHost: localhost\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert await reader.readline() == b"\r\n"
        writer.write(body)
        status, _, answer = await read_answer(reader)
    assert (status, answer["text"]) == (200, "Hello world")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "The body is empty; send a JSON object."),
        (b"{", "The body is not valid JSON: it ends too early, after 1 bytes."),
        (b'{"prompt":"\xff"}', "The body is not valid UTF-8 (byte 11)."),
        (b"[]", "The body must be an object."),
        (b'{"stream":true}', "`prompt` is required."),
        (b'{"prompt":7}', "`prompt` must be a non-empty string."),
        (b'{"inputs":"x"}', "`prompt` is required; `inputs` is its name in another API."),
        (b'{"prompt":"x","top_p":1.5}', "`top_p` must be a number from 0 to 1."),
        (b'{"prompt":"x","temperature":NaN}', "The body is not valid JSON: invalid character (byte 28)."),
        (b'{"x":' + b"[" * 100_000, "The body is not valid JSON: it is nested too deeply."),
    ],
)
@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_a_bad_body_is_a_400(
    client: aiohttp.ClientSession, path: str, body: bytes, complaint: str
) -> None:
    async with client.post(path, data=body) as answer:
        assert answer.status == 400
        assert answer.content_type == "application/json"
        assert await answer.json() == {"detail": complaint, "error": complaint}


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + b"s3cret" * 7000 + b"\r\n\r\n",
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["version", "length", "two hosts", "long header", "chunk"],
)
async def test_what_is_no_sound_http_is_a_400_and_one_line_in_the_log(
    daemon: RunningDaemon, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with connection(daemon) as (reader, writer):
        writer.write(sent)
        assert b" 400 " in await reader.readline()
    record = caplog.records[0]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "no sound HTTP" in record.getMessage()
    assert "s3cret" not in caplog.text


async def test_the_cookies_of_other_programs_on_localhost_do_no_harm(daemon: RunningDaemon) -> None:
    async with daemon.client(Cookie="session=" + 20_000 * "c") as client, client.get("/health") as answer:
        assert answer.status == 200


async def test_a_body_that_is_no_sound_gzip_is_a_400_without_a_traceback_in_the_log(
    daemon: RunningDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with (
        daemon.client() as client,
        client.post("/generate", data=b"no gzip", headers=headers) as answer,
    ):
        assert answer.status == 400
        await answer.read()
    assert [record.exc_info for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize(
    ("path", "header", "status", "detail"),
    [
        (
            "/generate",
            b"Origin: http://\xff.example",
            403,
            "Pages of http://?.example may not use this daemon",
        ),
        ("/v1/messages", b"Origin: http://\xff.example", 403, None),
        (
            "/generate",
            b"Sec-Fetch-Site: same-origin\r\nContent-Type: \xff\xfe",
            415,
            "A request from a web page needs the content type application/json, not ??.",
        ),
    ],
)
async def test_bytes_of_a_header_that_are_no_text_make_no_broken_answer(
    daemon: RunningDaemon, path: str, header: bytes, status: int, detail: str | None
) -> None:
    async with connection(daemon) as (reader, writer):
        writer.write(b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % (path.encode(), header))
        found, _, answer = await read_answer(reader)
    assert found == status
    assert detail is None or answer["detail"].startswith(detail)


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
async def test_programs_may_name_any_content_type(client: aiohttp.ClientSession, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    async with client.post("/generate", data=b'{"prompt":"x"}', headers=headers) as answer:
        assert answer.status == 200
