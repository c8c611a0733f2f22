"""Finds stop strings in a text that comes in pieces."""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from puna.errors import InvalidRequestError

MAX_STOP_STRINGS = 64
MAX_STOP_STRING_CHARACTERS = 1_000


class Pushed(NamedTuple):
    """What came of a piece of text."""

    emit: str
    """Text that can go out: no part of it can still become a stop string."""
    matched: str | None
    """The stop string that ended the text."""


def check_stop_strings(stops: Sequence[str]) -> None:
    """Refuse empty, too long or too many stop strings. Raises `InvalidRequestError`."""
    if len(stops) > MAX_STOP_STRINGS:
        raise InvalidRequestError(
            f"stop must have at most {MAX_STOP_STRINGS} strings, but has {len(stops)}.", field="stop"
        )
    for stop in stops:
        if not stop:
            raise InvalidRequestError("stop must not contain an empty string.", field="stop")
        if len(stop) > MAX_STOP_STRING_CHARACTERS:
            raise InvalidRequestError(
                f"stop must have strings of at most {MAX_STOP_STRING_CHARACTERS:,} characters,"
                f" but one has {len(stop):,}.",
                field="stop",
            )


class StopMatcher:
    """Watches one text for stop strings, in time linear in the text for each of them.

    The text ends where the first stop string is complete; of those complete at the same character the longest
    counts. So the result does not depend on how the text is split into pieces, and no piece is waited for in
    vain: with `ab` and `abc`, `ab` always wins.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        """Take stop strings that `check_stop_strings` has seen; a chat format's own may come on top."""
        unique = [stop for stop in dict.fromkeys(stops) if stop]
        self._searches = [_Search(stop) for stop in unique]
        self._first_characters = frozenset(stop[0] for stop in unique)
        self._held = ""
        self._matched: str | None = None

    def push(self, text: str) -> Pushed:
        """Take the next piece. After a match nothing is emitted any more, and the match is returned again."""
        if not self._held and self._matched is None and self._first_characters.isdisjoint(text):
            return Pushed(text, None)
        return self._search(text)

    def flush(self) -> str:
        """Return what was held back, at the end of a text that no stop string ended."""
        held, self._held = self._held, ""
        for search in self._searches:
            search.reset()
        return held

    def _search(self, text: str) -> Pushed:
        if self._matched is not None:
            return Pushed("", self._matched)
        window = text
        found: _Search | None = None
        for search in self._searches:
            end = search.advance(window)
            if end is None:
                continue
            if found is None or end < len(window) or len(search.stop) > len(found.stop):
                found, window = search, window[:end]
        if found is not None:
            return self._end(window, found.stop)
        return self._hold(text)

    def _end(self, window: str, stop: str) -> Pushed:
        before = (self._held + window)[: -len(stop)]
        self._matched, self._held = stop, ""
        return Pushed(before, stop)

    def _hold(self, text: str) -> Pushed:
        pending = self._held + text
        emit_until = len(pending) - max(search.matching for search in self._searches)
        self._held = pending[emit_until:]
        return Pushed(pending[:emit_until], None)


class _Search:
    """Knuth, Morris and Pratt's search for one string over a text in pieces."""

    __slots__ = ("_fallbacks", "matching", "stop")

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self.matching = 0
        """Characters of the stop string that the text read so far ends with."""
        self._fallbacks = _border_lengths(stop)

    def reset(self) -> None:
        self.matching = 0

    def advance(self, text: str) -> int | None:
        """Read on; return the index behind the first whole match, where there is one."""
        stop, fallbacks, matching = self.stop, self._fallbacks, self.matching
        index = 0
        while index < len(text):
            if not matching:
                index = text.find(stop[0], index)
                if index < 0:
                    break
            while matching and text[index] != stop[matching]:
                matching = fallbacks[matching - 1]
            if text[index] == stop[matching]:
                matching += 1
            index += 1
            if matching == len(stop):
                return index
        self.matching = matching
        return None


def _border_lengths(stop: str) -> Sequence[int]:
    """Return, for each prefix, the length of its longest proper prefix that is its suffix too."""
    borders = array("H", [0]) * len(stop)
    length = 0
    for index in range(1, len(stop)):
        while length and stop[index] != stop[length]:
            length = borders[length - 1]
        if stop[index] == stop[length]:
            length += 1
        borders[index] = length
    return borders
