"""DeepSeek's calls, as R1 and V3 write them, or as V3.1 does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from puna.domain.chat import ToolCall
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader, Waiting
from puna.prompting.tools.call_object import write_arguments
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.values import read_value


def _mark(*words: str) -> str:
    """Return a marker: words between full-width bars, joined by SentencePiece's blank."""
    joined = "\u2581".join(("tool", *words))
    return f"<\uff5c{joined}\uff5c>"


_CALLS, _CALLS_END = _mark("calls", "begin"), _mark("calls", "end")
CALL, _CALL_END = _mark("call", "begin"), _mark("call", "end")
_SEPARATOR = _mark("sep")
_OPENERS = (Opener(_CALLS, _CALLS_END), Opener(CALL))
_NAME = re.compile('[^\\s{}<>\uff5c"`]+')


@dataclass(frozen=True)
class DeepSeekFormat:
    """Both forms are read; the template tells which one the model writes."""

    has_fences: bool
    """Whether a call is `function`, its name, and its arguments in a fence, as R1 and V3 have it."""

    @property
    def openers(self) -> Sequence[Opener]:
        """The begin of all calls; the one of a single call, where the model forgets the former."""
        return _OPENERS

    @property
    def markers(self) -> frozenset[str]:
        """All markers."""
        return frozenset({_CALLS, _CALLS_END, CALL, _CALL_END, _SEPARATOR})

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read the calls one after the other."""
        yield from reader.take_blank()
        if opener.text == _CALLS:
            yield from reader.expect(CALL)
        while True:
            yield from self._read_call(reader, opener, calls)
            reader.commit()
            yield from reader.take_blank()
            if (yield from reader.accept(_CALLS_END)) or not (yield from reader.accept(CALL)):
                return

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them."""
        written = [self._head(call.name) + write_arguments(call) + self._tail for call in calls]
        return f"{_CALLS}{self._between.join(written)}{_CALLS_END}"

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for such calls."""
        tail = grammar.literal(self._tail)
        rules = [
            f"{grammar.literal(self._head(offer.name))} {grammar.arguments(offer.schema)} {tail}"
            for offer in offers
        ]
        calls = grammar.repeat(grammar.choice(rules), self._between, max_calls)
        return f"{grammar.literal(_CALLS)} {calls} {grammar.literal(_CALLS_END)}"

    def _head(self, name: str) -> str:
        return (
            f"{CALL}function{_SEPARATOR}{name}\n```json\n" if self.has_fences else f"{CALL}{name}{_SEPARATOR}"
        )

    @property
    def _tail(self) -> str:
        return f"\n```{_CALL_END}" if self.has_fences else _CALL_END

    @property
    def _between(self) -> str:
        return "\n" if self.has_fences else ""

    def _read_call(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        name = yield from self._read_name(reader)
        calls.check(name, opener)
        yield from reader.take_blank()
        yield from reader.accept("```json")
        yield from reader.take_blank()
        yield from calls.stream_object(name, read_value(reader))
        yield from reader.take_blank()
        yield from reader.accept("```")
        yield from reader.take_blank()
        yield from reader.accept(_CALL_END)

    def _read_name(self, reader: TextReader) -> Waiting[str]:
        """Read the name, or the kind of call and the name."""
        name = yield from reader.take_run(_NAME)
        yield from reader.take_blank()
        if (yield from reader.accept(_SEPARATOR)):
            yield from reader.take_blank()
            name = (yield from reader.take_run(_NAME)) or name
        return name
