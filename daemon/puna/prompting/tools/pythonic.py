"""Calls that look like Python: `[get_weather(city="Lima", days=3)]`, of LFM 2 and in Gemma's `tool_code`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from puna.domain.chat import ToolCall
from puna.prompting.output import Reading
from puna.prompting.reader import MalformedError, TextReader
from puna.prompting.tools.call_object import read_calls
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.schemas import JsonObject, definitions_of, properties_of, required_of
from puna.prompting.tools.values import PYTHON, quote, read_value

_NAME = re.compile(r"[\w.\-]+")
_KEY = re.compile(r"[^=(),\[\]{}\"'\n]+")
_PRINT = "print"


@dataclass(frozen=True)
class PythonicFormat:
    """A list of calls between markers."""

    openers: tuple[Opener, ...]
    begin: str
    end: str

    @property
    def markers(self) -> frozenset[str]:
        """The texts around the list."""
        return frozenset({self.begin, self.end})

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read the list; JSON in its place, too."""
        yield from read_block(reader, opener, calls)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them."""
        return f"{self.begin}[{', '.join(map(_write_call, calls))}]{self.end}"

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for such a list; the values are written as JSON, which the parser reads, too."""
        rules = [
            f"{grammar.literal(f'{offer.name}(')} {_write_arguments(grammar, offer.schema)} {grammar.literal(')')}"
            for offer in offers
        ]
        calls = grammar.repeat(grammar.choice(rules), ", ", max_calls)
        return f"{grammar.literal(f'{self.begin}[')} {calls} {grammar.literal(f']{self.end}')}"


LFM = PythonicFormat(
    (Opener("<|tool_call_start|>", "<|tool_call_end|>"),), "<|tool_call_start|>", "<|tool_call_end|>"
)
"""LFM 2 and 2.5."""


def read_block(reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
    """Read calls of either kind and the closing marker behind them."""
    yield from reader.take_blank()
    if (yield from reader.stands("{")) or (yield from reader.stands("[{")):
        yield from read_calls(reader, opener, calls)
    else:
        yield from _read_python(reader, opener, calls)
    reader.commit()
    yield from reader.take_blank()
    if opener.close:
        yield from reader.accept(opener.close)


def _read_python(reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
    is_list = yield from reader.accept("[")
    while True:
        yield from reader.take_blank()
        yield from _read_call(reader, opener, calls)
        reader.commit()
        yield from reader.take_blank()
        if not is_list or (yield from reader.accept("]")):
            return
        yield from reader.expect(",")


def _read_call(reader: TextReader, opener: Opener, calls: Calls, *, can_print: bool = True) -> Reading[None]:
    name = yield from reader.take_run(_NAME)
    yield from reader.expect("(")
    yield from reader.take_blank()
    if name == _PRINT and can_print:
        yield from _read_call(reader, opener, calls, can_print=False)
        reader.commit()
        yield from reader.take_blank()
        yield from reader.expect(")")
        return
    calls.check(name, opener)
    yield from _read_arguments(reader, calls, name)


def _read_arguments(reader: TextReader, calls: Calls, name: str) -> Reading[None]:
    separator = "{"
    while not (yield from reader.accept(")")):
        key = (yield from reader.take_run(_KEY)).strip()
        yield from reader.expect("=")
        if not key:
            raise MalformedError
        if separator == "{":
            yield calls.begin(name)
        yield calls.argue(f"{separator}{quote(key)}:")
        yield from calls.stream(read_value(reader, PYTHON))
        separator = ","
        yield from reader.take_blank()
        if not (yield from reader.accept(",")) and not (yield from reader.stands(")")):
            raise MalformedError
        yield from reader.take_blank()
    if separator == "{":
        yield calls.begin(name)
    yield calls.argue("{}" if separator == "{" else "}")


def _write_call(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = {}
    pairs = arguments.items() if isinstance(arguments, dict) else ()
    return f"{call.name}({', '.join(f'{key}={value!r}' for key, value in pairs)})"


def _write_arguments(grammar: Grammar, schema: JsonObject) -> str:
    """Return an expression for arguments by name: the required ones, then any of the others in their order."""
    required = required_of(schema)
    rules = {
        name: grammar.rule(
            f"{grammar.literal(f'{name}=')} {grammar.arguments({**definitions_of(schema), **field})}"
        )
        for name, field in {**{name: {} for name in required}, **properties_of(schema)}.items()
    }
    comma = grammar.literal(", ")
    wanted = [rule for name, rule in rules.items() if name in required]
    others = [rule for name, rule in rules.items() if name not in required]
    if wanted:
        return " ".join([f" {comma} ".join(wanted), *(f"({comma} {rule})?" for rule in others)])
    chains = [
        " ".join([rule, *(f"({comma} {more})?" for more in others[index + 1 :])])
        for index, rule in enumerate(others)
    ]
    return f"({' | '.join(chains)})?" if chains else grammar.literal("")
