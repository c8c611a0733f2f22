"""A client that leaves frees what it held, at once."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncGenerator

import pytest

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, until
from fakes.scripted_model import Script, ScriptedWorker, text_of
from puna.api import streaming
from puna.api.dialect import dialect_of_path
from puna.api.middleware import CLIENT_LEFT
from puna.app import DIALECTS
from puna.domain.generation import GenerationEvent, GenerationRequest, Started, TextDelta

REQUESTS = {
    "generate": ("/generate", {"prompt": "x"}),
    "generate stream": ("/generate", {"prompt": "x", "stream": True}),
    "chat": ("/chat", {"messages": [{"role": "user", "content": "x"}]}),
    "chat stream": ("/chat", {"messages": [{"role": "user", "content": "x"}], "stream": True}),
    "batch": ("/generate/batch", {"prompts": ["x", "y", "z"]}),
    "ollama": ("/api/generate", {"model": "demo", "prompt": "x", "stream": False}),
    "ollama stream": ("/api/generate", {"model": "demo", "prompt": "x"}),
    "ollama chat": (
        "/api/chat",
        {"model": "demo", "messages": [{"role": "user", "content": "x"}], "stream": False},
    ),
    "ollama chat stream": ("/api/chat", {"model": "demo", "messages": [{"role": "user", "content": "x"}]}),
    "aitextgen": ("/v1/aitextgen/generate", {"prompt": "x"}),
    "lamini list": ("/v1/completions", {"model_name": "demo", "prompt": ["x", "y", "z"]}),
    "openai chat": (
        "/v1/chat/completions",
        {"model": "demo", "messages": [{"role": "user", "content": "x"}], "n": 3},
    ),
    "openai chat stream": (
        "/v1/chat/completions",
        {"model": "demo", "messages": [{"role": "user", "content": "x"}], "n": 3, "stream": True},
    ),
    "openai list": ("/v1/completions", {"model": "demo", "prompt": ["x", "y", "z"]}),
    "anthropic": (
        "/v1/messages",
        {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
    ),
    "anthropic stream": (
        "/v1/messages",
        {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": True},
    ),
    "openai list stream": ("/v1/completions", {"model": "demo", "prompt": ["x", "y", "z"], "stream": True}),
    "responses": ("/v1/responses", {"model": "demo", "input": "x"}),
    "responses stream": ("/v1/responses", {"model": "demo", "input": "x", "stream": True}),
}


async def send(
    daemon: RunningDaemon, path: str, body: object
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request that no dialect refuses, and return its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    writer.write(encode(path, body))
    return reader, writer


def encode(path: str, body: object) -> bytes:
    encoded = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {ADMIN_TOKEN}\r\n"
    return f"{head}Content-Length: {len(encoded)}\r\n\r\n".encode() + encoded


async def leave(writer: asyncio.StreamWriter, *, is_abrupt: bool = False) -> None:
    if is_abrupt:
        writer.transport.abort()
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.fixture(autouse=True)
def the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Who leaves is no error, so tests look at the log."""
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("is_abrupt", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("deltas", [(), ("Hello", " world")], ids=["in the prompt", "in the text"])
async def test_a_client_that_leaves_frees_its_slots(
    daemon: RunningDaemon,
    caplog: pytest.LogCaptureFixture,
    request_name: str,
    is_abrupt: bool,
    deltas: tuple[str, ...],
) -> None:
    path, body = REQUESTS[request_name]
    dialect = dialect_of_path(path, DIALECTS)
    assert dialect is not None
    # The path of Lamini's completions is OpenAI's; the body tells whose request it is.
    owner = "lamini" if request_name.startswith("lamini") else dialect.name
    slots = 3 if request_name == "batch" or request_name.startswith(("lamini", "openai")) else 1
    daemon.launcher.script = Script(deltas=deltas, is_stalled=True)
    _, writer = await send(daemon, path, body)
    await until(lambda: daemon.worker.running == slots)
    await leave(writer, is_abrupt=is_abrupt)
    await until(lambda: daemon.worker.aborted == slots)
    assert daemon.worker.running == 0
    await until(lambda: daemon.services.activity.open_requests == 0)
    assert daemon.services.activity.answers == {(owner, CLIENT_LEFT): 1}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert caplog.messages[-1].endswith("(client left)")


async def test_a_client_that_leaves_is_told_so_whatever_shows_it_first(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of events that come together, the first write after the departure fails before anything else tells of it."""
    is_gone = asyncio.Event()

    async def generate(_: ScriptedWorker, __: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        yield Started(5)
        yield TextDelta("Hello")
        await is_gone.wait()
        while True:
            yield TextDelta(" world")

    monkeypatch.setattr(ScriptedWorker, "generate", generate)
    loop, heard = asyncio.get_running_loop(), b""
    with socket.create_connection(("127.0.0.1", daemon.port)) as client:
        client.sendall(encode("/generate", {"prompt": "x", "stream": True}))
        client.setblocking(False)
        while b"Hello" not in heard:
            heard += await loop.sock_recv(client, 4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        is_gone.set()
    await until(lambda: daemon.services.activity.open_requests == 0)
    assert daemon.services.activity.answers == {("locallab", CLIENT_LEFT): 1}


async def test_a_client_that_leaves_as_soon_as_it_has_asked_is_gone(daemon: RunningDaemon) -> None:
    """The end of the connection comes right behind the body, while that is being read."""
    for count in range(1, 11):
        with socket.create_connection(("127.0.0.1", daemon.port)) as client:
            client.sendall(encode("/generate", {"prompt": "x"}))
        await until(lambda: sum(daemon.services.activity.answers.values()) == count)  # noqa: B023
    assert daemon.services.activity.answers == {("locallab", CLIENT_LEFT): 10}


async def test_a_client_may_leave_right_after_the_end(
    daemon: RunningDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        reader, writer = await send(daemon, "/generate", {"prompt": "x", "stream": True})
        await reader.readuntil(b"data: [DONE]\n")
        await leave(writer, is_abrupt=True)
    await until(lambda: daemon.services.activity.open_requests == 0)
    assert daemon.services.activity.answers == {("locallab", 200): 20}
    assert daemon.worker.aborted == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_stream_whose_client_left_costs_the_others_nothing(daemon: RunningDaemon) -> None:
    daemon.launcher.script = lambda request: Script(is_stalled=text_of(request) == "stall")
    _, writer = await send(daemon, "/generate", {"prompt": "stall", "stream": True})
    await until(lambda: daemon.worker.running == 1)
    await leave(writer)
    async with daemon.client() as client, client.post("/generate", json={"prompt": "x"}) as answer:
        assert answer.status == 200
    await until(lambda: daemon.worker.aborted == 1)


async def test_a_client_that_does_not_read_is_given_up(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streaming, "SEND_STALL_S", 0.05)
    daemon.launcher.script = Script(deltas=("x" * 100_000,) * 1000)
    _, writer = await send(daemon, "/generate", {"prompt": "x", "stream": True})
    # Nothing is read from this connection, so the buffers of both sides fill.
    await until(lambda: daemon.worker.aborted == 1)
    await until(lambda: daemon.services.activity.open_requests == 0)
    assert daemon.services.activity.answers == {("locallab", CLIENT_LEFT): 1}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    await leave(writer, is_abrupt=True)


async def test_a_slow_reader_gets_everything(daemon: RunningDaemon) -> None:
    daemon.launcher.script = Script(deltas=("x" * 50_000,) * 100)
    body = {"prompt": "x", "stream": True}
    size = 0
    async with daemon.client() as client, client.post("/generate", json=body) as answer:
        async for chunk in answer.content.iter_any():
            size += chunk.count(b"x")
            await asyncio.sleep(0)
    assert size == 100 * 50_000
    assert daemon.worker.aborted == 0


async def test_a_load_goes_on_when_its_client_leaves(daemon: RunningDaemon) -> None:
    daemon.launcher.gate.clear()
    _, writer = await send(daemon, "/models/load", {"model_id": "other"})
    await until(lambda: len(daemon.services.residency.residents()) == 1)
    await leave(writer)
    await until(lambda: daemon.services.activity.open_requests == 0)
    daemon.launcher.gate.set()
    await until(lambda: daemon.services.residency.current is not None)
