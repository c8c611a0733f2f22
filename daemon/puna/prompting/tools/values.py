"""Reads one value as models write it and yields it as compact JSON text, while it comes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from puna.prompting.landmarks import Landmarks
from puna.prompting.reader import Chunks, MalformedError, TextReader, Waiting, convert

_JSON_WORDS = {"true": "true", "false": "false", "null": "null"}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9_.+\-]+")
_BARE_KEY = re.compile(r"[^\x00-\x1f\"{}\[\]:,<>]+")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_PLAIN = {
    '"': re.compile(r'[^"\\\x00-\x1f]+'),
    "'": re.compile(r"[^'\\\x00-\x1f]+"),
}
_CLOSERS = {"{": "}", "[": "]"}
_ESCAPED = frozenset('"\\/bfnrt')


@dataclass(frozen=True)
class ValueSyntax:
    """How values are written where it differs from JSON."""

    quotes: str = '"'
    words: Mapping[str, str] = field(default_factory=lambda: _JSON_WORDS)
    """Bare words by the JSON that they mean."""
    delimiter: str = ""
    """A text that may stand around strings, which then have no escapes."""
    has_bare_keys: bool = False
    """Whether keys may stand without quotes."""


JSON = ValueSyntax()
PYTHON = ValueSyntax("\"'", {**_JSON_WORDS, "True": "true", "False": "false", "None": "null"})
GEMMA = ValueSyntax(delimiter='<|"|>', has_bare_keys=True)


def read_value(reader: TextReader, syntax: ValueSyntax = JSON) -> Chunks[None]:
    """Read one value of any kind. Raises `MalformedError` where it is none, or the text ends within it.

    Line breaks within strings and needless backslashes, which models write, become proper JSON.
    """
    scan = _Scan(reader, syntax)
    yield from scan.read_one()
    while scan.closers:
        yield from scan.read_next()


def read_string(reader: TextReader, syntax: ValueSyntax = JSON) -> Chunks[None]:
    """Read one string, its quotes included."""
    quote = yield from reader.peek()
    if not quote or quote not in syntax.quotes:
        raise MalformedError
    reader.skip(1)
    yield '"'
    while (char := (yield from reader.peek())) != quote:
        if not char:
            raise MalformedError
        if char == "\\":
            yield from _read_escape(reader)
        elif char < " ":
            reader.skip(1)
            yield escape(char)
        else:
            yield reader.take(_PLAIN[quote]).replace('"', '\\"')
    reader.skip(1)
    yield '"'


def escape(text: str) -> str:
    """Return text as it stands within a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def quote(text: str) -> str:
    """Return text as a JSON string."""
    return f'"{escape(text)}"'


def _read_escape(reader: TextReader) -> Chunks[None]:
    yield from reader.expect("\\")
    char = yield from reader.peek()
    if char == "u":
        yield from _read_code(reader)
        return
    if not char:
        yield "\\"
        return
    reader.skip(1)
    if char == "'":
        yield char
    else:
        yield "\\" + char if char in _ESCAPED else "\\\\" + escape(char)


def _read_code(reader: TextReader) -> Chunks[None]:
    digits = ""
    reader.skip(1)
    while len(digits) < 4 and (char := (yield from reader.peek())) and char in "0123456789abcdefABCDEF":
        reader.skip(1)
        digits += char
    is_cut = not (yield from reader.wait())
    yield f"\\u{digits}" if _HEX.fullmatch(digits) or is_cut else f"\\\\u{digits}"


class _Scan:
    """Where a value stands: the brackets that are open, so that no nesting is too deep for it."""

    def __init__(self, reader: TextReader, syntax: ValueSyntax) -> None:
        self.closers: list[str] = []
        self._is_fresh = False
        self._reader = reader
        self._syntax = syntax

    def read_one(self) -> Chunks[None]:
        """Read a scalar, or the bracket that opens an object or list."""
        char = yield from self._peek()
        if char in _CLOSERS:
            self._reader.skip(1)
            self.closers.append(_CLOSERS[char])
            self._is_fresh = True
            yield char
        elif char and char in self._syntax.quotes:
            yield from read_string(self._reader, self._syntax)
        elif self._syntax.delimiter and (yield from self._reader.accept(self._syntax.delimiter)):
            yield from self._read_delimited()
        else:
            yield from self._read_word()

    def read_next(self) -> Chunks[None]:
        """Read on within the innermost bracket: its end, or its next value."""
        if (yield from self._peek()) == self.closers[-1]:
            self._reader.skip(1)
            self._is_fresh = False
            yield self.closers.pop()
            return
        if not self._is_fresh:
            yield from self._reader.expect(",")
            yield ","
        self._is_fresh = False
        if self.closers[-1] == "}":
            yield from self._read_key()
        yield from self.read_one()

    def _read_key(self) -> Chunks[None]:
        char = yield from self._peek()
        if self._syntax.delimiter and (yield from self._reader.accept(self._syntax.delimiter)):
            yield from self._read_delimited()
        elif self._syntax.has_bare_keys and char != '"':
            key = yield from self._reader.take_run(_BARE_KEY)
            yield quote(key.rstrip())
        else:
            yield from read_string(self._reader, self._syntax)
        yield from self._peek()
        yield from self._reader.expect(":")
        yield ":"

    def _read_delimited(self) -> Chunks[None]:
        """Read a string behind its first delimiter."""
        yield '"'
        end = yield from convert(self._reader.until(Landmarks([self._syntax.delimiter])), escape)
        if not end:
            raise MalformedError
        self._reader.skip(len(end))
        yield '"'

    def _read_word(self) -> Chunks[None]:
        word = yield from self._reader.take_run(_WORD)
        is_cut = bool(word) and not (yield from self._reader.wait())
        if word in self._syntax.words:
            yield self._syntax.words[word]
        elif _NUMBER.fullmatch(word) or is_cut:
            yield word
        else:
            raise MalformedError

    def _peek(self) -> Waiting[str]:
        yield from self._reader.take_blank()
        return (yield from self._reader.peek())
