"""Samples from plain text: a line each, or several lines with blank ones between the samples.

Which of the two it is, the beginning of the file says: where a blank line stands between others there, blank lines
divide; else every line is a sample.
"""

from collections.abc import Iterator, Sequence

from puna.domain.datasets import FindingCode, PlainText
from puna.finetune.datasets.failures import UnreadableDatasetError
from puna.finetune.datasets.lines import MAX_ROW_BYTES, Line
from puna.finetune.datasets.parsed import Dropped, Parsed, Sampled


def has_blocks(head: bytes) -> bool:
    """Return whether blank lines divide the samples of a file that begins like this."""
    lines = [bool(line.strip()) for line in head.removeprefix(b"\xef\xbb\xbf").splitlines()]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    return not all(lines)


class TextRows:
    """The samples of one text; implements `RowReader`."""

    ignored_columns: Sequence[str] = ()

    def __init__(self, lines: Iterator[Line], *, has_blocks: bool) -> None:
        self._lines = lines
        self._has_blocks = has_blocks

    def __iter__(self) -> Iterator[Parsed]:
        """Yield what the lines or blocks are."""
        return self._read_blocks() if self._has_blocks else self._read_lines()

    def _read_lines(self) -> Iterator[Parsed]:
        for number, text in self._lines:
            if text.strip():
                yield Sampled(number, PlainText(text))
            else:
                yield Dropped(number, FindingCode.EMPTY_ROW)

    def _read_blocks(self) -> Iterator[Parsed]:
        block: list[str] = []
        size = begin = 0
        for number, text in self._lines:
            if text.strip():
                begin = begin if block else number
                block.append(text)
                size += len(text) + 1
                _check_size(size, begin)
            elif block:
                yield Sampled(begin, PlainText("\n".join(block)))
                block, size = [], 0
        if block:
            yield Sampled(begin, PlainText("\n".join(block)))


def _check_size(size: int, begin: int) -> None:
    if size > MAX_ROW_BYTES:
        raise UnreadableDatasetError(
            FindingCode.ROW_TOO_LONG,
            f"The sample that begins in line {begin} is longer than {MAX_ROW_BYTES // 1024**2} MB; divide it by "
            "blank lines.",
            row=begin,
            line=begin,
        )
