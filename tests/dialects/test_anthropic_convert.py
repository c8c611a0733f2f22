"""Anthropic's converters: golden requests and event streams, and what they refuse."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fakes.golden import cases, check_golden, read_events
from fakes.trap_text import TRAP_TEXT
from puna.api.anthropic.conversation import to_messages
from puna.api.anthropic.convert import AnswerHead, from_completion, to_generation, to_head, to_prompt
from puna.api.anthropic.replies import MessageReply
from puna.api.anthropic.schema import COUNT_TOKENS, MESSAGES, MessageBody, MessageRole, MessagesBody
from puna.api.anthropic.stream import MessageEncoder
from puna.api.encoding import encode_json
from puna.domain.chat import Message, Role, ToolCall, ToolChoiceMode
from puna.domain.generation import ChatPrompt, CompletionBuilder, Finished, GenerationEvent, Started
from puna.errors import InvalidRequestError, WorkerDiedError

CASES = cases("anthropic")
all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def read_request(case: Path) -> MessagesBody:
    return MESSAGES.parse((case / "request.json").read_bytes())


def to_stream(case: Path, events: list[GenerationEvent]) -> bytes:
    """Return the stream of some events, which fails where they have no end."""
    encoder = MessageEncoder(to_head(read_request(case), "msg_1"), "req_1")
    stream = b"".join(map(encoder.encode, events))
    if isinstance(events[-1], Finished):
        return stream
    return stream + encoder.encode_error(WorkerDiedError("The worker was killed by signal 9."))


def to_answer(case: Path, events: list[GenerationEvent]) -> MessageReply:
    builder = CompletionBuilder()
    for event in events:
        match event:
            case Started():
                pass
            case Finished():
                return from_completion(builder.finish(event), to_head(read_request(case), "msg_1"))
            case _:
                builder.push(event)
    raise AssertionError(case.name)


@all_cases
def test_a_request_becomes_the_domains(case: Path) -> None:
    check_golden(case / "domain.json", to_generation(read_request(case)))


@all_cases
def test_events_become_a_stream(case: Path) -> None:
    stream = to_stream(case, read_events(case / "events.json"))
    assert stream.isascii()
    check_golden(case / "stream.txt", stream)


@pytest.mark.parametrize(
    "case", [each for each in CASES if each.name != "failure"], ids=lambda each: each.name
)
def test_events_become_an_answer(case: Path) -> None:
    check_golden(
        case / "answer.json", json.loads(encode_json(to_answer(case, read_events(case / "events.json"))))
    )


@all_cases
def test_every_event_has_its_name_twice_and_blocks_follow_each_other(case: Path) -> None:
    chunks = to_stream(case, read_events(case / "events.json")).decode().split("\n\n")
    assert chunks.pop() == ""
    open_block, blocks = None, 0
    for chunk in chunks:
        name, data = chunk.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        match event["type"]:
            case "content_block_start":
                assert (open_block, event["index"]) == (None, blocks)
                open_block, blocks = event["index"], blocks + 1
            case "content_block_delta":
                assert event["index"] == open_block
            case "content_block_stop":
                assert event["index"] == open_block
                open_block = None
            case "message_stop":
                assert open_block is None


def test_the_trap_text_is_whole_in_both_ways() -> None:
    case = next(each for each in CASES if each.name == "trap")
    events = read_events(case / "events.json")
    lines = to_stream(case, events).decode().splitlines()
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    deltas = [each["delta"]["text"] for each in data if each["type"] == "content_block_delta"]
    assert "".join(deltas) == TRAP_TEXT
    answer = json.loads((case / "answer.json").read_text())
    assert answer["content"] == [{"type": "text", "text": TRAP_TEXT}]


def test_an_answer_sent_back_is_what_the_model_said() -> None:
    case = next(each for each in CASES if each.name == "agent")
    answer = json.loads((case / "answer.json").read_text())
    said = prompt(messages=[{"role": "user", "content": "x"}, answer]).messages[-1]
    assert (said.content, said.reasoning) == ("Let me look.", "Two cities.")
    assert [(call.id, call.arguments) for call in said.tool_calls] == [
        ("call_1", '{"city":"Bern"}'),
        ("call_2", '{"city":"Rome"}'),
    ]


USER: dict[str, object] = {"role": "user", "content": "x"}
TOOL: dict[str, object] = {"name": "f", "input_schema": {"type": "object"}}


def parse(**fields: Any) -> MessagesBody:
    body = {"model": "demo", "max_tokens": 2000, "messages": [USER]} | fields
    return MESSAGES.parse(json.dumps({name: value for name, value in body.items() if value != ...}).encode())


def prompt(**fields: Any) -> ChatPrompt:
    return to_prompt(parse(**fields))


def user(*blocks: object) -> list[object]:
    return [{"role": "user", "content": list(blocks)}]


def result(*blocks: object) -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(blocks)}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no max_tokens": ({"max_tokens": ...}, "`max_tokens` is required."),
    "max_tokens": ({"max_tokens": 0}, "`max_tokens` must be a whole number from 1 to 10000000."),
    "no model": ({"model": ""}, "`model` must be a non-empty string."),
    "no messages": ({"messages": []}, "`messages` must be a list of 1 to 10000 items."),
    "role": (
        {"messages": [{"role": "tool", "content": "x"}]},
        "`messages[0].role` must be one of user, assistant, system.",
    ),
    "image": (
        {"messages": user({"type": "image", "source": {}})},
        "`messages[0].content[0].type` must be one of text, thinking, redacted_thinking, tool_use, tool_result, "
        "not image.",
    ),
    "document in a result": (
        {"messages": user(result({"type": "document", "source": {}}))},
        "`messages[0].content[0].content[0].type` must be one of text, not document.",
    ),
    "text of a block": (
        {"messages": user({"type": "text", "text": 1})},
        "`messages[0].content[0].text` must be a string.",
    ),
    "id of a result": (
        {"messages": user({"type": "tool_result", "tool_use_id": 1})},
        "`messages[0].content[0].tool_use_id` must be a non-empty string.",
    ),
    "call of a user": (
        {"messages": user({"type": "tool_use", "id": "1", "name": "f", "input": {}})},
        "`messages[0].content[0].type` must be one of text, tool_result in a message of the role user, "
        "not tool_use.",
    ),
    "result of the assistant": (
        {"messages": [USER, {"role": "assistant", "content": [{"type": "text", "text": "x"}, result()]}]},
        "`messages[1].content[1].type` must be one of text, thinking, redacted_thinking, tool_use in a message "
        "of the role assistant, not tool_result.",
    ),
    "system": (
        {"system": [{"type": "image"}]},
        "`system[0].type` must be one of text, not image.",
    ),
    "temperature": ({"temperature": 1.5}, "`temperature` must be a number from 0 to 1."),
    "top_p": ({"top_p": 2}, "`top_p` must be a number from 0 to 1."),
    "top_k": ({"top_k": -1}, "`top_k` must be a whole number from 0 to 1000000."),
    "stop_sequences": ({"stop_sequences": [""]}, "`stop_sequences[0]` must be a non-empty string."),
    "server tool": (
        {"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]},
        "`tools[1].type` web_search_20250305 is one of Anthropic's own tools, which are not here; "
        "describe a tool that your program runs, with `input_schema`.",
    ),
    "no schema": ({"tools": [{"name": "f"}]}, "`tools[0].input_schema` is required."),
    "no name": ({"tools": [{"input_schema": {}}]}, "`tools[0].name` is required."),
    "name of a tool": (
        {"tools": [TOOL | {"name": "a b"}]},
        "`tools[0].name` must be 1 to 128 letters, digits or any of _ . : / -",
    ),
    "two tools": ({"tools": [TOOL, TOOL]}, "`tools` has two tools of the name f."),
    "choice": (
        {"tools": [TOOL], "tool_choice": {"type": "required"}},
        "`tool_choice.type` must be one of auto, any, tool, none.",
    ),
    "choice of none": ({"tool_choice": {"type": "any"}}, "`tool_choice` any needs `tools`."),
    "choice of an unknown one": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        "`tool_choice.name` must be one of f.",
    ),
    "thinking": (
        {"thinking": {"type": "on"}},
        "`thinking.type` must be one of enabled, disabled, adaptive, between_tools.",
    ),
    "no budget": (
        {"thinking": {"type": "enabled"}},
        "`thinking.budget_tokens` is required where `thinking.type` is enabled.",
    ),
    "small budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 1000}},
        "`thinking.budget_tokens` must be a whole number of at least 1024.",
    ),
    "effort": (
        {"output_config": {"effort": "none"}},
        "`output_config.effort` must be one of low, medium, high, xhigh, max.",
    ),
    "format": (
        {"output_config": {"format": {"type": "xml", "schema": {}}}},
        "`output_config.format.type` must be one of json_schema.",
    ),
    "container": (
        {"container": "c"},
        "`container` is not supported: nothing is run here; leave it out.",
    ),
    "compaction": (
        {"compaction": {"type": "summarize"}},
        "`compaction` is not supported; ask the model for a summary instead.",
    ),
    "thread": (
        {"thread": {"type": "create"}},
        "`thread` is not supported: no conversation is kept; send all its messages without it.",
    ),
    "mcp_servers": (
        {"mcp_servers": [{"type": "url"}]},
        "`mcp_servers` is not supported: connect to them from your program, and send their tools as `tools`.",
    ),
    "form of a prefill": (
        {
            "messages": [USER, {"role": "assistant", "content": "{"}],
            "output_format": {"type": "json_schema", "schema": {}},
        },
        "`messages` ends with the assistant's, which cannot go on in a given form; "
        "end it with a message of the user, or leave `output_config.format` out.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name(name: str) -> None:
    fields, message = REFUSED[name]
    with pytest.raises(InvalidRequestError) as refused:
        to_generation(parse(**fields))
    assert refused.value.message == message


def test_null_is_absent_and_unknown_fields_are_nothing() -> None:
    optional = dict.fromkeys(
        (
            *("system", "tools", "tool_choice", "thinking", "output_config", "output_format", "mcp_servers"),
            *(
                "temperature",
                "top_p",
                "top_k",
                "stop_sequences",
                "stream",
                "container",
                "thread",
                "compaction",
            ),
        )
    )
    assert to_generation(parse(**optional, speed="fast", nobody_knows={})) == to_generation(parse())


def test_a_whole_number_may_have_a_point() -> None:
    assert to_generation(parse(max_tokens=2000.0)).max_tokens == 2000


def test_the_older_name_of_the_format_counts() -> None:
    format_ = {"type": "json_schema", "schema": {"type": "object"}}
    assert to_generation(parse(output_format=format_)) == to_generation(
        parse(output_config={"format": format_})
    )


def test_a_tool_of_a_strange_type_with_a_schema_is_a_tool() -> None:
    (tool,) = prompt(tools=[TOOL | {"type": "function"}]).tools
    assert (tool.name, tool.parameters) == ("f", '{"type":"object"}')


@pytest.mark.parametrize(
    ("choice", "mode", "name"),
    [
        (None, ToolChoiceMode.AUTO, None),
        ({"type": "auto"}, ToolChoiceMode.AUTO, None),
        ({"type": "any"}, ToolChoiceMode.REQUIRED, None),
        ({"type": "tool", "name": "f"}, ToolChoiceMode.NAMED, "f"),
        ({"type": "none"}, ToolChoiceMode.NONE, None),
    ],
)
def test_choices_have_their_modes(choice: object, mode: ToolChoiceMode, name: str | None) -> None:
    found = prompt(tools=[TOOL], tool_choice=choice).choice
    assert (found.mode, found.name, found.is_parallel) == (mode, name, True)


@pytest.mark.parametrize(
    ("thinking", "effort", "is_thinking"),
    [
        (None, None, False),
        (None, "high", None),
        ({"type": "disabled"}, "high", False),
        ({"type": "between_tools"}, None, False),
        ({"type": "adaptive"}, None, True),
        ({"type": "enabled", "budget_tokens": 1024}, None, True),
        # More than `max_tokens`, as programs send it whose models think between calls.
        ({"type": "enabled", "budget_tokens": 32_000}, None, True),
    ],
)
def test_a_model_thinks_when_it_is_told_to(
    thinking: object, effort: str | None, is_thinking: bool | None
) -> None:
    found = prompt(thinking=thinking, output_config={"effort": effort})
    assert (found.is_thinking, found.effort) == (is_thinking, effort)


def test_turns_of_one_role_are_one_turn() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    turns = [
        {"role": "user", "content": "1"},
        {"role": "user", "content": ""},
        {"role": "user", "content": "2"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, call]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "y"}, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
    ]
    called = ToolCall("a", "f", "{}")
    result = Message(Role.TOOL, "", tool_call_id="a")
    assert prompt(messages=turns).messages == (
        Message(Role.USER, "1\n\n2"),
        Message(Role.ASSISTANT, "", "x\n\ny", (called, called)),
        result,
        result,
    )


def test_thousands_of_turns_are_joined_at_once() -> None:
    """One by one it takes 80 gigabytes of copies, and the daemon does nothing else meanwhile."""
    text = "x" * 10_000
    turns = [MessageBody(MessageRole.USER, text)] * 4000
    begin = time.perf_counter()
    (joined,) = to_messages(None, turns)
    assert time.perf_counter() - begin < 5
    assert len(joined.content) == 4000 * (len(text) + 2) - 2


@pytest.mark.parametrize("line", ["x-anthropic-billing-header: cch=1;\nBe brief.", "Be brief."])
def test_the_line_for_the_books_is_left_out_of_a_system_string(line: str) -> None:
    assert prompt(system=line).messages[0] == Message(Role.SYSTEM, "Be brief.")


def test_a_system_of_nothing_is_none() -> None:
    blocks = [{"type": "text", "text": "x-anthropic-billing-header: cch=1;"}, {"type": "text", "text": ""}]
    assert prompt(system=blocks).messages == (Message(Role.USER, "x"),)


def test_consecutive_turns_of_a_role_are_one() -> None:
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}
    messages = prompt(
        messages=[
            USER,
            {"role": "user", "content": [{"type": "text", "text": "y"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "So."}, call]},
            {"role": "user", "content": [result({"type": "text", "text": "1"})]},
            {"role": "user", "content": [result({"type": "text", "text": "2"})]},
        ]
    ).messages
    assert [(message.role, message.content) for message in messages] == [
        (Role.USER, "x\n\ny"),
        (Role.ASSISTANT, ""),
        (Role.TOOL, "1"),
        (Role.TOOL, "2"),
    ]
    assert (messages[1].reasoning, messages[1].tool_calls[0].arguments) == ("Hm.\n\nSo.", '{"a":1}')


def test_an_error_that_a_tool_tells_is_told_as_one() -> None:
    failed = result({"type": "text", "text": "no such city"}) | {"is_error": True}
    said = result({"type": "text", "text": "Error: no such city"}) | {"is_error": True}
    messages = prompt(messages=user(failed, said, result() | {"is_error": True})).messages
    assert [message.content for message in messages] == [
        "Error: no such city",
        "Error: no such city",
        "Error: the tool failed.",
    ]


def test_the_prompt_that_is_counted_is_the_one_that_is_answered() -> None:
    fields = {"model": "demo", "messages": [USER], "system": "Be brief.", "tools": [TOOL]}
    counted = to_prompt(COUNT_TOKENS.parse(json.dumps(fields).encode()))
    assert counted == to_generation(parse(**fields)).prompt


def test_a_stream_without_a_beginning_begins_all_the_same() -> None:
    encoder = MessageEncoder(AnswerHead("msg_1", "demo"), "req_1")
    events = read_events(next(case for case in CASES if case.name == "plain") / "events.json")
    assert encoder.encode(events[1]).startswith(b"event: message_start\n")
    assert b"message_start" not in encoder.encode(events[2])
