"""Requests as tests make them, the answer checked on the way."""

from typing import Any

import aiohttp


async def get(client: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    """Return the JSON of a GET request, which must have this status."""
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def post(client: aiohttp.ClientSession, path: str, body: object = None, status: int = 200) -> Any:
    """Return the JSON of a POST request, which must have this status."""
    async with client.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def stream(client: aiohttp.ClientSession, path: str, body: object) -> bytes:
    """Return the bytes of a stream, its headers checked."""
    async with client.post(path, json=body) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["X-Accel-Buffering"] == "no"
        return await answer.read()
