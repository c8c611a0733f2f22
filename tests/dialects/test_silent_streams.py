"""Streams whose model is silent for long: a long prompt on a slow machine."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest
from anthropic import AsyncAnthropic
from openai import APIError, AsyncOpenAI

from fakes.running_daemon import RunningDaemon, until
from fakes.scripted_model import ScriptedWorker
from puna.api import streaming
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Started,
    TextDelta,
    Usage,
)
from puna.errors import WorkerDiedError

COMMENT = b": waiting\n\n"
MESSAGES = [{"role": "user", "content": "Hello"}]
WITH_COMMENTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "demo", "messages": MESSAGES},
    "/v1/completions": {"model": "demo", "prompt": "Hello"},
    "/v1/responses": {"model": "demo", "input": "Hello", "store": False},
    "/v1/messages": {"model": "demo", "messages": MESSAGES, "max_tokens": 5},
}
WITHOUT_COMMENTS: dict[str, dict[str, Any]] = {
    "/generate": {"prompt": "Hello"},
    "/chat": {"messages": MESSAGES},
}


class Silence:
    """Every model is silent until it is over, and fails then where it has a failure."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_over = asyncio.Event()
        self.failure: Exception | None = None
        monkeypatch.setattr(streaming, "SILENCE_S", 0.01)
        monkeypatch.setattr(ScriptedWorker, "generate", lambda _, request: self._generate(request))

    async def _generate(self, _: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        await self.is_over.wait()
        if self.failure is not None:
            raise self.failure
        yield Started(5)
        yield TextDelta("Hello")
        yield Finished(FinishReason.STOP, Usage(5, 1))


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Silence:
    return Silence(monkeypatch)


def ask(client: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Any:
    return client.post(path, json=body | {"stream": True})


@pytest.mark.parametrize(("path", "body"), WITH_COMMENTS.items(), ids=WITH_COMMENTS)
async def test_a_silent_stream_shows_that_it_lives(
    client: aiohttp.ClientSession, silence: Silence, path: str, body: dict[str, Any]
) -> None:
    async with asyncio.timeout(60), ask(client, path, body) as answer:
        assert answer.status == 200
        assert await answer.content.readexactly(3 * len(COMMENT)) == 3 * COMMENT
        silence.is_over.set()
        rest = await answer.content.read()
    assert b"Hello" in rest


@pytest.mark.parametrize(("path", "body"), WITH_COMMENTS.items(), ids=WITH_COMMENTS)
async def test_a_failure_after_a_comment_is_the_stream_s_own(
    daemon: RunningDaemon,
    client: aiohttp.ClientSession,
    silence: Silence,
    path: str,
    body: dict[str, Any],
) -> None:
    silence.failure = WorkerDiedError("The worker ended with signal 9.")
    async with asyncio.timeout(60), ask(client, path, body) as answer:
        await answer.content.readexactly(len(COMMENT))
        silence.is_over.set()
        rest = await answer.content.read()
    assert b"The worker ended with signal 9." in rest
    await until(lambda: daemon.services.activity.open_requests == 0)


@pytest.mark.parametrize(("path", "body"), WITH_COMMENTS.items(), ids=WITH_COMMENTS)
async def test_a_failure_before_the_first_comment_keeps_its_status(
    client: aiohttp.ClientSession,
    silence: Silence,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: dict[str, Any],
) -> None:
    monkeypatch.setattr(streaming, "SILENCE_S", 600)
    silence.failure = WorkerDiedError("The worker ended with signal 9.")
    silence.is_over.set()
    async with ask(client, path, body) as answer:
        assert answer.status >= 500
        assert answer.content_type == "application/json"


@pytest.mark.parametrize(("path", "body"), WITHOUT_COMMENTS.items(), ids=WITHOUT_COMMENTS)
async def test_clients_that_take_every_line_for_text_get_no_comment(
    client: aiohttp.ClientSession, silence: Silence, path: str, body: dict[str, Any]
) -> None:
    async def end_silence() -> None:
        await asyncio.sleep(0.1)
        silence.is_over.set()

    ending = asyncio.create_task(end_silence())
    async with asyncio.timeout(60), ask(client, path, body) as answer:
        assert COMMENT not in await answer.content.read()
    await ending


async def test_a_client_that_leaves_a_silent_stream_frees_its_slot(
    daemon: RunningDaemon, client: aiohttp.ClientSession, silence: Silence
) -> None:
    async with ask(client, "/v1/chat/completions", WITH_COMMENTS["/v1/chat/completions"]) as answer:
        await answer.content.readexactly(len(COMMENT))
        answer.close()
    await until(lambda: daemon.services.activity.open_requests == 0)
    assert not silence.is_over.is_set()


async def test_the_real_clients_skip_comments(daemon: RunningDaemon, silence: Silence) -> None:
    async def end_silence() -> None:
        await until(lambda: daemon.services.activity.open_requests == 2)
        await asyncio.sleep(0.1)
        silence.is_over.set()

    async def ask_openai() -> list[str]:
        async with AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="any") as openai:
            chunks = await openai.chat.completions.create(
                model="demo", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            return [choice.delta.content or "" async for chunk in chunks for choice in chunk.choices]

    async def ask_anthropic() -> list[str]:
        async with (
            AsyncAnthropic(base_url=daemon.url, api_key="any") as anthropic,
            anthropic.messages.stream(
                model="demo", max_tokens=5, messages=[{"role": "user", "content": "Hello"}]
            ) as stream,
        ):
            return [text async for text in stream.text_stream]

    async with asyncio.timeout(60):
        texts, others, _ = await asyncio.gather(ask_openai(), ask_anthropic(), end_silence())
    assert "".join(texts) == "".join(others) == "Hello"


async def test_the_real_client_is_told_of_a_failure_after_a_comment(
    daemon: RunningDaemon, silence: Silence
) -> None:
    silence.failure = WorkerDiedError("The worker ended with signal 9.")
    async with asyncio.timeout(60), AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="any") as openai:
        chunks = await openai.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        silence.is_over.set()
        with pytest.raises(APIError, match="signal 9"):
            async for _ in chunks:
                pass
