"""A conversation of more messages than any model reads is refused before it holds up everybody else's."""

import io
import json
from typing import Any

import aiohttp
import pytest

from fakes.asking import post
from fakes.running_daemon import RunningDaemon
from puna.api.bounds import MAX_MESSAGES, MAX_PROMPT_TOKENS

TURN = {"role": "user", "content": "x"}
LONG = [TURN] * (MAX_MESSAGES + 1)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/chat", {"messages": LONG}, "messages"),
        ("/api/chat", {"model": "demo", "messages": LONG}, "messages"),
        (
            "/api/v1/organizations/{}/generate",
            {"model_id": "demo", "messages": [[TURN], LONG]},
            "messages[1]",
        ),
    ],
)
async def test_too_many_messages_are_a_400(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, path: str, body: dict[str, Any], field: str
) -> None:
    refused = await post(keyed, path.format(daemon.services.keys.default_organisation.id), body, status=400)
    assert refused["detail"].startswith(f"`{field}` must be a list of ")
    assert refused["detail"].endswith(f" to {MAX_MESSAGES} items.")


async def test_a_context_of_too_many_numbers_is_a_400(keyed: aiohttp.ClientSession) -> None:
    body = {"model": "demo", "prompt": "x", "context": [1] * (MAX_PROMPT_TOKENS + 1)}
    async with keyed.post("/api/generate", data=io.BytesIO(json.dumps(body).encode())) as answer:
        assert answer.status == 400
        refused = await answer.json()
    assert refused["error"] == f"`context` must be a list of 0 to {MAX_PROMPT_TOKENS} items."


async def test_a_conversation_as_long_as_that_is_answered(keyed: aiohttp.ClientSession) -> None:
    answer = await post(keyed, "/chat", {"messages": LONG[1:]})
    assert answer["choices"][0]["message"]["content"] == "Hello world"
