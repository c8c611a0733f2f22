"""Finds the next of several markers in a text that comes in pieces."""

import re
from collections.abc import Iterable


class Landmarks:
    """A set of texts to look for. Where several stand at one place, the longest counts."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take the texts; none at all is possible."""
        by_length = sorted({text for text in texts if text}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, by_length)) or "(?!)")
        self._beginnings = frozenset(text[:end] for text in by_length for end in range(1, len(text)))
        self._longest_beginning = max(map(len, self._beginnings), default=0)

    def locate(self, text: str, start: int, *, is_ended: bool) -> tuple[int, str]:
        """Return up to which index the text has no landmark for certain, and the one that stands there.

        The landmark is empty where none is certain yet: the rest of the text may be the beginning of one.
        """
        match = self._pattern.search(text, start)
        unsure_from = len(text) if is_ended else self._find_beginning(text, start)
        if match is not None and (is_ended or match.start() < unsure_from):
            return match.start(), match[0]
        return unsure_from, ""

    def _find_beginning(self, text: str, start: int) -> int:
        """Return where the text's end begins that could become a landmark; the text's length if nowhere."""
        for index in range(max(start, len(text) - self._longest_beginning), len(text)):
            if text[index:] in self._beginnings:
                return index
        return len(text)
