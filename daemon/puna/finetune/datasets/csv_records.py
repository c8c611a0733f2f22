"""CSV as RFC 4180 has it, record by record, with the numbers that an error needs.

Python's own reader is not used: it cannot tell where a quote began that never ends, it reads the whole rest of the
file for it, and the longest field is one setting for the whole process.

More is taken than the RFC allows: blanks around a quoted field, a quote inside an unquoted one, any line end.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from puna.domain.datasets import FindingCode
from puna.finetune.datasets.failures import UnreadableDatasetError
from puna.finetune.datasets.lines import MAX_ROW_BYTES, Line

_OPENING = re.compile(r'[ \t]*"')
_CLOSING = re.compile(r"[ \t]*(,|\Z)")


class Record(NamedTuple):
    """A row of the file, empty ones and the header too. Rows and lines count from 1."""

    row: int
    line: int
    """Where it begins."""
    fields: list[str]
    problem: str | None = None
    """What is wrong with its quotes; the only field is its first line as it stands then."""


def read_records(lines: Iterator[Line]) -> Iterator[Record]:
    """Yield the records. A line end within quotes becomes LF.

    Raises `UnreadableDatasetError` for a quote that is never closed.
    """
    for row, line in enumerate(lines, 1):
        if '"' in line.text:
            yield _QuotedRecord(row, line, lines).read()
        else:
            yield Record(row, line.number, line.text.split(","))


class _QuotedRecord:
    """Reads a record that has quotes, and the lines that it goes on in."""

    def __init__(self, row: int, line: Line, lines: Iterator[Line]) -> None:
        self._row = row
        self._first = line.number
        self._raw = line.text
        self._line = line
        self._lines = lines
        self._position = 0
        self._size = len(line.text)

    def read(self) -> Record:
        fields: list[str] = []
        has_more = True
        while has_more:
            opening = _OPENING.match(self._line.text, self._position)
            if opening is None:
                value, has_more = self._read_plain()
            else:
                opened = self._line.number
                value = self._read_quoted(opening.end())
                closing = _CLOSING.match(self._line.text, self._position)
                if closing is None:
                    return Record(self._row, self._first, [self._raw], self._describe_problem(opened))
                has_more = closing[1] == ","
                self._position = closing.end()
            fields.append(value)
        return Record(self._row, self._first, fields)

    def _read_plain(self) -> tuple[str, bool]:
        start, text = self._position, self._line.text
        end = text.find(",", start)
        self._position = end + 1
        return (text[start:end], True) if end >= 0 else (text[start:], False)

    def _read_quoted(self, start: int) -> str:
        """Return what stands between the quotes, and stop behind the closing one."""
        opened = self._line.number
        parts: list[str] = []
        while True:
            end = self._line.text.find('"', start)
            if end < 0:
                parts += self._line.text[start:], "\n"
                self._go_on(opened)
                start = 0
            elif self._line.text.startswith('"', end + 1):
                parts.append(self._line.text[start : end + 1])
                start = end + 2
            else:
                parts.append(self._line.text[start:end])
                self._position = end + 1
                return "".join(parts)

    def _go_on(self, opened: int) -> None:
        line = next(self._lines, None)
        if line is None:
            raise self._unterminated(opened, "is never closed")
        self._size += len(line.text) + 1
        if self._size > MAX_ROW_BYTES:
            raise self._unterminated(opened, f"is not closed within {MAX_ROW_BYTES // 1024**2} MB")
        self._line = line

    def _unterminated(self, opened: int, fact: str) -> UnreadableDatasetError:
        return UnreadableDatasetError(
            FindingCode.UNTERMINATED_QUOTE,
            f"Row {self._row} opens a quote in line {opened} that {fact}; close it, and write a quote within "
            'a text twice ("").',
            row=self._row,
            line=opened,
        )

    def _describe_problem(self, opened: int) -> str:
        closed = self._line.number
        where = (
            f"in line {opened}" if closed == opened else f"in line {opened} and is closed in line {closed}"
        )
        return f"a quote opens {where}, and text follows where it is closed"
