"""Demanded tool calls with the demo model, which knows nothing of tools: calls that fit, all the same."""

import asyncio
import json

import pytest

from fakes.tool_texts import FAMILIES, PING, parse, to_reply
from puna.domain.chat import Tool, ToolChoice, ToolChoiceMode
from puna.domain.generation import Finished, FinishReason, GenerationRequest, Sampling, TextDelta, TextPrompt
from puna.engine.remote import RemoteWorker

FORECAST = Tool(
    "forecast",
    "",
    json.dumps(
        {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 20},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "unit": {"enum": ["C", "F"]},
            },
            "required": ["city", "days", "unit"],
        }
    ),
)
REQUIRED = ToolChoice(ToolChoiceMode.REQUIRED)


@pytest.mark.parametrize(
    "name", ["generic", "hermes", "qwen coder", "llama", "mistral since 2025", "lfm", "gemma 4"]
)
async def test_a_demanded_call_is_one_and_its_arguments_fit(worker: RemoteWorker, name: str) -> None:
    output_format = FAMILIES[name].output_format
    tools = (FORECAST, PING)

    async def call(seed: int) -> None:
        prompt = "What is the weather in Lima?"
        request = GenerationRequest(
            prompt=TextPrompt(prompt),
            sampling=Sampling(temperature=1.0, top_k=40, seed=seed),
            max_tokens=900,
            constraint=output_format.constrain_calls(prompt, tools, REQUIRED, {}),
        )
        events = [event async for event in worker.generate(request)]
        pieces = [event.text for event in events if isinstance(event, TextDelta)]
        assert isinstance(events[-1], Finished)
        assert events[-1].reason is FinishReason.STOP
        reply = to_reply(parse(output_format, pieces, prompt=prompt, tools=tools))
        assert reply.content == ""
        assert 1 <= len(reply.calls) <= 8
        for tool, arguments in reply.calls:
            expect_fitting(tool, json.loads(arguments))

    await asyncio.gather(*(call(seed) for seed in range(4)))


def expect_fitting(tool: str, arguments: dict[str, object]) -> None:
    if tool == "ping":
        assert arguments == {}
        return
    assert tool == "forecast"
    assert arguments.keys() == {"city", "days", "unit"}
    assert isinstance(arguments["city"], str)
    assert len(arguments["city"]) <= 20
    assert arguments["days"] in range(1, 15)
    assert arguments["unit"] in ("C", "F")
