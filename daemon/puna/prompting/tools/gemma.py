"""Gemma 4's calls: `<|tool_call>call:get_weather{city:<|"|>Lima<|"|>}<tool_call|>`."""

import re
from collections.abc import Sequence

import msgspec

from puna.domain.chat import ToolCall
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.values import GEMMA, read_value

_NAME = re.compile(r"[^\s{}<>:\"]+")
_OPENER = Opener("<|tool_call>", "<tool_call|>")
_STRING = '<|"|>'
_CALL = "call:"


class GemmaFormat:
    """One call after the other, each between markers."""

    openers: Sequence[Opener] = (_OPENER,)
    markers = frozenset({_OPENER.text, _OPENER.close, _STRING})

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read one call."""
        yield from reader.take_blank()
        yield from reader.expect(_CALL)
        name = yield from reader.take_run(_NAME)
        calls.check(name, opener)
        yield from calls.stream_object(name, read_value(reader, GEMMA))
        yield from reader.take_blank()
        yield from reader.accept(opener.close)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them."""
        return "".join(
            f"{_OPENER.text}{_CALL}{call.name}{_write_object(call)}{_OPENER.close}" for call in calls
        )

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for such calls; the arguments are written as JSON, which the parser reads, too."""
        end = grammar.literal(_OPENER.close)
        rules = [
            f"{grammar.literal(f'{_OPENER.text}{_CALL}{offer.name}')} {grammar.arguments(offer.schema)} {end}"
            for offer in offers
        ]
        return grammar.repeat(grammar.choice(rules), "", max_calls)


def _write_object(call: ToolCall) -> str:
    try:
        return _write(msgspec.json.decode(call.arguments or "{}", type=dict[str, object]))
    except (msgspec.MsgspecError, RecursionError):
        return "{}"


def _write(value: object) -> str:
    if isinstance(value, str):
        return f"{_STRING}{value}{_STRING}"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_write(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_write, value))}]"
    return msgspec.json.encode(value).decode()
