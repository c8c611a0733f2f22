"""OpenAI's routes as no SDK would send them, models for Anthropic's clients, and the path shared with Lamini."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import pytest

from fakes.asking import get, post, stream
from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import Script, ScriptedLauncher
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.api.openai.chat.schema import ChatBody
from puna.config import Settings
from puna.domain.dialects import DialectName
from puna.domain.generation import (
    ChatPrompt,
    FinishReason,
    GenerationRequest,
    ToolCallArguments,
    ToolCallBegin,
)

CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"
ASK: dict[str, Any] = {"model": "demo", "messages": [{"role": "user", "content": "How warm is Oslo?"}]}
LAMINI: dict[str, Any] = {"model_name": "demo", "prompt": "x"}
OPENAI: dict[str, Any] = {"model": "demo", "prompt": "x"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def events_of(sent: bytes) -> list[Any]:
    """Return the events of a stream that ended well, each decoded."""
    *events, done, rest = sent.decode("ascii").split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def prompt_of(request: GenerationRequest) -> ChatPrompt:
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


def message(**fields: Any) -> dict[str, Any]:
    return ASK | {"messages": [fields]}


async def test_a_stream_is_ascii_and_joins_to_the_whole_text(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(deltas=TRAP)
    chunks = events_of(await stream(client, CHAT, ASK | {"stream": True}))
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == TRAP_TEXT
    texts = events_of(await stream(client, COMPLETIONS, OPENAI | {"stream": True}))
    assert "".join(chunk["choices"][0]["text"] for chunk in texts) == TRAP_TEXT


async def test_several_answers_begin_in_their_order(client: aiohttp.ClientSession) -> None:
    chunks = events_of(await stream(client, CHAT, ASK | {"stream": True, "n": 3}))
    assert [chunk["choices"][0]["index"] for chunk in chunks[:3]] == [0, 1, 2]
    assert all(chunk["choices"][0]["delta"]["role"] == "assistant" for chunk in chunks[:3])
    ends = [chunk for chunk in chunks if chunk["choices"][0]["finish_reason"]]
    assert sorted(chunk["choices"][0]["index"] for chunk in ends) == [0, 1, 2]


async def test_the_old_form_of_tools_is_answered_in_kind(
    client: aiohttp.ClientSession, launcher: ScriptedLauncher
) -> None:
    launcher.script = Script(
        deltas=(ToolCallBegin(0, "call_a", "weather"), ToolCallArguments(0, '{"town":"Oslo"}')),
        reason=FinishReason.TOOL_CALLS,
    )
    body = ASK | {"functions": [TOOL["function"]], "function_call": "auto"}
    (choice,) = (await post(client, CHAT, body))["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"town":"Oslo"}'}
    assert "tool_calls" not in choice["message"]


async def test_a_model_need_not_be_named(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    for name in ({}, {"model": None}, {"model": ""}):
        answer = await post(client, CHAT, {"messages": ASK["messages"]} | name)
        assert answer["model"] == "demo"


@pytest.mark.parametrize(
    ("fields", "is_thinking", "effort"),
    [
        ({}, None, None),
        ({"reasoning_effort": "none"}, None, "none"),
        ({"reasoning": {"effort": "high"}}, None, "high"),
        ({"reasoning": {"enabled": False}}, False, None),
        ({"enable_thinking": False}, False, None),
        ({"think": True}, True, None),
        ({"think": "low"}, None, "low"),
        ({"chat_template_kwargs": {"enable_thinking": False, "x": 1}}, False, None),
        ({"chat_template_kwargs": {"thinking": True}}, True, None),
    ],
)
async def test_thinking_is_asked_for_in_the_words_of_many(
    daemon: RunningDaemon,
    client: aiohttp.ClientSession,
    fields: dict[str, Any],
    is_thinking: bool | None,
    effort: str | None,
) -> None:
    await post(client, CHAT, ASK | fields)
    prompt = prompt_of(daemon.worker.requests[0])
    assert (prompt.is_thinking, prompt.effort) == (is_thinking, effort)
    assert json.loads(prompt.template_variables) == fields.get("chat_template_kwargs", {})


@pytest.mark.parametrize(
    ("body", "field", "complaint"),
    [
        ({"model": "demo"}, "messages", "`messages` is required"),
        ({"model": "demo", "prompt": "x"}, "messages", "`prompt` is its name in another API"),
        (ASK | {"messages": []}, "messages", "a list of 1 to 10000 items"),
        (ASK | {"messages": "x"}, "messages", "must be a list"),
        (message(role="boss", content="x"), "messages[0].role", "one of system, developer, user"),
        (message(role="user"), "messages[0].content", "is required"),
        (message(role="user", content=3), "messages[0].content", "a string or a list"),
        (
            message(
                role="user", content=[{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}]
            ),
            "messages[0].content[1]",
            "images are not supported yet",
        ),
        (message(role="user", content=[{"type": "input_audio"}]), "messages[0].content[0]", "audio is not"),
        (message(role="user", content=[{"type": "file"}]), "messages[0].content[0]", "files are not"),
        (message(role="user", content=[{"type": "text"}]), "messages[0].content[0].text", "is required"),
        (message(role="assistant", audio={"id": "a"}), "messages[0].audio", "not supported yet"),
        (
            message(role="assistant", tool_calls=[{"id": "a", "type": "custom"}]),
            "messages[0].tool_calls[0].type",
            "must be function",
        ),
        (ASK | {"temperature": 2.1}, "temperature", "from 0 to 2"),
        (ASK | {"top_p": "x"}, "top_p", "from 0 to 1"),
        (ASK | {"n": 129}, "n", "from 1 to 128"),
        (ASK | {"n": 1.5}, "n", "whole number"),
        (ASK | {"max_tokens": 0}, "max_tokens", "at least 1"),
        (ASK | {"max_completion_tokens": 0}, "max_completion_tokens", "at least 1"),
        (ASK | {"top_logprobs": 21, "logprobs": True}, "top_logprobs", "from 0 to 20"),
        (ASK | {"top_logprobs": 2}, "top_logprobs", "needs `logprobs`"),
        (ASK | {"logit_bias": {"hello": 1}}, "logit_bias", "token ids"),
        (ASK | {"logit_bias": {"9" * 5000: 1}}, "logit_bias", "token ids"),
        (ASK | {"logit_bias": {"1": 101}}, "logit_bias[...]", "100"),
        (
            ASK | {"response_format": {"type": "xml"}},
            "response_format.type",
            "text, json_object or json_schema",
        ),
        (
            ASK | {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
            "is required",
        ),
        (
            ASK | {"response_format": {"type": "json_schema"}},
            "response_format.json_schema.schema",
            "required",
        ),
        (ASK | {"tools": [{"type": "web_search"}]}, "tools[0].type", "must be function"),
        (ASK | {"tools": [{"type": "function"}]}, "tools[0].function", "is required"),
        (
            ASK | {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "letters, digits",
        ),
        (ASK | {"tools": [TOOL, TOOL]}, "tools", "two tools of the name weather"),
        (ASK | {"tool_choice": "required"}, "tool_choice", "there are no tools"),
        (ASK | {"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice", "auto, none, required"),
        (ASK | {"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice", "must name a function"),
        (
            ASK | {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            "names x, which is none of the tools",
        ),
        (ASK | {"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call", "names g"),
        (ASK | {"modalities": ["text", "audio"]}, "modalities", "audio is not supported"),
        (ASK | {"audio": {"voice": "alloy"}}, "audio", "answers are text"),
        (ASK | {"web_search_options": {}}, "web_search_options", "nothing is searched"),
        (ASK | {"grammar": "root ::= x"}, "grammar", "send `response_format`"),
        (ASK | {"guided_json": {"type": "object"}}, "guided_json", "send `response_format`"),
    ],
    ids=str,
)
async def test_what_cannot_be_honoured_is_a_400_that_names_it(
    daemon: RunningDaemon, client: aiohttp.ClientSession, body: dict[str, Any], field: str, complaint: str
) -> None:
    answer = await post(client, CHAT, body, status=400)
    assert complaint in answer["detail"]
    assert answer["error"]["param"] == field
    assert answer["error"]["message"] == answer["detail"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert daemon.worker.requests == []


@pytest.mark.parametrize(
    ("body", "field", "complaint"),
    [
        ({"model": "demo"}, "prompt", "`prompt` is required"),
        (OPENAI | {"prompt": []}, "prompt", "a list of 1 to 1000000 items"),
        (OPENAI | {"prompt": ["a", 1]}, "prompt", "a list of token ids"),
        (OPENAI | {"prompt": [1, [2]]}, "prompt", "a list of token ids"),
        (OPENAI | {"prompt": [1, -2]}, "prompt", "from 0 to 2147483647"),
        (OPENAI | {"prompt": [[1], [2**70]]}, "prompt", "from 0 to 2147483647"),
        (OPENAI | {"prompt": ["a", "b"], "n": 65}, "prompt", "130 texts"),
        (OPENAI | {"best_of": 2}, "best_of", "the same as `n`"),
        (OPENAI | {"logprobs": 6}, "logprobs", "from 0 to 5"),
        (OPENAI | {"logprobs": 1, "echo": True}, "logprobs", "cannot be told of a prompt"),
        (OPENAI | {"suffix": "b", "echo": True}, "echo", "cannot be combined"),
        (OPENAI | {"prompt": [1], "echo": True}, "echo", "text"),
        (OPENAI | {"suffix": "b"}, "suffix", "not trained"),
        (OPENAI | {"max_tokens": -2}, "max_tokens", "from -1"),
        (OPENAI | {"guided_regex": "x"}, "guided_regex", "not supported"),
    ],
    ids=str,
)
async def test_completions_that_cannot_be_honoured_are_a_400(
    daemon: RunningDaemon, client: aiohttp.ClientSession, body: dict[str, Any], field: str, complaint: str
) -> None:
    answer = await post(client, COMPLETIONS, body, status=400)
    assert complaint in answer["detail"]
    assert answer["error"]["param"] == field
    assert daemon.worker.requests == []


async def test_null_is_the_same_as_absent(daemon: RunningDaemon, client: aiohttp.ClientSession) -> None:
    names = set(ChatBody.__struct_fields__) - {"messages", "model"}
    await post(client, CHAT, ASK | dict.fromkeys(names))
    await post(client, CHAT, ASK)
    first, second = daemon.worker.requests
    assert first == second


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, ASK | {"tool_choice": "required"}),
        (CHAT, ASK | {"response_format": {"type": "xml"}}),
        (COMPLETIONS, OPENAI | {"prompt": ["a", 1]}),
        (COMPLETIONS, OPENAI | {"logit_bias": {"x": 1}}),
    ],
)
async def test_what_is_wrong_is_told_before_a_model_is_loaded(
    launcher: ScriptedLauncher, client: aiohttp.ClientSession, path: str, body: dict[str, Any]
) -> None:
    launcher.broken["other"] = "this model cannot be loaded"
    await post(client, path, body | {"model": "other"}, status=400)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/chat/completions", "but /v1/chat/completions: give your program a base address that ends in /v1."),
        ("/responses", "but /v1/responses: give your program a base address that ends in /v1."),
        ("/v1/v1/messages", "give your program a base address without /v1."),
    ],
)
async def test_who_has_another_base_address_is_told(
    client: aiohttp.ClientSession, path: str, advice: str
) -> None:
    error = (await post(client, path, ASK, status=404))["error"]
    assert error["code"] == "unknown_url"
    assert error["message"].endswith(advice)


async def test_wrong_paths_and_methods_are_told_in_openai_s_way(client: aiohttp.ClientSession) -> None:
    unknown = (await get(client, "/v1/nope", status=404))["error"]
    assert (unknown["code"], unknown["message"]) == (
        "unknown_url",
        "There is no /v1/nope here; /docs shows all that Puna serves.",
    )
    async with client.get(CHAT) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert (await answer.json())["error"]["code"] == "method_not_supported"


async def test_models_are_listed_for_both_kinds_of_clients(client: aiohttp.ClientSession) -> None:
    listed = await get(client, MODELS)
    assert listed["data"][0] == {
        "id": "demo",
        "object": "model",
        "created": 1_767_323_045,
        "owned_by": "puna",
        "type": "model",
        "display_name": "Demo",
        "created_at": "2026-01-02T03:04:05Z",
        "lifecycle": "active",
        "max_input_tokens": 2048,
        "max_model_len": 2048,
    }
    ids = [model["id"] for model in listed["data"]]
    assert (listed["object"], listed["has_more"]) == ("list", False)
    assert (listed["first_id"], listed["last_id"]) == (ids[0], ids[-1])
    assert await get(client, "/inf/models") == listed
    assert await get(client, f"{MODELS}/org/model") == listed["data"][2]


async def test_a_model_that_was_loaded_by_its_path_is_listed(
    daemon: RunningDaemon, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await post(client, "/models/load", {"model_id": str(tmp_path / "mine.gguf")})
    assert "mine" in [model["id"] for model in (await get(client, MODELS))["data"]]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ("limit=2", ["demo", "other"], True),
        ("limit=2&after_id=demo", ["other", "org/model"], True),
        ("limit=2&before_id=thinker", ["other", "org/model"], True),
        ("after_id=embedder", ["reranker"], False),
        ("before_id=other", ["demo"], False),
        ("after_id=reranker", [], False),
    ],
)
async def test_models_come_in_pages_where_they_are_asked_for(
    client: aiohttp.ClientSession, query: str, ids: list[str], has_more: bool
) -> None:
    page = await get(client, f"{MODELS}?{query}")
    assert [model["id"] for model in page["data"]] == ids
    assert page["has_more"] is has_more
    assert page["first_id"] == (ids[0] if ids else None)


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "1.5", "9" * 5000])
async def test_a_page_has_a_size(client: aiohttp.ClientSession, limit: str) -> None:
    answer = await get(client, f"{MODELS}?limit={limit}", status=400)
    assert answer["detail"] == "`limit` must be a whole number from 1 to 1000."


async def test_anthropic_s_client_reads_the_models(daemon: RunningDaemon) -> None:
    async with anthropic.AsyncAnthropic(base_url=daemon.url, api_key="none", max_retries=0) as client:
        listed = [model async for model in client.models.list(limit=2)]
        assert [model.id for model in listed][:3] == ["demo", "other", "org/model"]
        assert (listed[0].display_name, listed[0].created_at.year) == ("Demo", 2026)
        assert (await client.models.retrieve("demo")).id == "demo"
        with pytest.raises(anthropic.NotFoundError, match="There is no model nope") as unknown:
            await client.models.retrieve("nope")
        assert isinstance(unknown.value.body, dict)
        assert unknown.value.body["type"] == "error"
        assert unknown.value.body["error"]["type"] == "not_found_error"


async def test_one_path_serves_lamini_and_openai(keyed: aiohttp.ClientSession) -> None:
    assert await post(keyed, COMPLETIONS, LAMINI) == {"output": "Hello world"}
    assert (await post(keyed, COMPLETIONS, OPENAI))["object"] == "text_completion"


async def test_openai_needs_no_key_here_and_lamini_does(client: aiohttp.ClientSession) -> None:
    assert (await post(client, COMPLETIONS, OPENAI))["object"] == "text_completion"
    for body in (LAMINI, OPENAI | {"out_type": {"Answer": "str"}}):
        refused = await post(client, COMPLETIONS, body, status=401)
        assert "needs a key" in refused["detail"]
    async with client.post(COMPLETIONS, data=b"{", headers={"Lamini-Version": "3.4.6"}) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_lamini_may_be_open_where_openai_is_not(tmp_path: Path) -> None:
    settings = Settings(open_dialects=(DialectName.LAMINI,), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon, daemon.client() as client:
        assert await post(client, COMPLETIONS, LAMINI) == {"output": "Hello world"}
        for body in (OPENAI, {"prompt": "x"}, "not JSON"):
            refused = await post(client, COMPLETIONS, body, status=401)
            assert refused["error"]["code"] == "invalid_api_key"


async def test_a_body_of_nobody_is_told_what_is_missing(client: aiohttp.ClientSession) -> None:
    answer = await post(client, COMPLETIONS, {"prompt": "x"}, status=400)
    assert "`model` is required" in answer["detail"]
    assert "`model_name`" in answer["detail"]
    assert answer["error"] == {
        "message": answer["detail"],
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    settings = Settings(rate_limits="off lamini=1/min openai=2/min")
    async with run_daemon(tmp_path, settings=settings, clock=lambda: 1e9) as running:
        yield running


async def test_limits_of_the_shared_path_follow_the_dialect(limited: RunningDaemon) -> None:
    async with limited.client(X_Api_Key=await limited.make_key()) as client:
        await post(client, COMPLETIONS, LAMINI)
        assert "error" in await post(client, COMPLETIONS, LAMINI, status=429)
        for _ in range(2):
            await post(client, COMPLETIONS, OPENAI)
        refused = await post(client, COMPLETIONS, OPENAI, status=429)
        assert refused["error"]["code"] == "rate_limit_exceeded"


async def test_the_log_names_the_dialect_whose_request_it_was(
    daemon: RunningDaemon, keyed: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "puna.access"):
        await post(keyed, COMPLETIONS, LAMINI)
        await post(keyed, COMPLETIONS, OPENAI)
    first, second = caplog.messages[-2:]
    assert "lamini" in first
    assert "openai" in second
    assert daemon.services.activity.answers == {("lamini", 200): 1, ("openai", 200): 1}
    assert {name: usage.completion_tokens for name, usage in daemon.services.activity.usage.items()} == {
        "lamini": 2,
        "openai": 2,
    }
