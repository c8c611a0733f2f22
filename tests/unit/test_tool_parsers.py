"""Calls as each family of models writes them: whole, in pieces, broken and hostile."""

import json
import random

import pytest

from fakes.tool_texts import FAMILIES, LIMA, PONG, TOOLS, Family, parse, stream, to_reply
from puna.domain.chat import ToolCall
from puna.domain.generation import TextDelta, ToolCallArguments, ToolCallBegin
from puna.prompting.output_format import OutputFormat, new_call_id

HERMES = FAMILIES["hermes"].output_format
GENERIC = FAMILIES["generic"].output_format
CODER = FAMILIES["qwen coder"].output_format
LLAMA = FAMILIES["llama"].output_format

each_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def expect_no_call(family: Family, text: str) -> None:
    for pieces in ([text], list(text)):
        assert parse(family.output_format, pieces) == [TextDelta(text)]


@each_family
def test_a_family_s_calls_are_read(family: Family) -> None:
    reply = to_reply(parse(family.output_format, [family.text]))
    assert reply.calls == [LIMA, PONG]
    assert reply.content == ("Let me see." if family.is_speaking else "")
    assert json.loads(LIMA[1]) == {"city": 'Lima "Ü" {]\n🦙', "days": 3}


@each_family
def test_however_a_text_is_split_it_says_the_same(family: Family) -> None:
    text = family.text
    whole = parse(family.output_format, [text])
    assert parse(family.output_format, list(text)) == whole
    for cut in range(len(text) + 1):
        assert parse(family.output_format, [text[:cut], text[cut:]]) == whole


@each_family
def test_without_tools_nothing_is_a_call(family: Family) -> None:
    if "<|channel|>" in family.marks:
        return
    assert parse(family.output_format, [family.text], tools=()) == [TextDelta(family.text)]


@each_family
def test_a_text_cut_anywhere_raises_nothing_and_leaves_no_whole_call_that_was_not_said(
    family: Family,
) -> None:
    for end in range(len(family.text)):
        reply = to_reply(parse(family.output_format, [family.text[:end]]))
        for call, whole in zip(reply.calls, (LIMA, PONG), strict=False):
            assert call[0] == whole[0]
            assert call == whole or not is_json(call[1])


@each_family
def test_random_cuts_and_damage_change_nothing_with_the_split(family: Family) -> None:
    rng = random.Random(family.text)
    parts = [family.text[i : i + 9] for i in range(0, len(family.text), 9)]
    for _ in range(30):
        text = "".join(
            rng.choices([*parts, "{", '"', "}", "\n", "\\", "<", "[", "x", "🦙"], k=rng.randint(1, 40))
        )
        cuts = sorted(rng.choices(range(len(text) + 1), k=rng.randint(0, 8)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        whole = parse(family.output_format, [text])
        assert parse(family.output_format, pieces) == whole
        assert parse(family.output_format, list(text)) == whole
        reply = to_reply(whole)
        if not reply.calls and "<|channel|>" not in family.marks:
            assert reply.content == text


@each_family
def test_what_a_format_writes_it_reads(family: Family) -> None:
    calls = (ToolCall("a", *LIMA), ToolCall("b", *PONG))
    written = family.output_format.tools.write_calls(calls)
    assert to_reply(parse(family.output_format, [written])).calls == [LIMA, PONG]


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_the_name_comes_first_and_the_arguments_as_they_are_written() -> None:
    pieces = [
        '<tool_call>{"name": "get_',
        'weather", "arguments": {"ci',
        'ty": "Li',
        "ma",
        '"}}</tool',
        "_call>",
    ]
    events = list(stream(HERMES, pieces))
    assert events == [
        ToolCallBegin(0, "call 0", "get_weather"),
        ToolCallArguments(0, '{"ci'),
        ToolCallArguments(0, 'ty":"Li'),
        ToolCallArguments(0, "ma"),
        ToolCallArguments(0, '"}'),
    ]


def test_text_parameters_come_as_they_are_written() -> None:
    pieces = [
        "<tool_call><function=get_weather><parameter=city>\nLi",
        "ma\n",
        "\nx",
        "\n</para",
        "meter></function>",
    ]
    assert list(stream(CODER, pieces)) == [
        ToolCallBegin(0, "call 0", "get_weather"),
        ToolCallArguments(0, '{"city":"Li'),
        ToolCallArguments(0, "ma"),
        ToolCallArguments(0, "\\n\\nx"),
        ToolCallArguments(0, '"}'),
    ]


def test_content_comes_at_once_but_for_what_may_be_a_marker_or_the_blank_before_it() -> None:
    pieces = [
        "Hello",
        " ",
        "wor",
        "ld <too",
        "l> ",
        "<",
        "tool_call>",
        '{"name": "ping"}',
        "</tool_call>",
        " Bye",
        ".",
    ]
    assert [event.text for event in stream(HERMES, pieces) if isinstance(event, TextDelta)] == [
        "Hello",
        " wor",
        "ld",
        " <tool>",
        "Bye",
        ".",
    ]


def test_ids_are_random() -> None:
    ids = {new_call_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(call_id.startswith("call_") and call_id[5:].isalnum() for call_id in ids)
    parser = HERMES.new_parser("", TOOLS)
    event = parser.push('<tool_call>{"name": "ping"}</tool_call>')[0]
    assert isinstance(event, ToolCallBegin)
    assert event.id.startswith("call_")


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call> is a tag, and </tool_call> too.",
        '<tool_call>\n{"name": oops}\n</tool_call> \n',
        '<tool_call>{"name": "", "arguments": {}}</tool_call>',
        '<tool_call>{"name": 7, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "ping", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "ping", "arguments": "no object"}</tool_call>',
        '<tool_call>{"name": "ping" "arguments": {}}</tool_call>',
        '<tool_call>{"name": "pi\\ud800ng", "arguments": {}}</tool_call>',
        '<tool_call>{"arguments": {"a": 1}}</tool_call>',
        '<tool_call>{"arguments": {"a": 1',
        '<tool_call>["ping"]</tool_call>',
        '<tool_call>{"name": "' + "x" * 300 + '", "arguments": {}}</tool_call>',
        "<tool_call><tool_call>",
        '```json\n{"name": "no_tool", "arguments": {}}\n```',
        '```json\n{"name": "ping", "age": 3}\n```',
    ],
)
def test_what_is_no_call_is_content(text: str) -> None:
    expect_no_call(FAMILIES["hermes"], text)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Bob", "arguments": {}}',
        '{"answer": 42}',
        '[1, 2, {"name": "ping"}]',
        '{"tool_calls": []}',
        '{"tool_calls": [{"tool_calls": [{"tool_calls": [{"name": "ping"}]}]}]}',
        '{"function": {"function": {"function": {"name": "ping"}}}}',
        'A set:\n{1, 2}\nand "x"\n{',
        "```tool_code\nprint(print(ping()))\n```",
        "```tool_code\nother()\n```",
        "```tool_code\nping(1)\n```",
        "```tool_code\nping(=1)\n```",
        "```tool_code\nx = ping()\n```",
        "```python\nping()\n```",
    ],
)
def test_without_a_marker_only_a_tool_at_hand_is_called(text: str) -> None:
    expect_no_call(FAMILIES["generic"], text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qwen coder", "Use <function=name> tags."),
        ("qwen coder", "<tool_call>\n<function=ping>\nNo.\n</function>\n</tool_call>"),
        ("qwen coder", "<function=other>\n</function>"),
        ("glm", "<tool_call> is a tag"),
        ("mistral", "[TOOL_CALLS]"),
        ("mistral since 2025", "[TOOL_CALLS]ping and pong"),
        ("deepseek 3.1", FAMILIES["deepseek 3.1"].text[11:45]),
        ("gemma 4", "<|tool_call>ping{}<tool_call|>"),
        ("lfm", "<|tool_call_start|>[ping]<|tool_call_end|>"),
        ("llama", '{"name": "Bob", "parameters": {}}'),
        ("llama", "<|python_tag|>print(1)"),
    ],
)
def test_broken_calls_of_other_formats_are_content(name: str, text: str) -> None:
    expect_no_call(FAMILIES[name], text)


def test_a_call_after_a_broken_one_is_read() -> None:
    text = 'a <tool_call>{"name": nonsense <tool_call>\n{"name": "ping", "arguments": {}}\n</tool_call> b'
    reply = to_reply(parse(HERMES, [text]))
    assert reply.calls == [PONG]
    assert reply.content == 'a <tool_call>{"name": nonsenseb'


def test_arguments_that_break_are_left_open_and_the_rest_is_content() -> None:
    text = '<tool_call>{"name": "ping", "arguments": {"a": 1], "b": 2}}</tool_call>'
    reply = to_reply(parse(HERMES, [text]))
    assert reply.calls == [("ping", '{"a":1')]
    assert reply.content == '], "b": 2}}</tool_call>'


def test_any_name_is_a_call_behind_a_marker_of_the_format() -> None:
    assert to_reply(parse(HERMES, ['<tool_call>{"name": "other", "arguments": {}}'])).calls == [
        ("other", "{}")
    ]


def test_values_of_parameters_become_what_the_schema_says() -> None:
    text = (
        "<tool_call><function=get_weather><parameter=city>\n 42 \n</parameter><parameter=days>[1,\n 2]</parameter>"
        "<parameter=x>True</parameter><parameter=y>abc</parameter><parameter=z>{'a'}</parameter></function>"
    )
    name, arguments = to_reply(parse(CODER, [text])).calls[0]
    assert name == "get_weather"
    assert json.loads(arguments) == {"city": " 42 ", "days": [1, 2], "x": True, "y": "abc", "z": "{'a'}"}


def test_raw_line_breaks_and_needless_backslashes_in_strings_become_json() -> None:
    text = '<tool_call>{"name": "ping", "arguments": {"a": "x\ny\t\\d\\\'\\u00e9\\u00zz"}}</tool_call>'
    arguments = to_reply(parse(HERMES, [text])).calls[0][1]
    assert json.loads(arguments) == {"a": "x\ny\t\\d'é\\u00zz"}


def test_gpt_oss_without_channels_is_content() -> None:
    harmony = FAMILIES["gpt-oss"].output_format
    for text in ("Hello.", "<|channel|>final", "to be or not to be"):
        for pieces in ([text], list(text)):
            assert parse(harmony, pieces) == [TextDelta(text)]


def test_gpt_oss_calls_without_tools_or_to_others_are_text() -> None:
    harmony = FAMILIES["gpt-oss"].output_format
    text = '<|channel|>commentary to=functions.ping <|constrain|>json<|message|>{"a": 1}<|call|>'
    assert parse(harmony, [text], tools=()) == [TextDelta('{"a": 1}')]
    assert parse(harmony, [text.replace("functions.ping", "python")]) == [TextDelta('{"a": 1}')]
    broken = text.replace('{"a": 1}', "none")
    assert parse(harmony, [broken]) == [TextDelta("none")]


MEGABYTE, PART_OF_IT = 1_000_000, 100_000
HOSTILE = {
    "a string": (HERMES, '<tool_call>{"name": "ping", "arguments": {"a": "', "x", MEGABYTE),
    "escapes": (HERMES, '<tool_call>{"name": "ping", "arguments": {"a": "', "\\n", PART_OF_IT),
    "digits": (HERMES, '<tool_call>{"name": "ping", "arguments": {"a": ', "1", MEGABYTE),
    "brackets": (HERMES, '<tool_call>{"name": "ping", "arguments": {"a": ', "[", PART_OF_IT),
    "a name": (HERMES, '<tool_call>{"name": "', "ping", MEGABYTE),
    "arguments without a name": (HERMES, '<tool_call>{"arguments": {"a": "', "ping", MEGABYTE),
    "openers": (HERMES, "", "<tool_call>", PART_OF_IT),
    "half openers": (HERMES, "", "<tool_cal", MEGABYTE),
    "blanks": (HERMES, "", " \n", MEGABYTE),
    "blanks behind an opener": (HERMES, "<tool_call>", " \n", MEGABYTE),
    "reasoning": (HERMES, "<think>", "</thin", MEGABYTE),
    "a parameter": (CODER, "<tool_call><function=ping><parameter=a>", "\n</parameter", MEGABYTE),
    "a function's name": (CODER, "<tool_call><function=", "ping", MEGABYTE),
    "lines": (GENERIC, "", "\n{", PART_OF_IT),
    "lists of calls": (GENERIC, "", '{"tool_calls": [', MEGABYTE),
    "prints": (GENERIC, "```tool_code\n", "print(", MEGABYTE),
    "objects": (LLAMA, "", '{"name": "ping", "parameters": {}', PART_OF_IT),
    "headers": (FAMILIES["gpt-oss"].output_format, "", "<|channel|>", MEGABYTE),
    "calls": (FAMILIES["mistral since 2025"].output_format, "", "[TOOL_CALLS]ping[ARGS]{}", PART_OF_IT),
}


@pytest.mark.parametrize(("output_format", "head", "part", "size"), HOSTILE.values(), ids=HOSTILE)
def test_a_text_without_end_is_looked_at_once(
    output_format: OutputFormat, head: str, part: str, size: int
) -> None:
    text = head + part * (size // len(part))
    pieces = [text[i : i + 4_000] for i in range(0, len(text), 4_000)]
    events = parse(output_format, pieces)  # which looks that no piece is kept to be read again
    said = sum(len(event.text) for event in events if not isinstance(event, ToolCallBegin))
    assert said <= 2 * len(text)
