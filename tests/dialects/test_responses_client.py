"""The real `openai` client from PyPI, sync and async, at `/v1/responses` of the running daemon."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import openai
import pydantic
import pytest
from openai.types.responses import (
    Response,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseReasoningItem,
)

from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import Script, text_of
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.domain.chat import Message, Role, ToolCall, ToolChoiceMode
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    FinishReason,
    GenerationRequest,
    Prompt,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallArguments,
    ToolCallBegin,
)
from puna.errors import ContextOverflowError, WorkerDiedError

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALL = Script(
    deltas=(
        ReasoningDelta("I must look."),
        ToolCallBegin(0, "call_7", "get_weather"),
        ToolCallArguments(0, '{"city":'),
        ToolCallArguments(0, '"Rome"}'),
    ),
    reason=FinishReason.TOOL_CALLS,
)

AGENT_TOOLS: Any = [
    {
        "type": "custom",
        "name": "apply_patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
    },
    {"type": "web_search"},
    {
        "type": "namespace",
        "name": "mcp__docs",
        "description": "Documents.",
        "tools": [{"type": "function", "name": "search", "parameters": {}, "strict": False}],
    },
]
"""As Codex sends them: text in place of arguments, servers of tools, and what OpenAI would run."""
AGENT_CALLS = Script(
    deltas=(
        ToolCallBegin(0, "call_7", "apply_patch"),
        ToolCallArguments(0, '{"input":"*** '),
        ToolCallArguments(0, 'Begin"}'),
        ToolCallBegin(1, "call_8", "mcp__docs__search"),
        ToolCallArguments(1, "{}"),
    ),
    reason=FinishReason.TOOL_CALLS,
)


class Person(pydantic.BaseModel):
    name: str
    age: int


class Client(Protocol):
    """Both clients behind one way to call them."""

    async def create(self, **fields: Any) -> Response: ...

    async def parse(self, **fields: Any) -> Any: ...

    async def events(self, **fields: Any) -> list[Any]: ...

    async def stream(self, **fields: Any) -> tuple[list[Any], Any]: ...

    async def call(self, name: str, *arguments: Any, **fields: Any) -> Any: ...


class Sync:
    def __init__(self, client: openai.OpenAI) -> None:
        self._responses = client.responses

    async def create(self, **fields: Any) -> Response:
        return await asyncio.to_thread(lambda: self._responses.create(**fields))

    async def parse(self, **fields: Any) -> Any:
        return await asyncio.to_thread(lambda: self._responses.parse(**fields))

    async def events(self, **fields: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(self._responses.create(**fields, stream=True)))

    async def stream(self, **fields: Any) -> tuple[list[Any], Any]:
        def run() -> tuple[list[Any], Any]:
            with self._responses.stream(**fields) as stream:
                return list(stream), stream.get_final_response()

        return await asyncio.to_thread(run)

    async def call(self, name: str, *arguments: Any, **fields: Any) -> Any:
        method = _find(self._responses, name)
        return await asyncio.to_thread(lambda: method(*arguments, **fields))


class Async:
    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._responses = client.responses

    async def create(self, **fields: Any) -> Response:
        response: Response = await self._responses.create(**fields)
        return response

    async def parse(self, **fields: Any) -> Any:
        return await self._responses.parse(**fields)

    async def events(self, **fields: Any) -> list[Any]:
        return [event async for event in await self._responses.create(**fields, stream=True)]

    async def stream(self, **fields: Any) -> tuple[list[Any], Any]:
        async with self._responses.stream(**fields) as stream:
            events = [event async for event in stream]
            return events, await stream.get_final_response()

    async def call(self, name: str, *arguments: Any, **fields: Any) -> Any:
        return await _find(self._responses, name)(*arguments, **fields)


def _find(responses: object, name: str) -> Any:
    for part in name.split("."):
        responses = getattr(responses, part)
    return responses


@pytest.fixture(params=["sync", "async"])
async def real(request: pytest.FixtureRequest, daemon: RunningDaemon, key: str) -> AsyncIterator[Client]:
    base_url = f"{daemon.url}/v1"
    if request.param == "sync":
        with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
            yield Sync(client)
    else:
        async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
            yield Async(client)


def prompt_of(request: GenerationRequest) -> ChatPrompt:
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


async def test_create(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    response = await real.create(
        model="demo", instructions="Be brief.", input="Why?", metadata={"k": "v"}, max_output_tokens=50
    )
    assert response.output_text == TRAP_TEXT
    assert (response.object, response.status, response.model) == ("response", "completed", "demo")
    assert (response.instructions, response.metadata) == ("Be brief.", {"k": "v"})
    assert (response.max_output_tokens, response.temperature, response.store) == (50, 1.0, True)  # type: ignore[attr-defined]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (5, len(TRAP))
    assert response.usage.total_tokens == 5 + len(TRAP)
    (request,) = daemon.worker.requests
    assert prompt_of(request).messages == (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Why?"))
    assert request.max_tokens == 50


async def test_every_answer_has_what_the_types_of_the_client_require(
    daemon: RunningDaemon, real: Client
) -> None:
    """The client itself takes anything; its types, asked strictly, do not."""
    daemon.launcher.script = CALL
    response = await real.create(
        model="demo",
        input="Rome?",
        tools=[WEATHER],
        tool_choice={
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
        reasoning={"effort": "low", "summary": "auto"},
    )
    Response.model_validate(response.to_dict(), strict=True)
    streamed = await real.events(model="demo", input="Rome?", tools=[WEATHER])
    daemon.launcher.script = AGENT_CALLS
    streamed += await real.events(model="demo", input="Rome?", tools=AGENT_TOOLS)
    for event in streamed:
        type(event).model_validate(event.to_dict(), strict=True)


async def test_a_stream_has_the_events_in_their_order(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm."), *TRAP))
    events = await real.events(model="demo", input="Why?")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * len(TRAP),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TRAP_TEXT
    assert events[-1].response.output_text == TRAP_TEXT
    assert events[-1].response.id == events[0].response.id


async def test_the_stream_helper_puts_the_answer_together(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    events, final = await real.stream(model="demo", input="Why?")
    assert final.output_text == TRAP_TEXT
    snapshots = [event.snapshot for event in events if event.type == "response.output_text.delta"]
    assert snapshots[-1] == TRAP_TEXT


async def test_the_stream_helper_parses_what_has_a_form(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=('{"name": "Ada"', ', "age": 36}'))
    _, final = await real.stream(model="demo", input="Who?", text_format=Person)
    assert final.output_parsed == Person(name="Ada", age=36)


async def test_parse(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=('{"name": "Ada"', ', "age": 36}'))
    response = await real.parse(model="demo", input="Who?", text_format=Person)
    assert response.output_parsed == Person(name="Ada", age=36)
    (request,) = daemon.worker.requests
    assert isinstance(request.constraint, JsonSchemaConstraint)
    assert list(json.loads(request.constraint.schema)["properties"]) == ["name", "age"]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_tool_is_called_and_answered(daemon: RunningDaemon, real: Client, is_stored: bool) -> None:
    daemon.launcher.script = CALL
    asked = await real.create(
        model="demo", input="Weather in Rome?", tools=[WEATHER], tool_choice="required", store=is_stored
    )
    thoughts, call = asked.output
    assert isinstance(thoughts, ResponseReasoningItem)
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments), call.call_id) == (
        "get_weather",
        {"city": "Rome"},
        "call_7",
    )
    assert prompt_of(daemon.worker.requests[0]).choice.mode is ToolChoiceMode.REQUIRED
    daemon.launcher.script = Script(deltas=("Sunny.",))
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    if is_stored:
        answer = await real.create(
            model="demo", input=[output], previous_response_id=asked.id, tools=[WEATHER]
        )
    else:
        history = [{"role": "user", "content": "Weather in Rome?"}, *asked.output, output]
        answer = await real.create(model="demo", input=history, tools=[WEATHER], store=False)
    assert answer.output_text == "Sunny."
    assert prompt_of(daemon.worker.requests[1]).messages == (
        Message(Role.USER, "Weather in Rome?"),
        Message(Role.ASSISTANT, "", "I must look.", (ToolCall("call_7", "get_weather", '{"city":"Rome"}'),)),
        Message(Role.TOOL, "sunny", tool_call_id="call_7", name="get_weather"),
    )


@pytest.mark.parametrize("is_stored", [True, False])
async def test_the_tools_of_an_agent_are_called_and_answered(
    daemon: RunningDaemon, real: Client, is_stored: bool
) -> None:
    daemon.launcher.script = AGENT_CALLS
    asked = await real.create(model="demo", input="Mend it.", tools=AGENT_TOOLS, store=is_stored)
    patch, search = asked.output
    assert isinstance(patch, ResponseCustomToolCall)
    assert (patch.name, patch.input, patch.call_id) == ("apply_patch", "*** Begin", "call_7")
    assert isinstance(search, ResponseFunctionToolCall)
    assert (search.name, search.namespace, search.arguments) == ("search", "mcp__docs", "{}")
    assert [tool.name for tool in prompt_of(daemon.worker.requests[0]).tools] == [
        "apply_patch",
        "mcp__docs__search",
    ]
    daemon.launcher.script = Script(deltas=("Done.",))
    outputs: list[Any] = [
        {"type": "custom_tool_call_output", "call_id": "call_7", "output": "changed"},
        {"type": "function_call_output", "call_id": "call_8", "output": "nothing"},
    ]
    if is_stored:
        answer = await real.create(model="demo", input=outputs, previous_response_id=asked.id)
    else:
        history = [{"role": "user", "content": "Mend it."}, *asked.output, *outputs]
        answer = await real.create(model="demo", input=history, store=False)
    assert answer.output_text == "Done."
    calls = (
        ToolCall("call_7", "apply_patch", '{"input":"*** Begin"}'),
        ToolCall("call_8", "mcp__docs__search", "{}"),
    )
    assert prompt_of(daemon.worker.requests[1]).messages == (
        Message(Role.USER, "Mend it."),
        Message(Role.ASSISTANT, "", None, calls),
        Message(Role.TOOL, "changed", tool_call_id="call_7", name="apply_patch"),
        Message(Role.TOOL, "nothing", tool_call_id="call_8", name="mcp__docs__search"),
    )


async def test_a_streamed_call_is_put_together(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = CALL
    events, final = await real.stream(model="demo", input="Rome?", tools=[WEATHER])
    snapshots = [event.snapshot for event in events if event.type == "response.function_call_arguments.delta"]
    assert snapshots == ['{"city":', '{"city":"Rome"}']
    assert final.output[-1].parsed_arguments == {"city": "Rome"}


async def test_reasoning_comes_as_a_summary_for_those_who_ask(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm"), ReasoningDelta("."), "Yes"))
    events = await real.events(model="demo", input="Why?", reasoning={"effort": "high", "summary": "auto"})
    told = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert told == ["Hm", "."]
    thoughts = events[-1].response.output[0]
    assert ([part.text for part in thoughts.summary], thoughts.content) == (["Hm."], [])
    prompt = prompt_of(daemon.worker.requests[0])
    assert prompt.effort == "high"


async def test_thoughts_travel_with_clients_that_store_nothing(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm."), "Yes"))
    first = await real.create(
        model="demo", input="Why?", store=False, include=["reasoning.encrypted_content"]
    )
    thoughts, message = first.output
    assert isinstance(thoughts, ResponseReasoningItem)
    sealed: Any = {
        "type": "reasoning",
        "id": "rs_x",
        "summary": [],
        "encrypted_content": thoughts.encrypted_content,
    }
    await real.create(model="demo", input=[sealed, message, {"role": "user", "content": "And?"}], store=False)
    assert prompt_of(daemon.worker.requests[1]).messages[0] == Message(Role.ASSISTANT, "Yes", "Hm.")


async def test_reasoning_tokens_are_told(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("one "), ReasoningDelta("two"), "Yes", "!"))
    response = await real.create(model="demo", input="Why?")
    events = await real.events(model="demo", input="Why?")
    for usage in (response.usage, events[-1].response.usage):
        assert usage is not None
        assert (usage.output_tokens, usage.output_tokens_details.reasoning_tokens) == (4, 2)


async def test_logprobs(daemon: RunningDaemon, real: Client) -> None:
    token = TokenLogprob(b"Yes", -0.5, (TokenLogprob(b"Yes", -0.5), TokenLogprob(b"No", -1.5)))
    daemon.launcher.script = Script(deltas=(TextDelta("Yes", (token,)),))
    response = await real.create(
        model="demo", input="?", top_logprobs=2, include=["message.output_text.logprobs"]
    )
    (message,) = response.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs is not None
    assert [(each.token, each.logprob) for each in part.logprobs[0].top_logprobs] == [
        ("Yes", -0.5),
        ("No", -1.5),
    ]
    assert daemon.worker.requests[0].top_logprobs == 2


async def test_an_answer_that_was_cut_says_so(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(reason=FinishReason.LENGTH)
    response = await real.create(model="demo", input="?", max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "Hello world")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    events = await real.events(model="demo", input="?", max_output_tokens=2)
    assert (events[-1].type, events[-1].response.status) == ("response.incomplete", "incomplete")


@pytest.mark.parametrize("way", ["create", "events"])
async def test_a_conversation_goes_on_from_a_stored_answer(
    daemon: RunningDaemon, real: Client, way: str
) -> None:
    first = await real.create(model="demo", instructions="Be brief.", input="One?")
    call = getattr(real, way)
    second = await call(model="demo", input="Two?", previous_response_id=first.id)
    second = second[-1].response if way == "events" else second
    assert second.previous_response_id == first.id
    await call(model="demo", instructions="Be long.", input="Three?", previous_response_id=second.id)
    said = Message(Role.ASSISTANT, "Hello world")
    turns = (Message(Role.USER, "One?"), said, Message(Role.USER, "Two?"))
    assert prompt_of(daemon.worker.requests[1]).messages == turns
    assert prompt_of(daemon.worker.requests[2]).messages == (
        Message(Role.SYSTEM, "Be long."),
        *turns,
        said,
        Message(Role.USER, "Three?"),
    )


async def test_a_stored_answer_outlives_the_daemon(tmp_path: Path) -> None:
    async with run_daemon(tmp_path) as daemon:
        key = await daemon.make_key()
        async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key=key) as client:
            events = [
                each async for each in await client.responses.create(model="demo", input="1?", stream=True)
            ]
        first = events[-1]
        assert first.type == "response.completed"
    async with run_daemon(tmp_path) as daemon:
        async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key=key) as client:
            assert await client.responses.retrieve(first.response.id) == first.response
            await client.responses.create(model="demo", input="2?", previous_response_id=first.response.id)
        assert [each.content for each in prompt_of(daemon.worker.requests[0]).messages] == [
            "1?",
            "Hello world",
            "2?",
        ]


async def test_retrieve_list_and_delete(daemon: RunningDaemon, real: Client) -> None:
    first = await real.create(model="demo", input=[{"role": "user", "content": "One?"}])
    second = await real.create(model="demo", input="Two?", previous_response_id=first.id)
    assert await real.call("retrieve", second.id) == second
    newest = (await real.call("input_items.list", second.id)).data
    assert [(item.role, item.content[0].text) for item in newest] == [
        ("user", "Two?"),
        ("assistant", "Hello world"),
        ("user", "One?"),
    ]
    page = await real.call("input_items.list", second.id, order="asc", limit=1, after=newest[2].id)
    assert ([item.id for item in page.data], page.has_more) == ([newest[1].id], True)
    await real.call("delete", first.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        await real.call("retrieve", first.id)
    await real.create(model="demo", input="Three?", previous_response_id=second.id)
    assert len(prompt_of(daemon.worker.requests[2]).messages) == 5


async def test_a_reference_stands_for_its_item(daemon: RunningDaemon, real: Client) -> None:
    first = await real.create(model="demo", input="One?")
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    await real.create(model="demo", input=[reference, {"role": "user", "content": "Two?"}])
    assert prompt_of(daemon.worker.requests[1]).messages == (
        Message(Role.ASSISTANT, "Hello world"),
        Message(Role.USER, "Two?"),
    )


async def test_what_is_not_stored_is_not_there(daemon: RunningDaemon, real: Client) -> None:
    first = await real.create(model="demo", input="One?", store=False)
    with pytest.raises(openai.NotFoundError):
        await real.call("retrieve", first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        await real.create(model="demo", input="Two?", previous_response_id=first.id)
    assert (refused.value.code, refused.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )
    with pytest.raises(openai.NotFoundError, match="There is no item"):
        await real.create(model="demo", input=[{"type": "item_reference", "id": first.output[0].id}])
    rows = daemon.services.database.run_blocking(
        lambda connection: connection.execute(
            "SELECT (SELECT COUNT(*) FROM responses) + (SELECT COUNT(*) FROM conversation_items)"
        ).fetchone()
    )
    assert rows == (0,)


async def test_only_background_responses_can_be_cancelled(real: Client) -> None:
    first = await real.create(model="demo", input="One?")
    with pytest.raises(openai.BadRequestError, match="Only background responses"):
        await real.call("cancel", first.id)
    with pytest.raises(openai.NotFoundError):
        await real.call("cancel", "resp_none")


async def test_the_tokens_of_a_request_are_counted(daemon: RunningDaemon, real: Client) -> None:
    counted = await real.call("input_tokens.count", model="demo", input="Why?", instructions="Be brief.")
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", 5)
    assert daemon.worker.counted == [
        ChatPrompt((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Why?")))
    ]


@pytest.mark.parametrize("way", ["create", "events"])
async def test_errors_reach_the_caller(daemon: RunningDaemon, real: Client, way: str) -> None:
    call = getattr(real, way)
    with pytest.raises(openai.NotFoundError, match="There is no model nope") as unknown:
        await call(model="nope", input="x")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="web_search") as refused:
        await call(model="demo", input="x", tools=[{"type": "web_search"}])
    assert refused.value.param == "tools[0].type"
    daemon.launcher.script = Script(deltas=(), failure=ContextOverflowError("The prompt has 3000 tokens."))
    with pytest.raises(openai.BadRequestError, match="3000 tokens") as long:
        await call(model="demo", input="x")
    assert long.value.code == "context_length_exceeded"


async def test_a_failure_in_mid_stream_is_raised(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    with pytest.raises(openai.APIError, match="killed by signal 9"):
        await real.events(model="demo", input="x")
    with pytest.raises(openai.APIError, match="killed by signal 9"):
        await real.stream(model="demo", input="x")


async def test_a_client_that_stops_listening_frees_its_slot_and_leaves_nothing(
    daemon: RunningDaemon, key: str
) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key=key) as client:
        stream = await client.responses.create(model="demo", input="x", stream=True)
        created = await anext(aiter(stream))
        assert created.type == "response.created"
        await stream.close()
        await until(lambda: daemon.worker.aborted == 1)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(created.response.id)


async def test_a_long_conversation_loses_its_oldest_turns_where_the_request_says_so(
    daemon: RunningDaemon, real: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripted context holds 2048 tokens; here each message has 500 of them."""

    async def count(_: object, prompt: Prompt) -> int:
        assert isinstance(prompt, ChatPrompt)
        return 500 * len(prompt.messages)

    monkeypatch.setattr("fakes.scripted_model.ScriptedWorker.count_tokens", count)
    turns: list[Any] = [{"role": "user", "content": str(number)} for number in range(8)]
    await real.create(model="demo", instructions="s", input=turns, truncation="auto")
    await real.create(model="demo", input=turns[:4], truncation="auto")
    await real.create(model="demo", input=turns, truncation="disabled")
    assert [[each.content for each in prompt_of(each).messages] for each in daemon.worker.requests] == [
        ["s", "6", "7"],
        ["0", "1", "2", "3"],
        [str(number) for number in range(8)],
    ]
    assert text_of(daemon.worker.requests[0]) == "7"
