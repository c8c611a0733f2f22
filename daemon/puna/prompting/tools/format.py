"""What every format of tool calls has to say: where calls begin, how they are read, written and demanded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from puna.domain.chat import Tool, ToolCall
from puna.domain.generation import ToolCallArguments, ToolCallBegin
from puna.errors import InvalidRequestError
from puna.prompting.output import Reading
from puna.prompting.reader import Chunks, MalformedError, TextReader, convert
from puna.prompting.tools.grammar import Grammar, Offer
from puna.prompting.tools.schemas import JsonObject, decode_schema

MAX_NAME_CHARACTERS = 256


@dataclass(frozen=True)
class Opener:
    """A text that begins a call, or that may."""

    text: str
    close: str = ""
    """What may follow the calls; it is left out."""
    is_certain: bool = True
    """Whether every name after it is a call; else only those of the tools at hand."""
    is_leading: bool = False
    """Whether it counts only where the content begins, or behind a call."""

    @property
    def consumed(self) -> str:
        """The part that is not yet the call itself: a bracket at its end belongs to the call."""
        return self.text.removesuffix("{").removesuffix("[")


class Calls:
    """The calls of one text, and the tools that it may call."""

    def __init__(self, reader: TextReader, tools: Sequence[Tool], new_id: Callable[[], str]) -> None:
        self.count = 0
        self._reader = reader
        self._tools = {tool.name: tool for tool in tools}
        self._new_id = new_id

    @property
    def are_possible(self) -> bool:
        """Whether there is a tool to call."""
        return bool(self._tools)

    def check(self, name: str, opener: Opener) -> None:
        """Raise `MalformedError` for a name that makes no call behind this opener."""
        if not 0 < len(name) <= MAX_NAME_CHARACTERS or not (opener.is_certain or name in self._tools):
            raise MalformedError

    def schema_of(self, name: str) -> JsonObject:
        """Return the schema of a tool's arguments; one without conditions where it is unknown or broken."""
        tool = self._tools.get(name)
        try:
            return decode_schema(tool) if tool else {}
        except InvalidRequestError:
            return {}

    def begin(self, name: str) -> ToolCallBegin:
        """Return the event that begins the next call; what was read of it has found its place."""
        self._reader.commit()
        self.count += 1
        return ToolCallBegin(self.count - 1, self._new_id(), name)

    def argue(self, text: str) -> ToolCallArguments:
        """Return more arguments of the call that began last; what was read of them has found its place."""
        self._reader.commit()
        return ToolCallArguments(self.count - 1, text)

    def stream_object(self, name: str, chunks: Chunks[None]) -> Reading[None]:
        """Begin a call whose arguments come next, and stream them. Raises `MalformedError` without an object."""
        if not (yield from self._reader.stands("{")):
            raise MalformedError
        yield self.begin(name)
        yield from self.stream(chunks)

    def stream(self, chunks: Chunks[None]) -> Reading[None]:
        """Yield chunks of text as arguments of the call that began last."""
        return convert(chunks, self.argue)


class ToolFormat(Protocol):
    """How one family of models writes its calls. Without state: one object serves all requests."""

    @property
    def openers(self) -> Sequence[Opener]:
        """Where calls may begin in the content."""
        ...

    @property
    def markers(self) -> frozenset[str]:
        """The texts of the format that can be special tokens of a vocabulary, and must reach the parser."""
        ...

    def read_calls(self, reader: TextReader, opener: Opener, calls: Calls) -> Reading[None]:
        """Read the calls behind an opener, up to where content goes on.

        Raises `MalformedError` where the text is no call, or not any more.
        """
        ...

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Return calls as the model writes them, for templates that leave them out of the history."""
        ...

    def write_grammar(self, grammar: Grammar, offers: Sequence[Offer], max_calls: int) -> str:
        """Return a Lark expression for one or more calls of these tools; rules go into the grammar."""
        ...


SpecialTokens = Mapping[str, int]
"""Texts that are one special token of a vocabulary, with its id."""
