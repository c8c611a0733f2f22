"""From token pieces to the events that a client sees."""

from collections.abc import Sequence

from puna.domain.generation import OutputEvent, TextDelta, ToolCallBegin
from puna.prompting.output import OutputParser
from puna.prompting.stop_strings import StopMatcher
from puna.prompting.utf8 import Utf8Stream


class TextAssembler:
    """Joins pieces to characters, tells content from reasoning and calls, and holds back what may become a stop string.

    Stop strings end the content only: what a model thinks, or gives to a tool, may have any text.
    """

    def __init__(
        self, stop: Sequence[str], parser: OutputParser | None = None, *, max_calls: int | None = None
    ) -> None:
        """Without a parser all text is content. The text ends before a call beyond `max_calls`."""
        self._characters = Utf8Stream()
        self._parser = parser
        self._stop = StopMatcher(stop)
        self._max_calls = max_calls
        self.stop_text: str | None = None
        """The stop string that was found; the text ends before it."""
        self.is_over = False
        """Whether the text has ended, by a stop string or before a surplus call."""
        self.has_calls = False
        """Whether the model called a tool."""

    def push(self, piece: bytes) -> list[OutputEvent]:
        """Take in one token's bytes and return what is certain now, often nothing."""
        return self._read(self._characters.push(piece))

    def flush(self) -> list[OutputEvent]:
        """Return what was held back; after the last token."""
        if self.is_over:
            return []
        events = self._read(self._characters.flush())
        if self._parser is not None:
            events += self._filter(self._parser.flush())
        return events + self._release()

    def _read(self, text: str) -> list[OutputEvent]:
        if not text:
            return []
        return self._filter([TextDelta(text)] if self._parser is None else self._parser.push(text))

    def _filter(self, events: Sequence[OutputEvent]) -> list[OutputEvent]:
        """Return the events up to the end of the text, if that is among them."""
        passed: list[OutputEvent] = []
        for event in events:
            if self.is_over:
                break
            passed += self._pass(event)
        return passed

    def _pass(self, event: OutputEvent) -> list[OutputEvent]:
        match event:
            case TextDelta(text):
                emitted, self.stop_text = self._stop.push(text)
                self.is_over = self.stop_text is not None
                return [TextDelta(emitted)] if emitted else []
            case ToolCallBegin(index) if index == self._max_calls:
                self.is_over = True
                return self._release()
            case ToolCallBegin():
                self.has_calls = True
        return [*self._release(), event]

    def _release(self) -> list[OutputEvent]:
        held = self._stop.flush()
        return [TextDelta(held)] if held else []
