"""The metadata of a GGUF file as it stands there, byte by byte, so that nothing of it is lost in a copy."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from puna.models.gguf.cursor import Cursor
from puna.models.gguf.values import SCALARS, ValueType

_PREFIX_BYTES = 8
"""Magic and version."""
_SPLIT = "split."
_QUANTISATION_VERSION = 2
"""`GGML_QNT_VERSION` in ggml.h."""

Pairs = dict[str, bytes]
"""What follows each key: the type's number and the value."""


def read_pairs(path: Path) -> Pairs:
    """Return all pairs of a file whose header `read_header` has found sound. Blocks. Raises `OSError`."""
    with path.open("rb") as file:
        cursor = Cursor(file, path.stat().st_size)
        cursor.skip(_PREFIX_BYTES)
        cursor.uint64()
        spans = [_walk_pair(cursor) for _ in range(cursor.uint64())]
        return {key: _read_span(file, start, end) for key, start, end in spans}


def _walk_pair(cursor: Cursor) -> tuple[str, int, int]:
    key = cursor.take(cursor.uint64()).decode("utf-8", "replace")
    start = cursor.position
    _walk_value(cursor)
    return key, start, cursor.position


def _read_span(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _walk_value(cursor: Cursor) -> None:
    match ValueType(cursor.uint32()):
        case ValueType.STRING:
            cursor.skip(cursor.uint64())
        case ValueType.ARRAY:
            element_type, count = ValueType(cursor.uint32()), cursor.uint64()
            if element_type is ValueType.STRING:
                cursor.skip_texts(count)
            else:
                cursor.skip(count * SCALARS[element_type].size)
        case scalar:
            cursor.skip(SCALARS[scalar].size)


def edit_pairs(
    pairs: Pairs, *, name: str, file_type: int | None, is_quantised: bool, texts: Mapping[str, str]
) -> Pairs:
    """Return the metadata of the merged model: all of the base's but its name, its type and its parts.

    `file_type` is of `enum llama_ftype`; None leaves the base's.
    """
    edited = {key: value for key, value in pairs.items() if not key.startswith(_SPLIT)}
    edited["general.name"] = _text(name)
    edited |= {key: _text(value) for key, value in texts.items()}
    if file_type is not None:
        edited["general.file_type"] = _uint32(file_type)
    if is_quantised:
        edited.setdefault("general.quantization_version", _uint32(_QUANTISATION_VERSION))
    return edited


def encode_pairs(pairs: Pairs) -> bytes:
    """Return the pairs as they stand in a file."""
    return b"".join(_counted(key.encode()) + value for key, value in pairs.items())


def _uint32(value: int) -> bytes:
    return struct.pack("<II", ValueType.UINT32, value)


def _text(value: str) -> bytes:
    return struct.pack("<I", ValueType.STRING) + _counted(value.encode("utf-8", "replace"))


def _counted(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content
