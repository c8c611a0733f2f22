"""Chats by the real `openai` client from PyPI, sync and async, against the running daemon."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from fakes.openai_clients import Client, open_client
from fakes.running_daemon import RunningDaemon
from fakes.scripted_model import Script
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.domain.chat import Role, ToolChoiceMode
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    FinishReason,
    GenerationRequest,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallArguments,
    ToolCallBegin,
)

ASK: Any = [{"role": "user", "content": "How warm is Oslo?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}},
            "required": ["town"],
            "additionalProperties": False,
        },
    },
}
CALLS = (
    ToolCallBegin(0, "call_a", "weather"),
    ToolCallArguments(0, '{"town":'),
    ToolCallArguments(0, '"Oslo"}'),
    ToolCallBegin(1, "call_b", "weather"),
    ToolCallArguments(1, '{"town":"Bergen"}'),
)
THOUGHT = (ReasoningDelta("Oslo is"), ReasoningDelta(" north."), TextDelta("Cold."))


class Warmth(BaseModel):
    """What the tests let the model fill in."""

    degrees: int


@pytest.fixture(params=["sync", "async"])
async def real(request: pytest.FixtureRequest, daemon: RunningDaemon) -> AsyncIterator[Client]:
    async with open_client(request.param, f"{daemon.url}/v1") as client:
        yield client


def only(daemon: RunningDaemon) -> GenerationRequest:
    (request,) = daemon.worker.requests
    return request


def prompt_of(daemon: RunningDaemon) -> ChatPrompt:
    prompt = only(daemon).prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt


async def test_a_chat(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    answer = await real.chat(model="demo", messages=ASK)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", TRAP_TEXT)
    assert (choice.finish_reason, choice.logprobs, choice.message.tool_calls) == ("stop", None, None)
    assert (answer.model, answer.object, answer.id[:9]) == ("demo", "chat.completion", "chatcmpl-")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, len(TRAP))
    assert answer.usage.prompt_tokens_details.cached_tokens == 0


async def test_a_streamed_chat_joins_to_the_same_text(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    chunks = await real.chat(model="demo", messages=ASK, stream=True)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TRAP_TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(TRAP) + 1) + ["stop"]
    assert {chunk.usage for chunk in chunks} == {None}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


async def test_a_stream_tells_its_usage_where_it_is_asked(real: Client) -> None:
    chunks = await real.chat(model="demo", messages=ASK, stream=True, stream_options={"include_usage": True})
    assert {chunk.usage for chunk in chunks[:-1]} == {None}
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 7)


async def test_every_field_of_a_chat(daemon: RunningDaemon, real: Client) -> None:
    await real.chat(
        model="demo",
        messages=ASK,
        temperature=0,
        top_p=0.5,
        seed=7,
        stop=["\n", "END"],
        max_completion_tokens=20,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        logit_bias={"12": -100},
        reasoning_effort="low",
        user="u1",
        store=False,
        metadata={"a": "b"},
        service_tier="auto",
        parallel_tool_calls=True,
        extra_body={"top_k": 5, "min_p": 0.1, "num_ctx": 2048, "nobody_knows": {"this": 1}},
    )
    request = only(daemon)
    assert (request.max_tokens, request.stop) == (20, ("\n", "END"))
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0, 0.5, 5, 0.1)
    assert (sampling.frequency_penalty, sampling.presence_penalty) == (0.5, -0.5)
    assert (sampling.seed, sampling.logit_bias) == (7, ((12, -100.0),))
    assert prompt_of(daemon).effort == "low"


async def test_the_stream_helper_puts_text_together(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP)
    events, final = await real.chat_events(model="demo", messages=ASK)
    assert [event.delta for event in events if event.type == "content.delta"][1:] == list(TRAP)
    assert [event.content for event in events if event.type == "content.done"] == [TRAP_TEXT]
    assert (final.choices[0].message.content, final.choices[0].finish_reason) == (TRAP_TEXT, "stop")


async def test_tools_are_called(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=CALLS, reason=FinishReason.TOOL_CALLS)
    answer = await real.chat(model="thinker", messages=ASK, tools=[WEATHER], tool_choice="required")
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    first, second = choice.message.tool_calls
    assert (first.id, first.type, first.function.name) == ("call_a", "function", "weather")
    assert (first.function.arguments, second.function.arguments) == ('{"town":"Oslo"}', '{"town":"Bergen"}')
    assert prompt_of(daemon).choice.mode is ToolChoiceMode.REQUIRED
    assert [tool.name for tool in prompt_of(daemon).tools] == ["weather"]


async def test_an_answer_goes_back_as_it_came(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=(ReasoningDelta("Hm."), *CALLS), reason=FinishReason.TOOL_CALLS)
    answer = await real.chat(model="thinker", messages=ASK, tools=[WEATHER])
    message = answer.choices[0].message
    daemon.worker.requests.clear()
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "cold"} for call in message.tool_calls or ()
    ]
    await real.chat(model="thinker", messages=[*ASK, message.to_dict(), *results], tools=[WEATHER])
    _, assistant, first, _ = prompt_of(daemon).messages
    assert (assistant.role, assistant.content, assistant.reasoning) == (Role.ASSISTANT, "", "Hm.")
    assert [call.id for call in assistant.tool_calls] == ["call_a", "call_b"]
    assert (first.role, first.tool_call_id, first.content) == (Role.TOOL, "call_a", "cold")


async def test_the_stream_helper_puts_calls_together(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=CALLS, reason=FinishReason.TOOL_CALLS)
    events, final = await real.chat_events(model="thinker", messages=ASK, tools=[WEATHER])
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [(event.index, event.parsed_arguments) for event in done] == [
        (0, {"town": "Oslo"}),
        (1, {"town": "Bergen"}),
    ]
    message = final.choices[0].message
    assert [call.id for call in message.tool_calls] == ["call_a", "call_b"]
    assert (message.content, final.choices[0].finish_reason) == (None, "tool_calls")


async def test_reasoning_has_a_field_of_its_own(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=THOUGHT)
    message = (await real.chat(model="thinker", messages=ASK)).choices[0].message
    assert (message.content, message.reasoning_content, message.reasoning) == (
        "Cold.",
        "Oslo is north.",
        "Oslo is north.",
    )
    _, final = await real.chat_events(model="thinker", messages=ASK)
    streamed = final.choices[0].message
    assert (streamed.content, streamed.reasoning_content, streamed.reasoning) == (
        "Cold.",
        "Oslo is north.",
        "Oslo is north.",
    )


async def test_a_class_is_filled_in(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=('{"degrees": ', "-3}"))
    answer = await real.parse(model="demo", messages=ASK, response_format=Warmth)
    assert answer.choices[0].message.parsed == Warmth(degrees=-3)
    constraint = only(daemon).constraint
    assert isinstance(constraint, JsonSchemaConstraint)
    assert '"degrees"' in constraint.schema
    _, final = await real.chat_events(model="demo", messages=ASK, response_format=Warmth)
    assert final.choices[0].message.parsed == Warmth(degrees=-3)


async def test_a_class_that_does_not_fit_is_told(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=('{"deg',), reason=FinishReason.LENGTH)
    with pytest.raises(openai.LengthFinishReasonError):
        await real.parse(model="demo", messages=ASK, response_format=Warmth)


async def test_log_probabilities_of_a_chat(daemon: RunningDaemon, real: Client) -> None:
    broken = TokenLogprob(b"\xe2\x98", -0.25, (TokenLogprob(b"x", -2.0),))
    rest = TokenLogprob(b"\x83", -0.125)
    daemon.launcher.script = Script(deltas=(TextDelta("", (broken,)), TextDelta("\u2603", (rest,))))
    answer = await real.chat(model="demo", messages=ASK, logprobs=True, top_logprobs=1)
    first, second = answer.choices[0].logprobs.content
    assert bytes(first.bytes + second.bytes).decode() == answer.choices[0].message.content == "\u2603"
    assert (first.token, first.logprob, second.logprob) == ("\ufffd", -0.25, -0.125)
    assert [(top.token, top.logprob) for top in first.top_logprobs] == [("x", -2.0)]
    assert only(daemon).top_logprobs == 1
    events, final = await real.chat_events(model="demo", messages=ASK, logprobs=True)
    assert len(final.choices[0].logprobs.content) == 2
    assert [len(event.content) for event in events if event.type == "logprobs.content.delta"] == [1, 1]
    assert [request.top_logprobs for request in daemon.worker.requests] == [1, 0]


async def test_several_answers(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = lambda request: Script(deltas=("seed ", str(request.sampling.seed)))
    answer = await real.chat(model="demo", messages=ASK, n=3, seed=5)
    said = [choice.message.content for choice in answer.choices]
    assert said == ["seed 5", "seed 6", "seed 7"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 6)
    _, final = await real.chat_events(
        model="demo", messages=ASK, n=3, seed=5, stream_options={"include_usage": True}
    )
    assert [choice.message.content for choice in final.choices] == said
    assert final.usage.completion_tokens == 6
    assert daemon.worker.most_at_once == 3


async def test_more_answers_than_slots(daemon: RunningDaemon, real: Client) -> None:
    answer = await real.chat(model="demo", messages=ASK, n=20)
    assert [choice.message.content for choice in answer.choices] == ["Hello world"] * 20
    assert daemon.worker.most_at_once == daemon.worker.loaded.slots
