"""From chunks of bytes to lines of text, with the numbers that an error needs.

Lines end with LF, CRLF or CR and with nothing else: a line separator of Unicode within a text is text.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from puna.domain.datasets import FindingCode
from puna.finetune.datasets.failures import UnreadableDatasetError

MAX_ROW_BYTES = 1024 * 1024
"""The longest row. It bounds the memory that reading takes, and what a quote without an end can swallow."""

_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end. Its number counts from 1."""

    number: int
    text: str


def read_lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a file in UTF-8, with or without a byte order mark.

    Raises `UnreadableDatasetError` at a byte that is no UTF-8, a NUL, or a line above `MAX_ROW_BYTES`.
    """
    offset = 0
    for number, raw in enumerate(_split(chunks), 1):
        content = raw
        if number == 1 and raw.startswith(_BOM):
            content = raw[len(_BOM) :]
            offset = len(_BOM)
        yield Line(number, _decode(content, number, offset))
        offset += len(content)


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    number = 1
    for chunk in chunks:
        lines = (rest + chunk).splitlines(keepends=True)
        # CR may be the first half of CRLF, so only LF proves that a line is whole.
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            _check_length(line, number)
            yield line
            number += 1
        _check_length(rest, number)
    if rest:
        yield rest


def _check_length(raw: bytes, number: int) -> None:
    if len(raw) > MAX_ROW_BYTES:
        raise UnreadableDatasetError(
            FindingCode.ROW_TOO_LONG,
            f"Line {number} is longer than {MAX_ROW_BYTES // 1024**2} MB; divide its text into several rows.",
            row=number,
            line=number,
        )


def _decode(raw: bytes, number: int, offset: int) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw[error.start], offset + error.start, number) from error
    if "\0" in text:
        place = offset + raw.index(b"\0")
        raise UnreadableDatasetError(
            FindingCode.NOT_TEXT,
            f"The file is no text: byte {place} (line {number}) is zero; save it as UTF-8.",
            line=number,
            byte_offset=place,
        )
    return text.rstrip("\r\n")


def _not_utf8(value: int, place: int, number: int) -> UnreadableDatasetError:
    return UnreadableDatasetError(
        FindingCode.NOT_UTF8,
        f"The file is not UTF-8: byte {place} (line {number}) is 0x{value:02X}; save it as UTF-8, which a "
        "spreadsheet calls `CSV UTF-8`.",
        line=number,
        byte_offset=place,
    )
