"""Reads what an assistant says, and the tool calls within it."""

from collections.abc import Iterable

from puna.domain.generation import TextDelta
from puna.prompting.landmarks import Landmarks
from puna.prompting.output import Reading
from puna.prompting.reader import BLANK, HeldBlank, MalformedError, TextReader, Waiting, convert
from puna.prompting.tools.format import Calls, Opener, ToolFormat


class ContentReading:
    """Content up to the end of the text, with calls where a format sees some.

    White space around calls is left out: it is held back until something else follows.
    """

    def __init__(self, reader: TextReader, tools: ToolFormat | None, calls: Calls) -> None:
        """`tools` is None where no tool may be called."""
        self._reader = reader
        self._tools = tools
        self._calls = calls
        self._openers = {opener.text: opener for opener in _sort(tools.openers if tools else ())}
        self._held = HeldBlank()
        self._is_behind_call = False

    def read(self, blank: str = "", end: str = "") -> Reading[None]:
        """Yield events to the end of the text. `blank` came before; the tag `end` is left out."""
        self._to_event(blank)
        landmarks = Landmarks(
            [end, *(opener.text for opener in self._openers.values() if not opener.is_leading)]
        )
        opener = yield from self._find_leading()
        while True:
            if opener is not None and (yield from self._try_calls(opener)):
                opener = yield from self._find_leading()
                continue
            landmark = yield from convert(self._reader.until(landmarks), self._to_event)
            opener = self._openers.get(landmark)
            if not landmark:
                break
            if opener is None:
                self._reader.skip(len(landmark))
        yield TextDelta(self._held.flush())

    def _find_leading(self) -> Waiting[Opener | None]:
        """Return the opener that stands at the beginning of what comes, white space aside."""
        self._to_event((yield from self._reader.take_blank()))
        for opener in self._openers.values():
            if opener.is_leading and (yield from self._reader.stands(opener.text)):
                return opener
        return None

    def _try_calls(self, opener: Opener) -> Reading[bool]:
        """Read calls behind an opener; what was read in vain is content. Return whether a call was the last."""
        assert self._tools is not None
        count = self._calls.count
        self._reader.start_record()
        self._reader.skip(len(opener.consumed))
        rest = ""
        try:
            yield from self._tools.read_calls(self._reader, opener, self._calls)
            self._reader.stop_record()
        except MalformedError:
            rest = self._reader.stop_record()
        if self._calls.count > count:
            self._held.flush()
            self._is_behind_call = True
        event = self._to_event(rest)
        if event is not None:
            yield event
        return self._is_behind_call

    def _to_event(self, text: str) -> TextDelta | None:
        """Return what is certain to be content; behind a call it begins with what is no white space."""
        if self._is_behind_call:
            text = text.lstrip(BLANK)
            self._is_behind_call = not text
        certain = self._held.push(text)
        return TextDelta(certain) if certain else None


def _sort(openers: Iterable[Opener]) -> list[Opener]:
    """Return the longest first: of two that begin alike it is the one that counts."""
    return sorted(openers, key=lambda opener: len(opener.text), reverse=True)
