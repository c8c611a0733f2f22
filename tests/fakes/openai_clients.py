"""The two `openai` clients from PyPI, sync and async, behind one way to call them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import openai


class Client(Protocol):
    """What both can do; with `stream` the chunks come as a list."""

    async def chat(self, **fields: Any) -> Any: ...

    async def parse(self, **fields: Any) -> Any: ...

    async def chat_events(self, **fields: Any) -> tuple[list[Any], Any]: ...

    async def complete(self, **fields: Any) -> Any: ...

    async def models(self) -> list[Any]: ...

    async def model(self, name: str) -> Any: ...


class Sync:
    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    async def chat(self, **fields: Any) -> Any:
        return await asyncio.to_thread(lambda: _drained(self._client.chat.completions.create(**fields)))

    async def parse(self, **fields: Any) -> Any:
        return await asyncio.to_thread(lambda: self._client.chat.completions.parse(**fields))

    async def chat_events(self, **fields: Any) -> tuple[list[Any], Any]:
        def read() -> tuple[list[Any], Any]:
            with self._client.chat.completions.stream(**fields) as stream:
                return list(stream), stream.get_final_completion()

        return await asyncio.to_thread(read)

    async def complete(self, **fields: Any) -> Any:
        return await asyncio.to_thread(lambda: _drained(self._client.completions.create(**fields)))

    async def models(self) -> list[Any]:
        return await asyncio.to_thread(lambda: list(self._client.models.list()))

    async def model(self, name: str) -> Any:
        return await asyncio.to_thread(lambda: self._client.models.retrieve(name))


class Async:
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def chat(self, **fields: Any) -> Any:
        answer = await self._client.chat.completions.create(**fields)
        return [chunk async for chunk in answer] if fields.get("stream") else answer

    async def parse(self, **fields: Any) -> Any:
        return await self._client.chat.completions.parse(**fields)

    async def chat_events(self, **fields: Any) -> tuple[list[Any], Any]:
        async with self._client.chat.completions.stream(**fields) as stream:
            return [event async for event in stream], await stream.get_final_completion()

    async def complete(self, **fields: Any) -> Any:
        answer = await self._client.completions.create(**fields)
        return [chunk async for chunk in answer] if fields.get("stream") else answer

    async def models(self) -> list[Any]:
        return [model async for model in self._client.models.list()]

    async def model(self, name: str) -> Any:
        return await self._client.models.retrieve(name)


def _drained(answer: Any) -> Any:
    return list(answer) if isinstance(answer, openai.Stream) else answer


@asynccontextmanager
async def open_client(kind: str, base_url: str) -> AsyncIterator[Client]:
    """Give a client, `sync` or `async`, with the placeholder of a key that people use for their own machine."""
    if kind == "sync":
        with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
            yield Sync(client)
    else:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
            yield Async(client)
