"""Reads gpt-oss, whose whole text is messages with channels (OpenAI's harmony format).

`<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather
<|constrain|>json<|message|>{"city": "Lima"}<|call|>`
"""

import re
from collections.abc import Sequence

from puna.domain.chat import ToolCall
from puna.domain.generation import OutputEvent, ReasoningDelta, TextDelta
from puna.prompting.landmarks import Landmarks
from puna.prompting.output import Reading
from puna.prompting.reader import MalformedError, TextReader, convert, gather
from puna.prompting.tools.call_object import write_arguments
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.values import read_value

_START, _CHANNEL, _MESSAGE, _CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_HEADERS = (_START, _CHANNEL, " to=", "to=")
_RECIPIENT = re.compile(r"to=([^\s<]+)")
_CHANNEL_NAME = re.compile(r"<\|channel\|>\s*(\w+)")
_FUNCTIONS = "functions."
_TO_MESSAGE = Landmarks([_MESSAGE])
_TO_END = Landmarks([*_ENDS, _START, _CHANNEL])
_OPENER = Opener("to=")
ANSWER_HEAD = f"{_CHANNEL}final{_MESSAGE}"
"""What stands before the content of an answer."""


class HarmonyFormat:
    """The calls of gpt-oss: one message for each, to a recipient in the namespace `functions`."""

    openers: Sequence[Opener] = ()
    markers = frozenset({_START, _CHANNEL, _MESSAGE, _CONSTRAIN, *_ENDS})

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Not used: calls are messages of their own, which `read_harmony` reads."""
        del reader, opener, calls
        raise MalformedError

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as messages of the assistant."""
        start = f"<|end|>{_START}assistant"
        return start.join(f"{_head(call.name)}{write_arguments(call)}" for call in calls)

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for one call, which the model's end token follows; it may think before."""
        del max_calls
        calls = [
            f"{grammar.literal(_head(offer.name))} {grammar.arguments(offer.schema)}" for offer in offers
        ]
        return f"{_write_analysis(grammar)} {grammar.choice(calls)}"


def write_harmony_before_answer(grammar: Grammar) -> str:
    """Return an expression for what stands before the content of an answer; the model may think there."""
    return f"{_write_analysis(grammar)} {grammar.literal(ANSWER_HEAD)}"


def _write_analysis(grammar: Grammar) -> str:
    before = f"{_CHANNEL}analysis{_MESSAGE}"
    behind = f"<|end|>{_START}assistant"
    _, token = grammar.split_at_token("<|end|>")
    text = "/(?s:.*)/" if token else "/[^<]*/"
    analysis = f"{grammar.literal(before)} {grammar.terminal(text)} {grammar.literal(behind)}"
    return f"{grammar.rule(analysis)}?"


def _head(name: str) -> str:
    return f"{_CHANNEL}commentary to={_FUNCTIONS}{name} {_CONSTRAIN}json{_MESSAGE}"


def read_harmony(reader: TextReader, calls: Calls) -> Reading[None]:
    """Read messages to the end of the text, the first one's `<|start|>assistant` being in the prompt."""
    yield from _HarmonyReading(reader, calls).read()


class _HarmonyReading:
    def __init__(self, reader: TextReader, calls: Calls) -> None:
        self._reader = reader
        self._calls = calls
        self._spoken: set[bool] = set()

    def read(self) -> Reading[None]:
        while (yield from self._reader.wait()):
            header = yield from self._read_header()
            recipient = _RECIPIENT.search(header)
            if recipient is not None and self._calls.are_possible and recipient[1].startswith(_FUNCTIONS):
                yield from self._read_call(recipient[1].removeprefix(_FUNCTIONS))
            yield from self._read_body(header)

    def _read_header(self) -> Reading[str]:
        """Return what stands before a message; empty where text comes without it."""
        for begin in _HEADERS:
            if (yield from self._reader.stands(begin)):
                break
        else:
            return ""
        parts: list[str] = []
        if (yield from gather(self._reader.until(_TO_MESSAGE), parts)):
            self._reader.skip(len(_MESSAGE))
            return "".join(parts)
        yield TextDelta("".join(parts))
        return ""

    def _read_call(self, name: str) -> Reading[None]:
        self._reader.start_record()
        rest = ""
        try:
            self._calls.check(name, _OPENER)
            yield from self._reader.take_blank()
            yield from self._calls.stream_object(name, read_value(self._reader))
            yield from self._reader.take_blank()
            self._reader.stop_record()
        except MalformedError:
            rest = self._reader.stop_record()
        yield TextDelta(rest)

    def _read_body(self, header: str) -> Reading[None]:
        channel = _CHANNEL_NAME.search(header)
        is_analysis = channel is not None and channel[1] == "analysis"
        before = "\n\n" if is_analysis in self._spoken else ""

        def to_event(text: str) -> OutputEvent:
            nonlocal before
            self._spoken.add(is_analysis)
            text, before = before + text, ""
            return ReasoningDelta(text) if is_analysis else TextDelta(text)

        events: Reading[str] = convert(self._reader.until(_TO_END), to_event)
        end = yield from events
        if end in _ENDS:
            self._reader.skip(len(end))
