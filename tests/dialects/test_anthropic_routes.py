"""Anthropic's routes as bytes: what its SDKs never send, and what they do not show."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import Script, ScriptedLauncher
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.config import Settings
from puna.domain.generation import FinishReason, ReasoningDelta, ToolCallArguments, ToolCallBegin
from puna.errors import (
    GenerationTimeoutError,
    ModelLoadError,
    OverloadedError,
    PunaError,
    WorkerDiedError,
)
from puna.keys.identity import Scope

HELLO: dict[str, Any] = {
    "model": "demo",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}


async def ask(
    client: aiohttp.ClientSession, path: str = "/v1/messages", **fields: Any
) -> tuple[aiohttp.ClientResponse, Any]:
    """Return an answer in JSON, and what it says."""
    async with client.post(path, json=HELLO | fields) as answer:
        assert answer.content_type == "application/json"
        return answer, await answer.json()


async def stream(client: aiohttp.ClientSession, **fields: Any) -> tuple[aiohttp.ClientResponse, list[Any]]:
    """Return a streamed answer, and the data of its events."""
    async with client.post("/v1/messages", json=HELLO | {"stream": True} | fields) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        text = await answer.text()
    assert text.isascii()
    assert text.endswith("\n\n")
    return answer, [json.loads(event.partition("\ndata: ")[2]) for event in text.strip().split("\n\n")]


async def test_the_least_body_gets_the_documented_answer(client: aiohttp.ClientSession) -> None:
    answer, said = await ask(client)
    assert answer.status == 200
    assert said.pop("id").startswith("msg_")
    assert said == {
        "type": "message",
        "role": "assistant",
        "model": "demo",
        "content": [{"type": "text", "text": "Hello world"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 0},
        },
    }


async def test_a_stream_begins_with_a_message_and_a_ping_and_has_the_whole_text(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=TRAP)
    _, events = await stream(client)
    assert [event["type"] for event in events[:3]] == ["message_start", "ping", "content_block_start"]
    assert events[0]["message"]["content"] == []
    assert events[0]["message"]["stop_reason"] is None
    assert events[0]["message"]["usage"]["input_tokens"] == 5
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(texts) == TRAP_TEXT
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"]["output_tokens"] == len(TRAP)
    assert events[-1] == {"type": "message_stop"}


async def test_every_answer_tells_its_request_id(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    good, _ = await ask(client)
    counted, _ = await ask(client, "/v1/messages/count_tokens")
    streamed, _ = await stream(client)
    refused, told = await ask(client, max_tokens=-1)
    launcher.script = Script(failure=WorkerDiedError("gone"))
    failed, events = await stream(client)
    ids = [answer.headers["request-id"] for answer in (good, counted, streamed, refused, failed)]
    assert len(set(ids)) == 5
    assert all(each.startswith("req_") for each in ids)
    assert told["request_id"] == refused.headers["request-id"]
    assert events[-1]["request_id"] == failed.headers["request-id"]


async def test_an_error_has_the_documented_shape_and_a_detail(client: aiohttp.ClientSession) -> None:
    answer, said = await ask(client, model="nope")
    message = "model: There is no model nope; the nearest is demo."
    assert answer.status == 404
    assert said == {
        "type": "error",
        "error": {"type": "not_found_error", "message": message},
        "request_id": answer.headers["request-id"],
        "detail": message,
    }


async def test_a_thread_is_refused_with_the_code_that_sdks_know(client: aiohttp.ClientSession) -> None:
    answer, said = await ask(client, thread={"type": "create"})
    assert answer.status == 400
    assert said["error"]["details"] == {"error_code": "thread_unsupported_request", "unsupported": []}


async def test_a_failure_before_the_first_event_of_a_stream_has_its_status(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=(), failure=OverloadedError("Too many wait.", retry_after_s=4.2))
    answer, said = await ask(client, stream=True)
    assert (answer.status, answer.headers["Retry-After"]) == (529, "5")
    assert said["error"] == {"type": "overloaded_error", "message": "Too many wait."}


@pytest.mark.parametrize(
    ("error", "status", "type_", "should_retry"),
    [
        (GenerationTimeoutError("Nothing came."), 504, "timeout_error", "false"),
        (ModelLoadError("It is no GGUF."), 500, "api_error", "false"),
        (WorkerDiedError("It was killed."), 500, "api_error", None),
    ],
)
async def test_sdks_are_told_where_trying_again_is_in_vain(
    client: aiohttp.ClientSession,
    launcher: ScriptedLauncher,
    error: PunaError,
    status: int,
    type_: str,
    should_retry: str | None,
) -> None:
    launcher.script = Script(deltas=(), failure=error)
    answer, said = await ask(client)
    assert (answer.status, said["error"]["type"]) == (status, type_)
    assert answer.headers.get("x-should-retry") == should_retry


async def test_the_walls_fail_in_this_way_too(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/messages") as wrong_method:
        assert wrong_method.status == 405
        refused = (await wrong_method.json())["error"]
        assert refused["type"] == "invalid_request_error"
        assert refused["message"].startswith("This path does not take this method: ")
    async with client.post("/v1/messages/batches", json={}) as unknown:
        assert unknown.status == 404
        missed = (await unknown.json())["error"]
        assert missed["type"] == "not_found_error"
        assert missed["message"].endswith("no batches: send each message by itself.")
    async with client.post("/v1/messages", data=b"{") as broken:
        assert broken.status == 400
        assert "not valid JSON" in (await broken.json())["error"]["message"]
    limited = await daemon.make_key(Scope.TRAIN)
    async with daemon.client(X_Api_Key=limited, X_Forwarded_For="203.0.113.7") as other:
        answer, said = await ask(other)
        assert (answer.status, said["error"]["type"]) == (403, "permission_error")
    async with daemon.client(X_Forwarded_For="203.0.113.7") as stranger:
        answer, said = await ask(stranger)
        assert (answer.status, said["error"]["type"]) == (401, "authentication_error")


async def test_a_body_above_the_limit_has_its_own_type(tmp_path: Path) -> None:
    settings = Settings(rate_limits="off", body_limit_bytes=1024)
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        answer, said = await ask(client, system="x" * 2000)
    assert (answer.status, said["error"]["type"]) == (413, "request_too_large")


async def test_a_rate_is_limited_in_this_way_and_counting_is_free(tmp_path: Path) -> None:
    settings = Settings(rate_limits="anthropic=1/min:1")
    async with (
        run_daemon(tmp_path, settings=settings, clock=lambda: 1e9) as daemon,
        daemon.client() as client,
    ):
        for _ in range(3):
            assert (await ask(client, "/v1/messages/count_tokens"))[1] == {"input_tokens": 5}
        assert (await ask(client))[0].status == 200
        answer, said = await ask(client)
    assert (answer.status, said["error"]["type"]) == (429, "rate_limit_error")
    assert answer.headers["Retry-After"] == "60"


async def test_what_agents_add_is_no_matter(daemon: RunningDaemon) -> None:
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b", "x-app": "cli", "x-api-key": "k"}
    body = HELLO | {
        "metadata": {"user_id": "somebody"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "diagnostics": {"previous_message_id": None},
        "nobody_knows": 1,
    }
    async with (
        daemon.client(**headers) as client,
        client.post("/v1/messages?beta=true", json=body) as answer,
    ):
        assert answer.status == 200


async def test_thinking_that_nobody_asked_for_stays_here(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=(ReasoningDelta("Hm."), "Yes."))
    assert (await ask(client))[1]["content"] == [{"type": "text", "text": "Yes."}]
    _, events = await stream(client)
    assert "Hm." not in json.dumps(events)
    thinking = {"type": "adaptive"}
    assert (await ask(client, thinking=thinking))[1]["content"][0]["thinking"] == "Hm."
    _, events = await stream(client, thinking=thinking)
    assert {"type": "thinking_delta", "thinking": "Hm."} in [event.get("delta") for event in events]


async def test_a_call_that_was_cut_off_is_no_call(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    begun = (ToolCallBegin(0, "call_1", "delete"), ToolCallArguments(0, '{"path": "/tmp'))
    launcher.script = Script(deltas=("Well.", *begun), reason=FinishReason.LENGTH)
    tools = [{"name": "delete", "input_schema": {"type": "object"}}]
    _, said = await ask(client, tools=tools)
    assert said["content"] == [{"type": "text", "text": "Well."}]
    assert said["stop_reason"] == "max_tokens"
    _, events = await stream(client, tools=tools)
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


async def test_models_that_do_not_make_text_are_refused(client: aiohttp.ClientSession) -> None:
    answer, said = await ask(client, model="embedder")
    assert (answer.status, said["error"]["type"]) == (400, "invalid_request_error")
