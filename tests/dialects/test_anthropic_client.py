"""The real `anthropic` client from PyPI, sync and async, in every way, against the running daemon."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import anthropic
import pytest
from anthropic import beta_tool
from anthropic.types import Message, MessageTokensCount, ModelInfo, ParsedMessage, RawMessageStreamEvent
from pydantic import BaseModel

from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import Script
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.config import Settings
from puna.domain.chat import Role, ToolChoiceMode
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    FinishReason,
    GenerationRequest,
    ReasoningDelta,
    ToolCallArguments,
    ToolCallBegin,
)
from puna.errors import ContextOverflowError, GenerationError, OverloadedError, WorkerDiedError

SYNC, ASYNC = anthropic.Anthropic, anthropic.AsyncAnthropic


class Client(Protocol):
    """Both clients behind one way to call them."""

    async def create(self, **fields: Any) -> Message: ...

    async def stream(self, **fields: Any) -> list[RawMessageStreamEvent]: ...

    async def follow(self, **fields: Any) -> tuple[list[str], ParsedMessage[Any]]: ...

    async def parse(self, **fields: Any) -> ParsedMessage[Any]: ...

    async def count(self, **fields: Any) -> MessageTokensCount: ...

    async def models(self, **fields: Any) -> list[ModelInfo]: ...

    async def model(self, name: str) -> ModelInfo: ...


class Sync:
    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client = client

    async def create(self, **fields: Any) -> Message:
        return await asyncio.to_thread(lambda: self._client.messages.create(**fields))

    async def stream(self, **fields: Any) -> list[RawMessageStreamEvent]:
        return await asyncio.to_thread(lambda: list(self._client.messages.create(**fields, stream=True)))

    async def follow(self, **fields: Any) -> tuple[list[str], ParsedMessage[Any]]:
        def read() -> tuple[list[str], ParsedMessage[Any]]:
            with self._client.messages.stream(**fields) as stream:
                return list(stream.text_stream), stream.get_final_message()

        return await asyncio.to_thread(read)

    async def parse(self, **fields: Any) -> ParsedMessage[Any]:
        return await asyncio.to_thread(lambda: self._client.messages.parse(**fields))

    async def count(self, **fields: Any) -> MessageTokensCount:
        return await asyncio.to_thread(lambda: self._client.messages.count_tokens(**fields))

    async def models(self, **fields: Any) -> list[ModelInfo]:
        return await asyncio.to_thread(lambda: list(self._client.models.list(**fields)))

    async def model(self, name: str) -> ModelInfo:
        return await asyncio.to_thread(lambda: self._client.models.retrieve(name))


class Async:
    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        self._client = client

    async def create(self, **fields: Any) -> Message:
        answer: Message = await self._client.messages.create(**fields)
        return answer

    async def stream(self, **fields: Any) -> list[RawMessageStreamEvent]:
        return [event async for event in await self._client.messages.create(**fields, stream=True)]

    async def follow(self, **fields: Any) -> tuple[list[str], ParsedMessage[Any]]:
        async with self._client.messages.stream(**fields) as stream:
            return [text async for text in stream.text_stream], await stream.get_final_message()

    async def parse(self, **fields: Any) -> ParsedMessage[Any]:
        return await self._client.messages.parse(**fields)

    async def count(self, **fields: Any) -> MessageTokensCount:
        return await self._client.messages.count_tokens(**fields)

    async def models(self, **fields: Any) -> list[ModelInfo]:
        return [model async for model in self._client.models.list(**fields)]

    async def model(self, name: str) -> ModelInfo:
        return await self._client.models.retrieve(name)


@pytest.fixture(params=["sync", "async"])
async def real(request: pytest.FixtureRequest, daemon: RunningDaemon) -> AsyncIterator[Client]:
    """A client with a placeholder for a key: the dialect is open on this machine."""
    if request.param == "sync":
        with SYNC(base_url=daemon.url, api_key="placeholder", max_retries=0) as client:
            yield Sync(client)
    else:
        async with ASYNC(base_url=daemon.url, api_key="placeholder", max_retries=0) as client:
            yield Async(client)


HELLO: dict[str, Any] = {
    "model": "demo",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "Hello, Claude"}],
}
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = (
    ReasoningDelta("The user wants "),
    ReasoningDelta("the weather."),
    "Let me look.",
    ToolCallBegin(0, "call_1", "get_weather"),
    ToolCallArguments(0, '{"city":'),
    ToolCallArguments(0, '"Z\u00fcrich"}'),
)


async def test_create(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    answer = await real.create(**HELLO)
    assert answer.id.startswith("msg_")
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", "demo")
    assert [block.to_dict() for block in answer.content] == [{"type": "text", "text": TRAP_TEXT}]
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, len(TRAP))
    assert answer.usage.cache_read_input_tokens == 0
    assert (answer._request_id or "").startswith("req_")


async def test_the_texts_of_a_stream_join_to_the_whole(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP, reason=FinishReason.LENGTH)
    texts, answer = await real.follow(**HELLO)
    assert texts == list(TRAP)
    assert [block.to_dict() for block in answer.content] == [{"type": "text", "text": TRAP_TEXT}]
    assert (answer.stop_reason, answer.usage.input_tokens) == ("max_tokens", 5)
    assert answer.usage.output_tokens == len(TRAP)


async def test_the_events_of_a_stream(real: Client) -> None:
    assert [event.type for event in await real.stream(**HELLO)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_every_field(daemon: RunningDaemon, real: Client) -> None:
    await real.create(
        **HELLO,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        stop_sequences=["END"],
        tools=[WEATHER],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 1024},
        output_config={"effort": "high"},
        metadata={"user_id": "somebody"},
        service_tier="standard_only",
        cache_control={"type": "ephemeral"},
        extra_headers={"anthropic-beta": "interleaved-thinking-2025-05-14"},
        extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 40},
    )
    (request,) = daemon.worker.requests
    assert (request.max_tokens, request.stop) == (2000, ("END",))
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 40)
    prompt = request.prompt
    assert isinstance(prompt, ChatPrompt)
    assert [(message.role, message.content) for message in prompt.messages] == [
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "Hello, Claude"),
    ]
    assert (prompt.choice.mode, prompt.choice.is_parallel) == (ToolChoiceMode.REQUIRED, False)
    assert (prompt.is_thinking, prompt.effort) == (True, "high")


@pytest.mark.parametrize("way", ["create", "follow"])
async def test_a_round_of_tools(daemon: RunningDaemon, real: Client, way: str) -> None:
    daemon.launcher.script = Script(deltas=CALL, reason=FinishReason.TOOL_CALLS)
    asked = HELLO | {"tools": [WEATHER], "thinking": {"type": "adaptive"}}
    answer: Message = (await real.follow(**asked))[1] if way == "follow" else await real.create(**asked)
    thinking, text, call = answer.content
    assert thinking.type == "thinking"
    assert (thinking.thinking, bool(thinking.signature)) == ("The user wants the weather.", True)
    assert text.type == "text"
    assert text.text == "Let me look."
    assert call.type == "tool_use"
    assert (call.id, call.name, call.input) == ("call_1", "get_weather", {"city": "Z\u00fcrich"})
    assert answer.stop_reason == "tool_use"

    daemon.launcher.script = Script(deltas=("It rains.",))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Rain"}]}
    turns = [*HELLO["messages"], answer.to_param(), {"role": "user", "content": [result]}]
    assert (await real.create(**asked | {"messages": turns})).content[0].to_dict()["text"] == "It rains."
    prompt = daemon.worker.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    said, told = prompt.messages[1:]
    assert (said.content, said.reasoning) == ("Let me look.", "The user wants the weather.")
    assert [(each.id, each.arguments) for each in said.tool_calls] == [("call_1", '{"city":"Z\u00fcrich"}')]
    assert (told.role, told.tool_call_id, told.content) == (Role.TOOL, "call_1", "Rain")


async def test_the_runner_of_tools_goes_on_until_the_answer(daemon: RunningDaemon) -> None:
    asked: list[str] = []

    @beta_tool
    def get_weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "Rain"

    def script(request: GenerationRequest) -> Script:
        assert isinstance(request.prompt, ChatPrompt)
        if request.prompt.messages[-1].role is Role.TOOL:
            return Script(deltas=("It rains.",))
        return Script(deltas=CALL, reason=FinishReason.TOOL_CALLS)

    daemon.launcher.script = script
    with SYNC(base_url=daemon.url, api_key="placeholder", max_retries=0) as client:
        runner = client.beta.messages.tool_runner(**HELLO, tools=[get_weather])
        answer = await asyncio.to_thread(runner.until_done)
    assert asked == ["Z\u00fcrich"]
    assert [block.to_dict() for block in answer.content] == [{"type": "text", "text": "It rains."}]


class Person(BaseModel):
    name: str
    age: int


async def test_answers_have_the_form_of_a_type(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=('{"name": "Carl", ', '"age": 7}'))
    answer = await real.parse(**HELLO, output_format=Person)
    assert answer.parsed_output == Person(name="Carl", age=7)
    assert isinstance(daemon.worker.requests[-1].constraint, JsonSchemaConstraint)
    _, streamed = await real.follow(**HELLO, output_format=Person)
    assert streamed.parsed_output == Person(name="Carl", age=7)


async def test_tokens_are_counted_with_the_tools(daemon: RunningDaemon, real: Client) -> None:
    asked = {"model": "demo", "messages": HELLO["messages"], "system": "Be brief.", "tools": [WEATHER]}
    assert (await real.count(**asked)).input_tokens == 5
    (prompt,) = daemon.worker.counted
    assert isinstance(prompt, ChatPrompt)
    assert (len(prompt.messages), prompt.tools[0].name) == (2, "get_weather")
    assert daemon.worker.requests == []


@pytest.mark.parametrize("way", ["create", "stream", "follow"])
async def test_errors_reach_the_caller(daemon: RunningDaemon, real: Client, way: str) -> None:
    call = getattr(real, way)
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await call(**HELLO | {"model": "nope"})
    assert unknown.value.type == "not_found_error"
    assert unknown.value.api_message == "model: There is no model nope; the nearest is demo."
    assert (unknown.value.request_id or "").startswith("req_")
    with pytest.raises(anthropic.BadRequestError, match=r"not image") as refused:
        await call(**HELLO | {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]})
    assert refused.value.type == "invalid_request_error"
    daemon.launcher.script = Script(deltas=(), failure=ContextOverflowError("The prompt has 3000 tokens."))
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: The prompt has 3000 tokens"):
        await call(**HELLO)
    daemon.launcher.script = Script(deltas=(), failure=GenerationError("The text cannot be completed."))
    with pytest.raises(anthropic.UnprocessableEntityError, match="cannot be completed"):
        await call(**HELLO)
    daemon.launcher.script = Script(deltas=(), failure=OverloadedError("Too many wait.", retry_after_s=5))
    with pytest.raises(anthropic._exceptions.OverloadedError) as busy:
        await call(**HELLO)
    assert (busy.value.type, busy.value.response.headers["Retry-After"]) == ("overloaded_error", "5")


@pytest.mark.parametrize("way", ["stream", "follow"])
async def test_a_failure_in_mid_stream_is_raised(daemon: RunningDaemon, real: Client, way: str) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    with pytest.raises(anthropic.APIStatusError, match="killed by signal 9") as failed:
        await getattr(real, way)(**HELLO)
    assert (failed.value.type, failed.value.api_message) == (
        "api_error",
        "The worker was killed by signal 9.",
    )


async def test_a_worker_that_died_is_tried_again_by_itself(daemon: RunningDaemon) -> None:
    tries: list[GenerationRequest] = []

    def script(request: GenerationRequest) -> Script:
        tries.append(request)
        died = WorkerDiedError("The worker was killed by signal 9.")
        return Script() if len(tries) > 1 else Script(deltas=(), failure=died)

    daemon.launcher.script = script
    async with ASYNC(base_url=daemon.url, api_key="placeholder", max_retries=1) as client:
        assert (await client.messages.create(**HELLO)).stop_reason == "end_turn"
    assert len(tries) == 2


async def test_models(real: Client) -> None:
    models = await real.models(limit=2)
    assert {"demo", "other", "org/model"} <= {model.id for model in models}
    assert {(model.type, model.lifecycle) for model in models} == {("model", "active")}
    demo = await real.model("demo")
    assert (demo.id, demo.display_name, demo.created_at.year >= 1970) == ("demo", "Demo", True)
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await real.model("nope")
    assert unknown.value.type == "not_found_error"


WAYS: dict[str, Any] = {
    "api_key": lambda key: {"api_key": key},
    "auth_token": lambda key: {"auth_token": key},
    "x-api-key": lambda key: {"api_key": "placeholder", "default_headers": {"X-Api-Key": key}},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_closed_dialect_takes_a_key_in_every_way(tmp_path: Path, way: str) -> None:
    settings = Settings(rate_limits="off", open_dialects=())
    async with run_daemon(tmp_path, settings=settings) as daemon:
        async with ASYNC(base_url=daemon.url, **WAYS[way](await daemon.make_key()), max_retries=0) as client:
            assert (await client.messages.create(**HELLO)).stop_reason == "end_turn"
        async with ASYNC(base_url=daemon.url, **WAYS[way]("placeholder"), max_retries=0) as client:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await client.messages.create(**HELLO)
    assert refused.value.type == "authentication_error"


async def test_agents_that_use_the_beta_routes_are_served(daemon: RunningDaemon) -> None:
    async with ASYNC(base_url=daemon.url, auth_token="placeholder", max_retries=0) as client:
        answer = await client.beta.messages.create(**HELLO, betas=["context-management-2025-06-27"])
        count = await client.beta.messages.count_tokens(model="demo", messages=HELLO["messages"])
    assert (answer.stop_reason, count.input_tokens) == ("end_turn", 5)


async def test_a_client_that_stops_listening_frees_its_slot(daemon: RunningDaemon) -> None:
    daemon.launcher.script = Script(is_stalled=True)

    def take_one(client: anthropic.Anthropic) -> str:
        with client.messages.stream(**HELLO) as stream:
            return next(stream.text_stream)

    with SYNC(base_url=daemon.url, api_key="placeholder", max_retries=0) as client:
        assert await asyncio.to_thread(take_one, client) == "Hello"
        await until(lambda: daemon.worker.aborted == 1)
    async with ASYNC(base_url=daemon.url, api_key="placeholder", max_retries=0) as patient:
        waiting = asyncio.create_task(patient.messages.create(**HELLO))
        await until(lambda: daemon.worker.running == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await until(lambda: daemon.worker.aborted == 2)
