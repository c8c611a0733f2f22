"""Mistral's calls: `[TOOL_CALLS]` with a list of objects, or since 2025 with names and `[ARGS]`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from puna.domain.chat import ToolCall
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader
from puna.prompting.tools.call_object import read_calls, write_arguments, write_calls
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.json_format import JsonFormat
from puna.prompting.tools.values import read_value

_NAME = re.compile(r"[^\s\[\]{}<>\"]+")
_CALLS, _ID, _ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
_LIST = JsonFormat((Opener(_CALLS),), _CALLS, "", is_list=True)


@dataclass(frozen=True)
class MistralFormat:
    """Both forms are read; the template tells which one the model writes."""

    has_names: bool
    """Whether the model writes names and `[ARGS]`."""
    has_ids: bool = False
    """Whether an id of nine characters follows the name."""

    @property
    def openers(self) -> Sequence[Opener]:
        """The marker; no text of a person has it."""
        return _LIST.openers

    @property
    def markers(self) -> frozenset[str]:
        """All three markers."""
        return frozenset({_CALLS, _ID, _ARGUMENTS})

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read the calls up to the next marker or other text."""
        yield from reader.take_blank()
        if (yield from reader.peek()) in ("[", "{"):
            yield from read_calls(reader, opener, calls)
        else:
            yield from self._read_named(reader, opener, calls)
        reader.commit()

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them."""
        if not self.has_names:
            return f"{_CALLS}{write_calls(calls)}"
        return "".join(f"{_CALLS}{call.name}{_ARGUMENTS}{write_arguments(call)}" for call in calls)

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return an expression for such calls."""
        if not self.has_names:
            return _LIST.write_grammar(grammar, offers, max_calls)
        middle = grammar.literal(_ARGUMENTS)
        if self.has_ids:
            middle = f"{grammar.literal(_ID)} {grammar.terminal('/[a-zA-Z0-9]{9}/')} {middle}"
        rules = [
            f"{grammar.literal(_CALLS + offer.name)} {middle} {grammar.arguments(offer.schema)}"
            for offer in offers
        ]
        return grammar.repeat(grammar.choice(rules), "", max_calls)

    def _read_named(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        name = yield from reader.take_run(_NAME)
        calls.check(name, opener)
        if (yield from reader.accept(_ID)):
            yield from reader.take_run(_NAME)
        if not (yield from reader.accept(_ARGUMENTS)) and (yield from reader.peek()) != "{":
            yield from reader.take_blank()
            yield from reader.expect(_ARGUMENTS)
        yield from reader.take_blank()
        yield from calls.stream_object(name, read_value(reader))
