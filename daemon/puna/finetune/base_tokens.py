"""Two names of a vocabulary, which chat templates write. Only they are read: a vocabulary has up to a million."""

import mmap
import struct
from pathlib import Path

from puna.models.gguf.reader import read_header
from puna.models.gguf.values import ValueType

_TOKENS = b"tokenizer.ggml.tokens"
_LENGTH = struct.Struct("<Q")
_ARRAY = struct.Struct("<IIQ")
"""Type of the value, type of its items, and how many there are."""


def read_token_names(path: Path) -> tuple[str, str]:
    """Return the beginning-of-text and the end-of-text token as templates name them; empty where there is none.

    Blocks on the disk. Raises `ModelLoadError` for a file that is no sound GGUF.
    """
    header = read_header(path)
    metadata = header.metadata
    numbers = [metadata.integer(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = _find_names(content, header.data_offset, {n for n in numbers if n is not None and n >= 0})
    first, last = (names.get(number, "") if number is not None else "" for number in numbers)
    return first, last


def _find_names(content: mmap.mmap, end: int, wanted: set[int]) -> dict[int, str]:
    at = content.find(_LENGTH.pack(len(_TOKENS)) + _TOKENS, 0, end)
    if at < 0 or not wanted:
        return {}
    at += _LENGTH.size + len(_TOKENS)
    kind, of, count = _ARRAY.unpack_from(content, at)
    if (kind, of) != (ValueType.ARRAY, ValueType.STRING):
        return {}
    at += _ARRAY.size
    names: dict[int, str] = {}
    for number in range(min(count, max(wanted) + 1)):
        (size,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        if number in wanted:
            names[number] = content[at : at + size].decode("utf-8", "replace")
        at += size
    return names
