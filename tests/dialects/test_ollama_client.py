"""The real `ollama` client from PyPI, sync and async, every method of it, against the running daemon."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import ollama
import pytest
from msgspec.structs import replace

from fakes.running_daemon import RunningDaemon, until
from fakes.scripted_model import Script, text_of
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    FinishReason,
    InfillPrompt,
    ReasoningDelta,
    TextDelta,
    TextPrompt,
    TokenLogprob,
    ToolCallArguments,
    ToolCallBegin,
)
from puna.errors import ContextOverflowError, WorkerDiedError
from puna.keys.identity import Scope

ASKED = [{"role": "user", "content": "How is the weather in Bern?"}]


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather.

    Args:
      city: where
      days: how long
    """
    return f"{city}: sun for {days} days"


class Client(Protocol):
    """Both clients behind one way to call them."""

    async def call(self, method: str, **fields: Any) -> Any: ...

    async def stream(self, method: str, **fields: Any) -> list[Any]: ...


class Sync:
    def __init__(self, client: ollama.Client) -> None:
        self._client = client

    async def call(self, method: str, **fields: Any) -> Any:
        return await asyncio.to_thread(lambda: getattr(self._client, method)(**fields))

    async def stream(self, method: str, **fields: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(getattr(self._client, method)(**fields, stream=True)))


class Async:
    def __init__(self, client: ollama.AsyncClient) -> None:
        self._client = client

    async def call(self, method: str, **fields: Any) -> Any:
        return await getattr(self._client, method)(**fields)

    async def stream(self, method: str, **fields: Any) -> list[Any]:
        return [part async for part in await getattr(self._client, method)(**fields, stream=True)]


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
    answer = await real.call("generate", model="demo", prompt="Why is the sky blue?")
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
    parts = await real.stream("generate", model="demo:latest", prompt="Why is the sky blue?")
    assert "".join(part.response or "" for part in parts) == TRAP_TEXT
    assert [part.done for part in parts] == [False] * len(TRAP) + [True]
    assert parts[-1].eval_count == len(TRAP)


async def test_every_field(daemon: RunningDaemon, real: Client) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    await real.call(
        "generate",
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
    assert (await real.call("generate", model="other")).done_reason == "load"
    assert [each.entry.id for each in daemon.services.residency.residents()] == ["other"]
    assert (await real.call("generate", model="other", keep_alive=0)).done_reason == "unload"
    assert daemon.services.residency.residents() == ()


@pytest.mark.parametrize("way", ["call", "stream"])
@pytest.mark.parametrize(
    ("method", "fields"),
    [("generate", {"prompt": "x"}), ("chat", {"messages": [{"role": "user", "content": "x"}]})],
)
async def test_errors_reach_the_caller(
    daemon: RunningDaemon, real: Client, way: str, method: str, fields: dict[str, Any]
) -> None:
    call = partial(getattr(real, way), method, **fields)
    with pytest.raises(
        ollama.ResponseError, match="model 'nope' not found: There is no model nope"
    ) as unknown:
        await call(model="nope")
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match='"demo" does not support thinking') as refused:
        await call(model="demo", think=True)
    assert refused.value.status_code == 400
    daemon.launcher.script = Script(deltas=(), failure=ContextOverflowError("The prompt has 3000 tokens."))
    with pytest.raises(ollama.ResponseError, match="3000 tokens"):
        await call(model="demo")


async def test_a_failure_in_mid_stream_is_raised(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    with pytest.raises(ollama.ResponseError, match="killed by signal 9"):
        await real.stream("generate", model="demo", prompt="x")
    with pytest.raises(ollama.ResponseError, match="killed by signal 9"):
        await real.stream("chat", model="demo", messages=ASKED)


async def test_the_key_may_come_from_the_environment(
    daemon: RunningDaemon, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", key)
    with ollama.Client(host=daemon.url) as client:
        answer = await Sync(client).call("generate", model="demo", prompt="x")
    assert answer.response == "Hello world"
    monkeypatch.delenv("OLLAMA_API_KEY")
    with ollama.Client(host=daemon.url) as client, pytest.raises(ollama.ResponseError) as refused:
        await Sync(client).call("generate", model="demo", prompt="x")
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


async def test_chat(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    answer = await real.call("chat", model="demo", messages=ASKED, options={"num_predict": 20})
    assert (answer.message.role, answer.message.content) == ("assistant", TRAP_TEXT)
    assert (answer.model, answer.done, answer.done_reason, answer.eval_count) == (
        "demo",
        True,
        "stop",
        len(TRAP),
    )
    assert answer.message.tool_calls is answer.message.thinking is answer.logprobs is None
    (request,) = daemon.worker.requests
    assert (text_of(request), request.max_tokens) == ("How is the weather in Bern?", 20)


async def test_a_streamed_chat_joins_to_the_whole_text(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    parts = await real.stream("chat", model="demo", messages=ASKED)
    assert "".join(part.message.content for part in parts) == TRAP_TEXT
    assert [part.done for part in parts] == [False] * len(TRAP) + [True]
    assert isinstance(parts[-1].total_duration, int)


async def test_a_tool_is_called_and_answers(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(
        deltas=(
            ReasoningDelta("A tool knows."),
            ToolCallBegin(0, "call_a", "get_weather"),
            ToolCallArguments(0, '{"city": "Z\u00fcrich",'),
            ToolCallArguments(0, ' "days": 2}'),
        ),
        reason=FinishReason.TOOL_CALLS,
    )
    answer = await real.call("chat", model="demo", messages=ASKED, tools=[get_weather])
    (call,) = answer.message.tool_calls
    assert (call.function.name, call.function.arguments) == (
        "get_weather",
        {"city": "Z\u00fcrich", "days": 2},
    )
    assert (answer.message.thinking, answer.done_reason) == ("A tool knows.", "stop")
    parts = await real.stream("chat", model="demo", messages=ASKED, tools=[get_weather])
    assert [part.message.tool_calls for part in parts if part.message.tool_calls] == [[call]]
    assert "".join(part.message.thinking or "" for part in parts) == "A tool knows."
    (prompt, _) = [request.prompt for request in daemon.worker.requests]
    assert isinstance(prompt, ChatPrompt)
    (tool,) = prompt.tools
    assert (tool.name, tool.description) == ("get_weather", "Tell the weather.")
    assert list(json.loads(tool.parameters)["properties"]) == ["city", "days"]
    result = {"role": "tool", "tool_name": "get_weather", "content": get_weather("Z\u00fcrich", 2)}
    await real.call("chat", model="demo", messages=[*ASKED, answer.message, result], tools=[get_weather])
    prompt = daemon.worker.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    _, said, told = prompt.messages
    assert (said.reasoning, said.tool_calls[0].name) == ("A tool knows.", "get_weather")
    assert (told.tool_call_id, told.name) == (said.tool_calls[0].id, "get_weather")


@pytest.mark.parametrize("method", ["generate", "chat"])
async def test_thinking_has_a_field_of_its_own(daemon: RunningDaemon, real: Client, method: str) -> None:
    daemon.launcher.loaded = replace(daemon.launcher.loaded, can_think=True)
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm"), ReasoningDelta("."), "Blue"))
    asked = {"prompt": "x"} if method == "generate" else {"messages": ASKED}

    def said(answer: Any) -> tuple[str, str]:
        spoken = answer if method == "generate" else answer.message
        return spoken.thinking or "", (answer.response if method == "generate" else spoken.content) or ""

    assert said(await real.call(method, model="demo", think="high", **asked)) == ("Hm.", "Blue")
    parts = [said(part) for part in await real.stream(method, model="demo", think=False, **asked)]
    assert parts == [("Hm", ""), (".", ""), ("", "Blue"), ("", "")]
    wishes = [request.prompt for request in daemon.worker.requests]
    assert all(isinstance(wish, ChatPrompt) for wish in wishes)
    assert [(wish.is_thinking, wish.effort) for wish in wishes if isinstance(wish, ChatPrompt)] == [
        (True, "high"),
        (False, None),
    ]


@pytest.mark.parametrize("method", ["generate", "chat"])
async def test_log_probabilities(daemon: RunningDaemon, real: Client, method: str) -> None:
    likely = TokenLogprob(b"Bl", -0.5, (TokenLogprob(b"Bl", -0.5), TokenLogprob(b"Gr", -1.5)))
    daemon.launcher.script = Script(
        deltas=(TextDelta("Bl", (likely,)), TextDelta("ue", (TokenLogprob(b"ue", 0.0),)))
    )
    asked = {"prompt": "x"} if method == "generate" else {"messages": ASKED}
    answer = await real.call(method, model="demo", logprobs=True, top_logprobs=2, **asked)
    assert [(each.token, each.logprob) for each in answer.logprobs] == [("Bl", -0.5), ("ue", 0.0)]
    assert [each.token for each in answer.logprobs[0].top_logprobs] == ["Bl", "Gr"]
    parts = await real.stream(method, model="demo", logprobs=True, **asked)
    assert [[each.token for each in part.logprobs or ()] for part in parts] == [["Bl"], ["ue"], []]
    assert [request.top_logprobs for request in daemon.worker.requests] == [2, 0]


async def test_a_gap_is_filled(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.loaded = replace(daemon.launcher.loaded, can_infill=True)
    await real.call("generate", model="demo", prompt="def f():", suffix="return x")
    assert daemon.worker.requests[0].prompt == InfillPrompt("def f():", "return x")


async def test_a_gap_needs_a_model_that_fills_gaps(real: Client) -> None:
    with pytest.raises(ollama.ResponseError, match='"demo" does not support insert'):
        await real.call("generate", model="demo", prompt="def f():", suffix="return x")


async def test_a_chat_without_messages_loads_and_unloads(daemon: RunningDaemon, real: Client) -> None:
    assert (await real.call("chat", model="other")).done_reason == "load"
    assert (await real.call("ps")).models[0].model == "other:latest"
    assert (await real.call("chat", model="other", keep_alive=0)).done_reason == "unload"
    assert (await real.call("ps")).models == []


async def test_embed(daemon: RunningDaemon, real: Client) -> None:
    answer = await real.call("embed", model="embedder", input=["Hi", "there"], truncate=False, dimensions=3)
    assert answer.embeddings == [[2.0, float(ord("H")), 0.0], [5.0, float(ord("t")), 0.0]]
    assert (answer.model, answer.prompt_eval_count) == ("embedder", 10)
    assert isinstance(answer.total_duration, int)
    assert isinstance(answer.load_duration, int)
    assert (await real.call("embed", model="embedder", input="Hi")).embeddings == [
        [2.0, float(ord("H")), 0.0, 0.0]
    ]
    assert [(each.is_truncated, each.is_normalised) for each in daemon.worker.embedded] == [
        (False, True),
        (True, True),
    ]


async def test_embeddings_of_older_clients(daemon: RunningDaemon, real: Client) -> None:
    answer = await real.call("embeddings", model="embedder", prompt="Hi")
    assert answer.embedding == [2.0, float(ord("H")), 0.0, 0.0]
    assert not daemon.worker.embedded[0].is_normalised
    assert (await real.call("embeddings", model="embedder")).embedding == []
    with pytest.raises(ollama.ResponseError, match="text model"):
        await real.call("embeddings", model="demo", prompt="Hi")


async def test_models_are_listed_under_names_that_can_be_asked_for(real: Client) -> None:
    listed = (await real.call("list")).models
    assert [model.model for model in listed][:3] == ["demo:latest", "other:latest", "org/model:latest"]
    demo = listed[0]
    assert (demo.size, len(demo.digest), demo.modified_at.year) == (5_300_000, 64, 2026)
    assert (demo.details.format, demo.details.family, demo.details.families) == ("gguf", "llama", ["llama"])
    assert (demo.details.parameter_size, demo.details.quantization_level) == ("5.0M", "Q8_0")
    for model in listed[:3]:
        assert (await real.call("generate", model=model.model, prompt="x")).response == "Hello world"


async def test_show(real: Client) -> None:
    shown = await real.call("show", model="thinker")
    assert shown.capabilities == ["completion", "tools", "thinking"]
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.context_length"] == 2048
    assert (shown.template, shown.parameters, shown.details.format) == ("{{ messages }}", None, "gguf")
    assert (await real.call("show", model="embedder")).capabilities == ["embedding"]
    await real.call("generate", model="thinker", prompt="x")
    assert (await real.call("show", model="thinker:latest")).parameters == "num_ctx 2048"
    with pytest.raises(ollama.ResponseError, match="not found: There is no model"):
        await real.call("show", model="nope")


async def test_ps_tells_how_long_a_model_stays(real: Client) -> None:
    await real.call("generate", model="demo", prompt="x", keep_alive="5m")
    await real.call("generate", model="other", prompt="x", keep_alive=-1)
    demo, other = (await real.call("ps")).models
    assert (demo.model, demo.name, demo.context_length) == ("demo:latest", "demo:latest", 2048)
    assert (demo.size, demo.size_vram) == (5_300_000, 0)
    left = demo.expires_at - datetime.now(UTC)
    assert timedelta(minutes=4) < left < timedelta(minutes=5, seconds=1)
    assert other.expires_at.year > 2200


async def test_a_model_goes_after_its_answer(daemon: RunningDaemon, real: Client) -> None:
    assert (await real.call("generate", model="demo", prompt="x", keep_alive=0)).response == "Hello world"
    await until(lambda: daemon.services.residency.residents() == ())


async def test_a_copy_is_another_name(real: Client) -> None:
    assert (await real.call("copy", source="other", destination="mine:1b")).status == "success"
    assert (await real.call("copy", source="demo:latest", destination="my/own:latest")).status == "success"
    listed = {model.model: model.digest for model in (await real.call("list")).models}
    assert listed["mine:1b"] == listed["other:latest"]
    assert listed["my/own:latest"] == listed["demo:latest"] != listed["other:latest"]
    assert (await real.call("generate", model="my/own", prompt="x")).model == "my/own"
    assert (await real.call("copy", source="demo", destination="mine:1b")).status == "success"
    assert (await real.call("delete", model="my/own")).status == "success"
    names = [model.model for model in (await real.call("list")).models]
    assert "mine:1b" in names
    assert "my/own:latest" not in names
    with pytest.raises(ollama.ResponseError, match="delete the file yourself"):
        await real.call("delete", model="demo")
    with pytest.raises(ollama.ResponseError, match="not found: There is no model"):
        await real.call("delete", model="my/own")


async def test_what_is_there_is_pulled_already(real: Client) -> None:
    assert (await real.call("pull", model="demo")).status == "success"
    assert [part.status for part in await real.stream("pull", model="demo")] == [
        "pulling manifest",
        "success",
    ]
    for way in (real.call, real.stream):
        with pytest.raises(ollama.ResponseError, match=r"There is no model llama3\.2:1b") as refused:
            await way("pull", model="llama3.2:1b")
        assert refused.value.status_code == 404


async def test_what_is_not_done_says_so(real: Client, tmp_path: Path) -> None:
    for method, fields in (("push", {"model": "demo"}), ("create", {"model": "mine", "from_": "demo"})):
        for way in (real.call, real.stream):
            with pytest.raises(ollama.ResponseError, match="not supported"):
                await way(method, **fields)
    file = tmp_path / "file.gguf"
    await asyncio.to_thread(file.write_bytes, b"GGUF")
    with pytest.raises(ollama.ResponseError, match="not supported"):
        await real.call("create_blob", path=file)
