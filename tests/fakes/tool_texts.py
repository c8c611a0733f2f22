"""What models of each family write when they call tools, with the marks of their templates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from puna.domain.chat import Tool
from puna.domain.generation import OutputEvent, ReasoningDelta, TextDelta, ToolCallArguments, ToolCallBegin
from puna.prompting.output_format import OutputFormat, choose_output_format
from puna.prompting.parser import ReadingParser, join_events

WEATHER = Tool(
    "get_weather",
    "Tells the weather of a city.",
    '{"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},'
    ' "required": ["city"]}',
)
PING = Tool("ping")
TOOLS = (WEATHER, PING)

LIMA = ("get_weather", '{"city":"Lima \\"Ü\\" {]\\n🦙","days":3}')
PONG = ("ping", "{}")


@dataclass(frozen=True)
class Family:
    """One family: marks of its template, and a text with words, two calls and nothing else."""

    marks: str
    text: str
    is_speaking: bool = True
    """Whether "Let me see." stands before the calls."""

    @property
    def output_format(self) -> OutputFormat:
        return choose_output_format(self.marks)


def _deepseek(name: str) -> str:
    return f"<\uff5ctool\u2581{name}\uff5c>"


_CALLS, _CALLS_END = _deepseek("calls\u2581begin"), _deepseek("calls\u2581end")
_CALL, _CALL_END, _SEP = _deepseek("call\u2581begin"), _deepseek("call\u2581end"), _deepseek("sep")
_SPACED = '{"city": "Lima \\"Ü\\" {]\\n🦙", "days": 3}'
_RAW = 'Lima "Ü" {]\n🦙'

FAMILIES = {
    "hermes": Family(
        "</think> <tool_call>",
        f'Let me see.\n<tool_call>\n{{"name": "get_weather", "arguments": {_SPACED}}}\n</tool_call>\n'
        '<tool_call>\n{"name": "ping", "arguments": {}}\n</tool_call>',
    ),
    "hermes, arguments first": Family(
        "</think> <tool_call>",
        f'Let me see.<tool_call>{{"arguments": {_SPACED}, "name": "get_weather"}}</tool_call>'
        '\n\n<tool_call>\n{"id": 7, "name": "ping"}\n</tool_call>\n',
    ),
    "qwen coder": Family(
        "</think> <tool_call> <function=",
        "Let me see.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\n"
        f"{_RAW}\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n"
        "<tool_call>\n<function=ping>\n</function>\n</tool_call>",
    ),
    "qwen coder, first tag forgotten": Family(
        "</think> <tool_call> <function=",
        f"Let me see.\n<function=get_weather>\n<parameter=city>\n{_RAW}\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call><tool_call><function=ping></function>",
    ),
    "seed": Family(
        "</seed:think> <seed:tool_call> <function=",
        f"Let me see.<seed:tool_call>\n<function=get_weather>\n<parameter=city>{_RAW}</parameter>\n"
        "<parameter=days>3</parameter>\n</function>\n<function=ping></function>\n</seed:tool_call>",
    ),
    "glm": Family(
        "</think> <tool_call> <arg_key>",
        "Let me see.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n"
        f"<arg_value>{_RAW}</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n"
        "<tool_call>ping\n</tool_call>",
    ),
    "minimax": Family(
        "</think> <minimax:tool_call>",
        'Let me see.\n<minimax:tool_call>\n<invoke name="get_weather">\n'
        f'<parameter name="city">{_RAW}</parameter>\n<parameter name="days">3</parameter>\n</invoke>\n'
        '<invoke name="ping">\n</invoke>\n</minimax:tool_call>',
    ),
    "llama": Family(
        '<|start_header_id|> "parameters" <|python_tag|>',
        f'{{"name": "get_weather", "parameters": {_SPACED}}}; {{"name": "ping", "parameters": {{}}}}',
        is_speaking=False,
    ),
    "llama with its tag": Family(
        '<|start_header_id|> "parameters" <|python_tag|>',
        f'Let me see.\n<|python_tag|>{{"type": "function", "name": "get_weather", "parameters": {_SPACED}}}\n'
        '{"type": "function", "function": "ping", "parameters": null}',
    ),
    "mistral": Family(
        "[TOOL_CALLS]",
        f'Let me see.[TOOL_CALLS] [{{"name": "get_weather", "arguments": {_SPACED}, "id": "abcdefghi"}}, '
        '{"name": "ping", "arguments": {}, "id": "abcdefghj"}]',
    ),
    "mistral since 2025": Family(
        "[TOOL_CALLS] [ARGS]",
        f"Let me see.[TOOL_CALLS]get_weather[ARGS]{_SPACED}[TOOL_CALLS]ping[ARGS]{{}}",
    ),
    "mistral with ids": Family(
        "[TOOL_CALLS] [ARGS] [CALL_ID]",
        f"Let me see.[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{_SPACED}"
        "[TOOL_CALLS]ping[CALL_ID]abcdefghj[ARGS]{}",
    ),
    "granite": Family(
        "<|tool_call|> </think> <response>",
        f'Let me see.<|tool_call|>[{{"name": "get_weather", "arguments": {_SPACED}}},'
        ' {"name": "ping", "arguments": {}}]',
    ),
    "phi": Family(
        "<|tool_call|> <|/tool_call|>",
        f'Let me see.<|tool_call|>[{{"name": "get_weather", "arguments": {_SPACED}}},'
        ' {"name": "ping", "arguments": "{}"}]<|/tool_call|>',
    ),
    "nemotron": Family(
        "<TOOLCALL>",
        f'Let me see.\n<TOOLCALL>[{{"name": "get_weather", "arguments": {_SPACED}}},'
        ' {"name": "ping", "arguments": ""}]</TOOLCALL>\n',
    ),
    "apriel": Family(
        "<tool_calls>",
        f'Let me see.\n<tool_calls>\n{{"name": "get_weather", "arguments": {_SPACED}}}\n'
        '{"name": "ping", "arguments": {}}\n</tool_calls>',
    ),
    "command": Family(
        "<|START_ACTION|> <|END_THINKING|>",
        "Let me see.<|START_ACTION|>[\n"
        f'    {{"tool_call_id": "0", "tool_name": "get_weather", "parameters": {_SPACED}}},\n'
        '    {"tool_call_id": "1", "tool_name": "ping", "parameters": {}}\n]<|END_ACTION|>',
    ),
    "deepseek r1": Family(
        f"{_CALL} ```json",
        f"Let me see.{_CALLS}{_CALL}function{_SEP}get_weather\n```json\n{_SPACED}\n```{_CALL_END}\n"
        f"{_CALL}function{_SEP}ping\n```json\n{{}}\n```{_CALL_END}{_CALLS_END}",
    ),
    "deepseek 3.1": Family(
        _CALL,
        f"Let me see.{_CALLS}{_CALL}get_weather{_SEP}{_SPACED}{_CALL_END}"
        f"{_CALL}ping{_SEP}{{}}{_CALL_END}{_CALLS_END}",
    ),
    "gpt-oss": Family(
        "<|channel|> <|message|>",
        "<|channel|>commentary<|message|>Let me see.<|end|><|start|>assistant<|channel|>commentary"
        f" to=functions.get_weather <|constrain|>json<|message|>{_SPACED}<|call|>"
        "<|start|>assistant to=functions.ping<|channel|>commentary json<|message|>{}",
    ),
    "gemma 4": Family(
        "<|tool_call> <tool_call|>",
        'Let me see.<|tool_call>call:get_weather{city:<|"|>' + _RAW + '<|"|>,days:3}<tool_call|>'
        "<|tool_call>call:ping{}<tool_call|>",
    ),
    "lfm": Family(
        "<|tool_call_start|>",
        "Let me see.<|tool_call_start|>[get_weather(city='Lima \"Ü\" {]\\n🦙', days=3), ping()]<|tool_call_end|>",
    ),
    "generic": Family(
        "",
        f'{{"tool_calls": [{{"name": "get_weather", "arguments": {_SPACED}}},'
        ' {"name": "ping", "arguments": {}}]}',
        is_speaking=False,
    ),
    "generic in a fence": Family(
        "",
        f'Let me see.\n```json\n[{{"name": "get_weather", "arguments": {_SPACED}}}, {{"name": "ping"}}]\n```\n',
    ),
    "generic in lines": Family(
        "",
        f'Let me see.\n{{"function": {{"name": "get_weather", "arguments": {_SPACED}}}}}\n'
        '{"name": "ping", "arguments": {}}\n',
    ),
    "gemma's tool code": Family(
        "<start_of_turn>",
        'Let me see.\n```tool_code\nprint(get_weather(city="Lima \\"Ü\\" {]\\n🦙", days=3))\n```\n'
        "```tool_code\nping()\n```",
    ),
}


@dataclass
class Reply:
    """A text as its reader sees it."""

    content: str
    reasoning: str
    calls: list[tuple[str, str]]
    """Names and arguments."""


def parse(
    output_format: OutputFormat, pieces: Sequence[str], *, prompt: str = "", tools: Sequence[Tool] = TOOLS
) -> list[OutputEvent]:
    """Return the events of a text in pieces, joined; ids are `call 0`, `call 1`, ..."""
    return join_events(stream(output_format, pieces, prompt=prompt, tools=tools))


def stream(
    output_format: OutputFormat, pieces: Sequence[str], *, prompt: str = "", tools: Sequence[Tool] = TOOLS
) -> Iterator[OutputEvent]:
    """Yield the events of a text in pieces. Nothing but the beginning of a marker is held unread."""
    numbers = count()
    parser = output_format.new_parser(prompt, tools, new_id=lambda: f"call {next(numbers)}")
    assert isinstance(parser, ReadingParser)
    for piece in pieces:
        yield from parser.push(piece)
        assert parser.held_characters < 40
    yield from parser.flush()


def to_reply(events: Sequence[OutputEvent]) -> Reply:
    """Return what the events say, after a look at their order."""
    reply = Reply("", "", [])
    for event in events:
        match event:
            case TextDelta(text):
                reply.content += text
            case ReasoningDelta(text):
                reply.reasoning += text
            case ToolCallBegin(index, call_id, name):
                assert (index, call_id) == (len(reply.calls), f"call {index}")
                reply.calls.append((name, ""))
            case ToolCallArguments(index, text):
                assert index == len(reply.calls) - 1
                name, arguments = reply.calls[-1]
                reply.calls[-1] = (name, arguments + text)
    return reply
