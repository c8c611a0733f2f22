"""The few kinds of content that adapters and checkpoints have, in the GGUF format.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Texts, 32-bit numbers, and matrices in F32.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from puna.files import write_private_pieces

FloatArray = npt.NDArray[np.float32]
Metadata = Mapping[str, str | int | float]
_MAGIC, _VERSION, _ALIGNMENT = b"GGUF", 3, 32
_UINT32, _FLOAT32, _STRING = 4, 6, 8
_F32 = 0


class DamagedFileError(Exception):
    """The file is none that `write_gguf` wrote, or not all of it."""


def write_gguf(path: Path, metadata: Metadata, tensors: Mapping[str, FloatArray]) -> None:
    """Replace the file in one step. Raises `OSError`, and then leaves the file as it was."""
    write_private_pieces(path, encode_gguf(metadata, tensors))


def encode_gguf(metadata: Metadata, tensors: Mapping[str, FloatArray]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file, those of a tensor without a copy."""
    parts = [_MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(metadata))]
    parts += [_text(key) + _value(value) for key, value in metadata.items()]
    offset = 0
    for name, array in tensors.items():
        rows, width = array.shape
        parts.append(_text(name) + struct.pack("<IQQIQ", 2, width, rows, _F32, offset))
        offset += _pad(array.nbytes)
    head = b"".join(parts)
    yield head + bytes(_pad(len(head)) - len(head))
    for array in tensors.values():
        yield np.ascontiguousarray(array, "<f4").data.cast("B")
        yield bytes(_pad(array.nbytes) - array.nbytes)


def read_gguf(path: Path) -> tuple[dict[str, str | int | float], dict[str, FloatArray]]:
    """Return metadata and tensors. Raises `OSError`, `DamagedFileError`."""
    try:
        return _Reader(path.read_bytes()).read()
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise DamagedFileError(f"{path.name} is damaged ({error})") from error


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def read(self) -> tuple[dict[str, str | int | float], dict[str, FloatArray]]:
        magic, version, tensor_count, pair_count = self._take("<4sIQQ")
        if (magic, version) != (_MAGIC, _VERSION):
            raise DamagedFileError("the file is no GGUF of version 3")
        metadata = {self._read_text(): self._read_value() for _ in range(pair_count)}
        infos = [(self._read_text(), self._take("<IQQIQ")) for _ in range(tensor_count)]
        start = _pad(self._at)
        return metadata, {name: self._read_tensor(start, *info) for name, info in infos}

    def _read_tensor(
        self, start: int, dims: int, width: int, rows: int, kind: int, offset: int
    ) -> FloatArray:
        if (dims, kind) != (2, _F32):
            raise DamagedFileError("the file has a tensor that is no matrix in F32")
        flat = np.frombuffer(self._content, "<f4", width * rows, start + offset)
        return flat.reshape(rows, width).astype(np.float32)

    def _read_value(self) -> str | int | float:
        (kind,) = self._take("<I")
        if kind == _STRING:
            return self._read_text()
        if kind not in (_UINT32, _FLOAT32):
            raise DamagedFileError(f"the file has a value of type {kind}")
        value: int | float = self._take("<I" if kind == _UINT32 else "<f")[0]
        return value

    def _read_text(self) -> str:
        (size,) = self._take("<Q")
        (content,) = self._take(f"<{size}s")
        return str(content, "utf-8")

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._content, self._at)
        self._at += struct.calcsize(layout)
        return values


def _text(value: str) -> bytes:
    content = value.encode("utf-8", "replace")
    return struct.pack("<Q", len(content)) + content


def _value(value: str | float) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", _UINT32, value)
    return struct.pack("<If", _FLOAT32, value)


def _pad(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
