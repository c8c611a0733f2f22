"""The real `ollama` client from PyPI, sync and async, `generate` in every way, against the running daemon."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import ollama
import pytest

from fakes.running_daemon import RunningDaemon, until
from fakes.scripted_model import Script
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import TextPrompt
from puna.errors import ContextOverflowError, WorkerDiedError
from puna.keys.identity import Scope


class Client(Protocol):
    """Both clients behind one way to call them."""

    async def generate(self, **fields: Any) -> ollama.GenerateResponse: ...

    async def stream(self, **fields: Any) -> list[ollama.GenerateResponse]: ...


class Sync:
    def __init__(self, client: ollama.Client) -> None:
        self._client = client

    async def generate(self, **fields: Any) -> ollama.GenerateResponse:
        return await asyncio.to_thread(lambda: self._client.generate(**fields))

    async def stream(self, **fields: Any) -> list[ollama.GenerateResponse]:
        return await asyncio.to_thread(lambda: list(self._client.generate(**fields, stream=True)))


class Async:
    def __init__(self, client: ollama.AsyncClient) -> None:
        self._client = client

    async def generate(self, **fields: Any) -> ollama.GenerateResponse:
        answer: ollama.GenerateResponse = await self._client.generate(**fields)
        return answer

    async def stream(self, **fields: Any) -> list[ollama.GenerateResponse]:
        return [part async for part in await self._client.generate(**fields, stream=True)]


@pytest.fixture
async def key(daemon: RunningDaemon) -> str:
    return await daemon.make_key(Scope.INFER, Scope.MANAGE)


@pytest.fixture(params=["sync", "async"])
async def real(request: pytest.FixtureRequest, daemon: RunningDaemon, key: str) -> AsyncIterator[Client]:
    headers = {"X-Api-Key": key}
    if request.param == "sync":
        with ollama.Client(host=daemon.url, headers=headers) as client:
            yield Sync(client)
    else:
        async with ollama.AsyncClient(host=daemon.url, headers=headers) as client:
            yield Async(client)


async def test_generate(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    answer = await real.generate(model="demo", prompt="Why is the sky blue?")
    assert (answer.model, answer.response, answer.done, answer.done_reason) == (
        "demo",
        TRAP_TEXT,
        True,
        "stop",
    )
    assert (answer.prompt_eval_count, answer.eval_count) == (5, len(TRAP))
    assert isinstance(answer.total_duration, int)


async def test_a_stream_joins_to_the_whole_text(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    parts = await real.stream(model="demo:latest", prompt="Why is the sky blue?")
    assert "".join(part.response or "" for part in parts) == TRAP_TEXT
    assert [part.done for part in parts] == [False] * len(TRAP) + [True]
    assert parts[-1].eval_count == len(TRAP)


async def test_every_field(daemon: RunningDaemon, real: Client) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    await real.generate(
        model="demo",
        prompt="How old is Carl?",
        suffix="",
        template="",
        raw=True,
        think=False,
        format=schema,
        options=ollama.Options(temperature=0, num_predict=20, seed=7, stop=["\n"], num_ctx=2048),
        keep_alive="5m",
    )
    (request,) = daemon.worker.requests
    assert (request.prompt, request.max_tokens, request.stop) == (TextPrompt("How old is Carl?"), 20, ("\n",))
    assert (request.sampling.temperature, request.sampling.seed) == (0, 7)
    assert isinstance(request.constraint, JsonSchemaConstraint)


async def test_loading_and_unloading(daemon: RunningDaemon, real: Client) -> None:
    assert (await real.generate(model="other")).done_reason == "load"
    assert [each.entry.id for each in daemon.services.residency.residents()] == ["other"]
    assert (await real.generate(model="other", keep_alive=0)).done_reason == "unload"
    assert daemon.services.residency.residents() == ()


@pytest.mark.parametrize("way", ["generate", "stream"])
async def test_errors_reach_the_caller(daemon: RunningDaemon, real: Client, way: str) -> None:
    call = getattr(real, way)
    with pytest.raises(ollama.ResponseError, match="model not found: There is no model nope") as unknown:
        await call(model="nope", prompt="x")
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match='"demo" does not support thinking') as refused:
        await call(model="demo", prompt="x", think=True)
    assert refused.value.status_code == 400
    daemon.launcher.script = Script(deltas=(), failure=ContextOverflowError("The prompt has 3000 tokens."))
    with pytest.raises(ollama.ResponseError, match="3000 tokens"):
        await call(model="demo", prompt="x")


async def test_a_failure_in_mid_stream_is_raised(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    with pytest.raises(ollama.ResponseError, match="killed by signal 9"):
        await real.stream(model="demo", prompt="x")


async def test_the_key_may_come_from_the_environment(
    daemon: RunningDaemon, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", key)
    with ollama.Client(host=daemon.url) as client:
        answer = await Sync(client).generate(model="demo", prompt="x")
    assert answer.response == "Hello world"
    monkeypatch.delenv("OLLAMA_API_KEY")
    with ollama.Client(host=daemon.url) as client, pytest.raises(ollama.ResponseError) as refused:
        await Sync(client).generate(model="demo", prompt="x")
    assert refused.value.status_code == 401


async def test_a_client_that_stops_listening_frees_its_slot(daemon: RunningDaemon, key: str) -> None:
    daemon.launcher.script = Script(is_stalled=True)

    def take_one(parts: Iterator[ollama.GenerateResponse]) -> str | None:
        return next(parts).response

    with ollama.Client(host=daemon.url, headers={"X-Api-Key": key}) as client:
        parts = client.generate(model="demo", prompt="x", stream=True)
        assert await asyncio.to_thread(take_one, parts) == "Hello"
        await asyncio.to_thread(parts.close)
    await until(lambda: daemon.worker.aborted == 1)
