"""Reads a text that comes in pieces: parsers are generators that wait here for the next piece."""

import re
from collections.abc import Callable, Generator
from typing import TypeVar

from puna.prompting.landmarks import Landmarks

Result = TypeVar("Result")
Item = TypeVar("Item")

Waiting = Generator[None, None, Result]
"""Reading that yields None whenever more text is needed."""
Chunks = Generator[str | None, None, Result]
"""Reading that yields text, and None whenever more is needed."""

BLANK = " \t\r\n"
_BLANKS = re.compile(r"[ \t\r\n]+")


class MalformedError(Exception):
    """The text is not what a format needs. The character that does not fit has not been taken."""


class TextReader:
    """The text of one answer. It keeps only what nobody has taken: a marker's length at most.

    Every method that waits decides the same however the text is split.
    """

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._is_ended = False
        self._record: list[str] | None = None

    @property
    def unread_characters(self) -> int:
        """How much waits to be taken."""
        return len(self._text) - self._at

    def push(self, text: str) -> None:
        """Add the next piece."""
        self._text = self._text[self._at :] + text
        self._at = 0

    def end(self) -> None:
        """Say that no further piece comes: nobody waits any more."""
        self._is_ended = True

    def start_record(self) -> None:
        """Keep what is taken from here on, to give it back when it was no call after all."""
        self._record = []

    def commit(self) -> None:
        """Forget what was kept: it has found its place."""
        if self._record:
            self._record.clear()

    def stop_record(self) -> str:
        """Return what was taken since the last commit, and keep nothing more."""
        record, self._record = self._record, None
        return "".join(record or ())

    def wait(self) -> Waiting[bool]:
        """Wait for at least one character; False at the end of the text."""
        while self._at >= len(self._text):
            if self._is_ended:
                return False
            yield None
        return True

    def peek(self) -> Waiting[str]:
        """Return the next character, which stays; empty at the end of the text."""
        return self._text[self._at] if (yield from self.wait()) else ""

    def take(self, pattern: re.Pattern[str]) -> str:
        """Take what matches of the text at hand, without waiting."""
        match = pattern.match(self._text, self._at)
        return self._take_to(match.end()) if match else ""

    def skip(self, count: int) -> None:
        """Take so many characters that are known to be at hand."""
        self._take_to(self._at + count)

    def stands(self, text: str) -> Waiting[bool]:
        """Return whether this text comes next; it stays."""
        while not self._text.startswith(text, self._at):
            if self._is_ended or not text.startswith(self._text[self._at : self._at + len(text)]):
                return False
            yield None
        return True

    def accept(self, text: str) -> Waiting[bool]:
        """Take this text if it comes next, and return whether it did."""
        is_here = yield from self.stands(text)
        if is_here:
            self.skip(len(text))
        return is_here

    def expect(self, text: str) -> Waiting[None]:
        """Take this text. Raises `MalformedError` when another comes."""
        if not (yield from self.accept(text)):
            raise MalformedError

    def take_run(self, pattern: re.Pattern[str]) -> Waiting[str]:
        """Take all that matches, however much; the pattern says what single characters may be."""
        parts: list[str] = []
        while (yield from self.wait()):
            part = self.take(pattern)
            if not part:
                break
            parts.append(part)
        return "".join(parts)

    def take_blank(self) -> Waiting[str]:
        """Take white space, any amount."""
        return (yield from self.take_run(_BLANKS))

    def until(self, landmarks: Landmarks) -> Chunks[str]:
        """Yield the text before the next landmark, and return the landmark, which stays; empty at the end."""
        while True:
            end, landmark = landmarks.locate(self._text, self._at, is_ended=self._is_ended)
            if end > self._at:
                yield self._take_to(end)
            if landmark or self._is_ended:
                return landmark
            yield None

    def _take_to(self, end: int) -> str:
        taken = self._text[self._at : end]
        self._at = end
        if self._record is not None:
            self._record.append(taken)
        return taken


def convert(
    chunks: Chunks[Result], to_item: Callable[[str], Item | None]
) -> Generator[Item | None, None, Result]:
    """Yield each chunk as something else; `to_item` returns None for what is not to be yielded."""
    while True:
        try:
            chunk = next(chunks)
        except StopIteration as ended:
            result: Result = ended.value
            return result
        item = None if chunk is None else to_item(chunk)
        if chunk is None or item is not None:
            yield item


def gather(chunks: Chunks[Result], into: list[str]) -> Waiting[Result]:
    """Put all chunks into a list."""

    def keep(chunk: str) -> None:
        into.append(chunk)

    return convert(chunks, keep)


class HeldBlank:
    """Holds back the white space at the end of a text until something follows it."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def push(self, text: str) -> str:
        """Return what is certain now: all but the white space at the end."""
        solid = text.rstrip(BLANK)
        certain = f"{self.flush()}{solid}" if solid else ""
        self._held.append(text[len(solid) :])
        return certain

    def flush(self) -> str:
        """Return what is held back, and hold nothing any more."""
        held = "".join(self._held)
        self._held.clear()
        return held
