"""The pure side of `/v1/responses`: golden files, and what is refused."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fakes.golden import cases, check_golden, read_events
from fakes.trap_text import TRAP_TEXT
from puna.api.encoding import encode_json
from puna.api.openai.responses.convert import (
    ResponseHead,
    check_supported,
    to_generation,
    to_reply,
    to_wish,
)
from puna.api.openai.responses.fitting import count_turns, leave_out
from puna.api.openai.responses.item_replies import Item, ItemStatus, MessageItem, OutputText
from puna.api.openai.responses.items import ContextItem, to_items
from puna.api.openai.responses.messages import to_messages
from puna.api.openai.responses.output import complete_reply, from_completion
from puna.api.openai.responses.replies import ResponseReply
from puna.api.openai.responses.schema import RESPONSE, ResponseBody
from puna.api.openai.responses.stream import ResponseEncoder
from puna.api.openai.responses.thoughts import open_thoughts, seal_thoughts
from puna.api.openai.responses.toolbox import from_arguments
from puna.api.openai.responses.tools import to_toolbox
from puna.api.streaming import SSE
from puna.domain.chat import Message, Role, ToolCall, ToolChoice, ToolChoiceMode
from puna.domain.generation import (
    ChatPrompt,
    CompletionBuilder,
    Finished,
    GenerationEvent,
    GenerationRequest,
    Started,
    TextDelta,
)
from puna.errors import ErrorKind, InvalidRequestError, NotFoundError, PunaError, error_of_kind

CASES = cases("responses")
FINISHED = [case for case in CASES if not (case / "error.json").exists()]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def counted_ids() -> Callable[[str], str]:
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


def body_of(case: Path) -> ResponseBody:
    return RESPONSE.parse((case / "request.json").read_bytes())


def generation_of(body: ResponseBody) -> GenerationRequest:
    check_supported(body)
    return to_generation(body, [each.item for each in to_items(body.input, {}, (), counted_ids())])


def head_of(body: ResponseBody) -> ResponseReply:
    return to_reply(body, ResponseHead("resp_0", body.model or "demo", 1_767_323_045.5))


def encoder_of(body: ResponseBody) -> ResponseEncoder:
    return ResponseEncoder(head_of(body), to_wish(body), to_toolbox(body), counted_ids())


def stream_of(body: ResponseBody, events: list[GenerationEvent]) -> list[bytes]:
    """Return what is written, the last event as the route makes it."""
    encoder = encoder_of(body)
    chunks = [encoder.encode(event) for event in events]
    if isinstance(events[-1], Finished):
        reply = complete_reply(head_of(body), encoder.output, events[-1], now_s=1_767_323_046.5)
        chunks.append(encoder.encode_end(reply))
    return chunks


def answer_of(body: ResponseBody, events: list[GenerationEvent]) -> ResponseReply:
    builder = CompletionBuilder()
    for event in events:
        match event:
            case Started() | Finished():
                pass
            case _:
                builder.push(event)
    finished = events[-1]
    assert isinstance(finished, Finished)
    output = from_completion(builder.finish(finished), to_wish(body), to_toolbox(body), counted_ids())
    return complete_reply(head_of(body), output, finished, now_s=1_767_323_046.5)


def read_stream(stream: bytes) -> list[dict[str, object]]:
    """Read server-sent events as strictly as they are written."""
    events = []
    for block in stream.decode("ascii").removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


@by_name
def test_a_request_is_understood(case: Path) -> None:
    check_golden(case / "domain.json", generation_of(body_of(case)))


@by_name
def test_events_become_a_stream(case: Path) -> None:
    body, events = body_of(case), read_events(case / "events.json")
    stream = b"".join(stream_of(body, events))
    error = case / "error.json"
    if error.exists():
        told = json.loads(error.read_bytes())
        encoder = encoder_of(body)
        failure = error_of_kind(ErrorKind(told["kind"]), told["message"])
        stream = b"".join(encoder.encode(event) for event in events) + encoder.encode_error(failure)
    check_golden(case / "stream.txt", stream)
    assert [event["sequence_number"] for event in read_stream(stream)] == list(
        range(len(read_stream(stream)))
    )


@pytest.mark.parametrize("case", FINISHED, ids=lambda case: case.name)
def test_events_become_an_answer(case: Path) -> None:
    body, events = body_of(case), read_events(case / "events.json")
    check_golden(case / "answer.json", json.loads(encode_json(answer_of(body, events))))


@pytest.mark.parametrize("case", FINISHED, ids=lambda case: case.name)
def test_the_last_event_of_a_stream_is_the_answer(case: Path) -> None:
    body, events = body_of(case), read_events(case / "events.json")
    last = read_stream(b"".join(stream_of(body, events)))[-1]
    assert last["response"] == json.loads(encode_json(answer_of(body, events)))


def test_trap_text_survives_in_every_event() -> None:
    case = next(case for case in CASES if case.name == "trap_text")
    body, events = body_of(case), read_events(case / "events.json")
    told = read_stream(b"".join(stream_of(body, events)))
    deltas = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    assert "".join(map(str, deltas)) == TRAP_TEXT
    assert generation_of(body).prompt == ChatPrompt((Message(Role.USER, TRAP_TEXT),))


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_error_ends_a_stream(kind: ErrorKind) -> None:
    error = PunaError("It failed, says the test.")
    error.kind = kind  # type: ignore[misc] # the walk covers kinds that no class of the tree has
    encoder = encoder_of(ResponseBody(input="x"))
    stream = encoder.encode(TextDelta("Once")) + encoder.encode_error(error)
    told, failed = read_stream(stream)[-2:]
    assert encoder.content_type == SSE
    assert (told["type"], told["message"]) == ("error", error.message)
    assert isinstance(told["code"], str)
    assert isinstance(told["error"], dict)
    assert failed["type"] == "response.failed"
    response = failed["response"]
    assert isinstance(response, dict)
    assert (response["status"], response["error"]["message"]) == ("failed", error.message)
    assert [item["status"] for item in response["output"]] == ["incomplete"]


def test_a_stream_that_fails_at_once_still_begins() -> None:
    stream = encoder_of(ResponseBody(input="x")).encode_error(PunaError("no"))
    assert [event["type"] for event in read_stream(stream)] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]


def test_items_of_one_assistant_turn_are_one_message() -> None:
    body = RESPONSE.parse(
        json.dumps(
            {
                "input": [
                    {"role": "user", "content": "Both?"},
                    {
                        "type": "reasoning",
                        "id": "rs_1",
                        "summary": [{"type": "summary_text", "text": "Look."}],
                    },
                    {"role": "assistant", "content": "Looking."},
                    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                    {"type": "function_call", "call_id": "b", "name": "g", "arguments": '{"x":1}'},
                    {"type": "function_call_output", "call_id": "b", "output": "two"},
                    {
                        "type": "function_call_output",
                        "call_id": "a",
                        "output": [{"type": "input_text", "text": "one"}],
                    },
                    {
                        "type": "reasoning",
                        "id": "rs_2",
                        "summary": [],
                        "encrypted_content": seal_thoughts("Hm."),
                    },
                    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
                    {"role": "assistant", "content": "Well."},
                    {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": "?"}]},
                    {"role": "user", "content": "Go on."},
                ]
            }
        ).encode()
    )
    prompt = generation_of(body).prompt
    assert isinstance(prompt, ChatPrompt)
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "g", '{"x":1}'))
    assert prompt.messages == (
        Message(Role.USER, "Both?"),
        Message(Role.ASSISTANT, "Looking.", "Look.", calls),
        Message(Role.TOOL, "two", tool_call_id="b", name="g"),
        Message(Role.TOOL, "one", tool_call_id="a", name="f"),
        Message(Role.ASSISTANT, "No.", "Hm."),
        Message(Role.ASSISTANT, "Well."),
        Message(Role.USER, "Go on."),
    )


def test_tools_of_every_kind_may_be_the_allowed_ones() -> None:
    members = [{"type": "function", "name": "search"}, {"type": "custom", "name": "note"}]
    body = {
        "input": "x",
        "tools": [
            {"type": "function", "name": "other"},
            {"type": "namespace", "name": "docs_", "tools": members},
            {"type": "web_search"},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "custom", "name": "note"}, {"type": "function", "name": "search"}],
        },
    }
    prompt = generation_of(RESPONSE.parse(json.dumps(body).encode())).prompt
    assert isinstance(prompt, ChatPrompt)
    assert [tool.name for tool in prompt.tools] == ["docs__search", "docs__note"]


def test_a_choice_may_call_a_custom_tool_a_function() -> None:
    body = {
        "input": "x",
        "tools": [{"type": "custom", "name": "f"}],
        "tool_choice": {"type": "function", "name": "f"},
    }
    prompt = generation_of(RESPONSE.parse(json.dumps(body).encode())).prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.choice == ToolChoice(ToolChoiceMode.NAMED, "f")


def test_thoughts_in_several_items_are_lines() -> None:
    parts = [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]} for text in "abc"]
    message: dict[str, object] = {"role": "assistant", "content": "d"}
    body = RESPONSE.parse(json.dumps({"input": [*parts, message]}).encode())
    prompt = generation_of(body).prompt
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages == (Message(Role.ASSISTANT, "d", "a\nb\nc"),)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"a\\nb"}', "a\nb"),
        ('{"input":"a","why":"b"}', "a"),
        ('{"patch":"a"}', "a"),
        ('{"input":{"a":1}}', '{"input":{"a":1}}'),
        ('{"a":1,"b":2}', '{"a":1,"b":2}'),
        ("{}", ""),
        ('{"input":"rm -rf /tmp', ""),
        ("[" * 100_000, ""),
        ("", ""),
    ],
)
def test_the_input_of_a_custom_tool_is_what_the_model_gave_it(arguments: str, text: str) -> None:
    assert from_arguments(arguments) == text


def test_what_a_model_made_is_understood_when_it_comes_back() -> None:
    """Clients append `response.output` to their input as it is."""
    for case in FINISHED:
        body, events = body_of(case), read_events(case / "events.json")
        output = json.loads(encode_json(answer_of(body, events).output))
        again = RESPONSE.parse(json.dumps({"input": output}).encode())
        items = [each.item for each in to_items(again.input, {}, (), counted_ids())]
        assert [item.id for item in items] == [item["id"] for item in output]
        assert to_messages(items) == to_messages(answer_of(body, events).output)


def test_thoughts_are_sealed_and_opened() -> None:
    assert open_thoughts(seal_thoughts(TRAP_TEXT)) == TRAP_TEXT
    assert seal_thoughts(TRAP_TEXT).isascii()
    assert [open_thoughts(word) for word in ("gAAAA", "puna-1.\u00e9", "puna-1.a", "puna-1.__8=")] == [
        None
    ] * 4


def test_a_reference_finds_its_item_and_one_that_is_there_already_is_not_doubled() -> None:
    item = MessageItem("msg_9", ItemStatus.COMPLETED, "assistant", (OutputText("Yes."),))
    body = RESPONSE.parse(b'{"input":[{"type":"item_reference","id":"msg_9"},{"role":"user","content":"?"}]}')
    referenced = {"msg_9": ContextItem(item, 7)}
    assert [each.number for each in to_items(body.input, referenced, (), counted_ids())] == [7, None]
    assert [each.number for each in to_items(body.input, referenced, {7}, counted_ids())] == [None]
    with pytest.raises(NotFoundError, match="There is no item msg_9"):
        to_items(body.input, {}, (), counted_ids())


REFUSED: list[tuple[dict[str, object], str, str]] = [
    ({"background": True}, "background", "must be false"),
    ({"conversation": "conv_1"}, "conversation", "previous_response_id"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt", "`instructions`"),
    ({"context_management": [{"type": "compaction"}]}, "context_management", "truncation"),
    ({"moderation": {"model": "m"}}, "moderation", "leave it out"),
    ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation", "false"),
    ({"reasoning": {"summary": "concise"}}, "reasoning.summary", "auto or detailed"),
    ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "standard"),
    ({"reasoning": {"context": "all_turns"}}, "reasoning.context", "auto"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "none, minimal, low"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "16 keys"),
    ({"metadata": {"k": "v" * 513}}, "metadata", "512"),
    ({"include": ["everything"]}, "include[0]", "message.output_text.logprobs"),
    ({"top_logprobs": 21}, "top_logprobs", "from 0 to 20"),
    ({"temperature": 2.5}, "temperature", "from 0 to 2"),
    ({"max_output_tokens": 0}, "max_output_tokens", "a whole number from 1"),
    ({"truncation": "middle"}, "truncation", "disabled, auto"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type", "json_schema"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", "required"),
    ({"text": {"verbosity": "loud"}}, "text.verbosity", "low, medium, high"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "web_search"),
    ({"tools": [{"type": "custom"}]}, "tools[0].name", "required"),
    ({"tools": [{"type": "custom", "name": "x", "format": {"type": "xml"}}]}, "tools[0].format", "grammar"),
    (
        {"tools": [{"type": "custom", "name": "x", "format": {"type": "grammar", "syntax": "lark"}}]},
        "tools[0].format",
        "`definition`",
    ),
    ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name", "required"),
    (
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp", "name": "x"}]}]},
        "tools[0].tools[0].type",
        "mcp",
    ),
    (
        {
            "tools": [
                {"type": "function", "name": "n__x"},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "x"}]},
            ]
        },
        "tools",
        "two tools of the name n__x",
    ),
    (
        {"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "custom", "name": "g"}},
        "tool_choice.name",
        "one of the `tools`",
    ),
    ({"tools": [{"type": "function"}]}, "tools[0].name", "required"),
    ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name", "letters"),
    ({"tool_choice": "required"}, "tool_choice", "no tools"),
    ({"tool_choice": "maybe"}, "tool_choice", "none, auto, required"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name", "one of the `tools`"),
    ({"tool_choice": {"type": "file_search"}}, "tool_choice.type", "file_search"),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            }
        },
        "tool_choice.tools[0]",
        "one of the `tools`",
    ),
    ({"input": []}, "input", "at least one message"),
    ({"input": None}, "input", "required"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", "user, assistant, system, developer"),
    ({"input": [{"content": "x"}]}, "input[0].role", "required"),
    ({"input": [{"role": "user"}]}, "input[0].content", "required"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "input[0].content[0].text",
        "required",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]},
        "input[0].content[0]",
        "is an image",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        "input[0].content[0]",
        "is a file",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "hologram"}]}]},
        "input[0].content[0].type",
        "hologram is not known",
    ),
    ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type", "web_search_call"),
    (
        {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": {"x": 1}}]},
        "input[0].arguments",
        "must be a string",
    ),
    (
        {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
        "input[0].call_id",
        "required",
    ),
    (
        {"input": [{"type": "function_call_output", "call_id": "a", "output": "x"}]},
        "input",
        "but not the call",
    ),
    (
        {"input": [{"type": "function_call_output", "call_id": "a", "output": [7]}]},
        "input[0].output[0]",
        "an object",
    ),
    (
        {"input": [{"type": "function_call_output", "call_id": "a", "output": [{"type": "input_image"}]}]},
        "input[0].output[0]",
        "is an image",
    ),
    (
        {"input": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAAA"}]},
        "input[0].encrypted_content",
        "not from Puna",
    ),
    ({"input": [{"type": "reasoning", "id": "r", "content": "x"}]}, "input[0].content", "a list"),
]


@pytest.mark.parametrize(("fields", "field", "message"), REFUSED, ids=lambda each: str(each)[:40])
def test_what_is_not_served_is_refused_by_name(fields: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        generation_of(RESPONSE.parse(json.dumps({"model": "demo", "input": "x"} | fields).encode()))
    assert refused.value.field == field
    assert message in refused.value.message
    assert refused.value.message.startswith(f"`{field}")


def test_unknown_fields_and_nulls_change_nothing() -> None:
    nulls = dict.fromkeys(ResponseBody.__struct_fields__, None) | {"input": "x", "num_ctx": 4096}
    assert generation_of(RESPONSE.parse(json.dumps(nulls).encode())) == generation_of(ResponseBody(input="x"))


def test_turns_are_left_out_from_the_front() -> None:
    system, first, answer, second, third = (
        Message(role, text)
        for role, text in (
            (Role.SYSTEM, "s"),
            (Role.USER, "1"),
            (Role.ASSISTANT, "a"),
            (Role.USER, "2"),
            (Role.USER, "3"),
        )
    )
    conversation = [system, first, answer, second, third]
    assert count_turns(conversation) == 3
    assert leave_out(conversation, 1) == (system, second, third)
    assert leave_out(conversation, 2) == (system, third)
    assert leave_out([answer, first, second], 1) == (second,)
    assert count_turns([system]) == 0


def test_stored_items_keep_all_that_they_say() -> None:
    decoder: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)
    for case in FINISHED:
        for item in answer_of(body_of(case), read_events(case / "events.json")).output:
            assert decoder.decode(encode_json(item)) == item
