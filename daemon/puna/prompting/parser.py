"""Drives the reading of a text: pieces in, events out."""

from collections.abc import Iterator
from itertools import groupby

from puna.domain.generation import OutputEvent, ReasoningDelta, TextDelta, ToolCallArguments, ToolCallBegin
from puna.prompting.output import Reading
from puna.prompting.reader import TextReader


class ReadingParser:
    """An `OutputParser` that is written as one generator."""

    def __init__(self, reader: TextReader, reading: Reading[None]) -> None:
        self._reader = reader
        self._reading = reading

    @property
    def held_characters(self) -> int:
        """How much text waits to be looked at: a marker's length at most."""
        return self._reader.unread_characters

    def push(self, text: str) -> list[OutputEvent]:
        """Take the next piece; see `OutputParser`."""
        self._reader.push(text)
        return join_events(self._run())

    def flush(self) -> list[OutputEvent]:
        """Take the end of the text; see `OutputParser`."""
        self._reader.end()
        return join_events(self._run())

    def _run(self) -> Iterator[OutputEvent]:
        for event in self._reading:
            if event is None:
                return
            yield event


def join_events(events: Iterator[OutputEvent]) -> list[OutputEvent]:
    """Return the events with neighbours of one kind as one, and without empty ones."""
    return [event for _, group in groupby(events, key=_key) for event in _join(list(group))]


def _key(event: OutputEvent) -> tuple[type[OutputEvent], int]:
    return type(event), event.index if isinstance(event, ToolCallArguments | ToolCallBegin) else 0


def _join(group: list[OutputEvent]) -> list[OutputEvent]:
    text = "".join(event.text for event in group if not isinstance(event, ToolCallBegin))
    match group[0]:
        case ToolCallBegin():
            return group
        case _ if not text:
            return []
        case TextDelta():
            return [TextDelta(text)]
        case ReasoningDelta():
            return [ReasoningDelta(text)]
        case ToolCallArguments(index):
            return [ToolCallArguments(index, text)]
