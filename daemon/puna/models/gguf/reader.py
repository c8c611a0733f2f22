"""Reads a header from a file."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from puna.errors import ModelLoadError
from puna.models.gguf import check
from puna.models.gguf.cursor import Cursor
from puna.models.gguf.defect import UnreadableFileError, UnusableFileError, file_label, quote
from puna.models.gguf.stranger import PREFIX_BYTES, describe_stranger
from puna.models.gguf.tensors import TensorInfo
from puna.models.gguf.values import SCALARS, Array, LongText, Metadata, Scalar, Value, ValueType

MAGIC = b"GGUF"
MAX_TEXT_BYTES = 1024 * 1024
"""Longer texts are not kept; the longest chat templates in use have a twentieth of it."""
MAX_KEPT_BYTES = 16 * 1024 * 1024
"""All texts and items of arrays of one file together; what comes after is not kept."""
MAX_KEYS_BYTES = 4 * 1024 * 1024
"""All keys of one file together; thousands of the longest in use have a tenth of it."""
_ITEM_BYTES = 32
"""What Python takes for an item besides its content, roughly."""
MAX_KEPT_ITEMS = 512
"""Longer arrays are not kept; arrays with a number per layer are shorter (`LLAMA_MAX_LAYERS`)."""
MAX_ARRAY_TEXTS = 4 * 1024 * 1024
"""Texts in all arrays of one file together; each takes time to walk over."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """All that a file says about itself, checked. Sizes and offsets in bytes."""

    version: int
    alignment: int
    metadata: Metadata
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    file_size: int


def read_header(path: Path) -> GgufHeader:
    """Return the header of the file. Reads the header only, in bounded time and memory; blocks on the disk.

    Raises `ModelLoadError` with one sentence that carries the file's name, never its folder.
    """
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            return _read(file)
    except UnusableFileError as defect:
        raise ModelLoadError(f"{file_label(path)} {defect}.") from None
    except OSError as error:
        raise UnreadableFileError(
            f"{file_label(path)} cannot be read: {error.strerror or 'input/output error'}."
        ) from None


def _open_without_waiting(path: str, flags: int) -> int:
    """Open as `open` does, but do not wait for the other end of a named pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(file: BinaryIO) -> GgufHeader:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFileError("is not a regular file")
    _check_magic(file.read(PREFIX_BYTES))
    cursor = Cursor(file, status.st_size)
    cursor.skip(len(MAGIC))
    version = cursor.uint32()
    check.check_version(version)
    tensor_count, pair_count = cursor.uint64(), cursor.uint64()
    check.check_counts(tensor_count, pair_count, cursor.remaining)
    metadata = _MetadataReader(cursor).read(pair_count)
    alignment = check.alignment_of(metadata)
    tensors = _read_tensors(cursor, tensor_count)
    data_offset = check.pad(cursor.position, alignment)
    check.check_block_numbers(tensors)
    check.check_layout(tensors, alignment, data_offset, status.st_size)
    return GgufHeader(version, alignment, metadata, tensors, data_offset, status.st_size)


def _check_magic(prefix: bytes) -> None:
    if not prefix:
        raise UnusableFileError("is empty; download it again")
    if not prefix.startswith(MAGIC):
        raise UnusableFileError(f"is not a GGUF file: it is {describe_stranger(prefix)}")


class _MetadataReader:
    """Reads the pairs of one file; keeps count of what may still be kept and walked over."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._keepable_bytes = MAX_KEPT_BYTES
        self._key_bytes = 0
        self._walkable_texts = MAX_ARRAY_TEXTS

    def read(self, pair_count: int) -> Metadata:
        values: dict[str, Value] = {}
        for _ in range(pair_count):
            key = self._read_key()
            if key in values:
                raise UnusableFileError(f"is damaged: it has the key {quote(key)} twice")
            values[key] = self._read_value(key)
        return Metadata(values)

    def _read_key(self) -> str:
        size = self._cursor.uint64()
        if not 0 < size <= check.MAX_KEY_BYTES:
            raise UnusableFileError(f"is damaged: it has a key of {size:,} bytes")
        self._key_bytes += size
        if self._key_bytes > MAX_KEYS_BYTES:
            raise UnusableFileError("is damaged: its metadata is larger than that of any model")
        return self._cursor.take(size).decode("utf-8", "replace")

    def _read_value(self, key: str) -> Value:
        value_type = self._read_type(key)
        match value_type:
            case ValueType.STRING:
                return Value(value_type, self._read_text())
            case ValueType.ARRAY:
                return Value(value_type, self._read_array(key))
            case _:
                return Value(value_type, self._read_scalar(value_type))

    def _read_type(self, key: str) -> ValueType:
        number = self._cursor.uint32()
        try:
            return ValueType(number)
        except ValueError:
            raise UnusableFileError(
                f"is damaged or too new: {quote(key)} has the unknown type {number}"
            ) from None

    def _read_scalar(self, value_type: ValueType) -> Scalar:
        layout = SCALARS[value_type]
        value: Scalar = layout.unpack(self._cursor.take(layout.size))[0]
        return value

    def _read_text(self) -> str | LongText:
        size = self._cursor.uint64()
        if size > MAX_TEXT_BYTES or not self._can_keep(size):
            self._cursor.skip(size)
            return LongText(size)
        return self._cursor.take(size).decode("utf-8", "replace")

    def _read_array(self, key: str) -> Array:
        element_type = self._read_type(key)
        count = self._cursor.uint64()
        if element_type is ValueType.ARRAY:
            raise UnusableFileError(f"is damaged: {quote(key)} is a list of lists")
        if element_type is ValueType.STRING:
            return self._read_texts(key, count)
        layout = SCALARS[element_type]
        if count > MAX_KEPT_ITEMS or not self._can_keep(count * (layout.size + _ITEM_BYTES)):
            self._cursor.skip(count * layout.size)
            return Array(element_type, count, None)
        content = self._cursor.take(count * layout.size)
        return Array(element_type, count, tuple(item for (item,) in layout.iter_unpack(content)))

    def _read_texts(self, key: str, count: int) -> Array:
        self._walkable_texts -= count
        if self._walkable_texts < 0:
            raise UnusableFileError(f"is damaged: {quote(key)} claims {count:,} texts")
        if count > MAX_KEPT_ITEMS or not self._can_keep(count * _ITEM_BYTES):
            self._cursor.skip_texts(count)
            return Array(ValueType.STRING, count, None)
        texts = [self._read_text() for _ in range(count)]
        items = tuple(text for text in texts if isinstance(text, str))
        return Array(ValueType.STRING, count, items if len(items) == count else None)

    def _can_keep(self, size: int) -> bool:
        """Return whether so many bytes may still be kept, and count them then."""
        if size > self._keepable_bytes:
            return False
        self._keepable_bytes -= size
        return True


def _read_tensors(cursor: Cursor, tensor_count: int) -> tuple[TensorInfo, ...]:
    names: set[str] = set()
    tensors = []
    for _ in range(tensor_count):
        tensor = _read_tensor(cursor)
        if tensor.name in names:
            raise UnusableFileError(f"is damaged: it has the tensor {quote(tensor.name)} twice")
        names.add(tensor.name)
        tensors.append(tensor)
    return tuple(tensors)


def _read_tensor(cursor: Cursor) -> TensorInfo:
    name_size = cursor.uint64()
    if not 0 < name_size <= check.MAX_TENSOR_NAME_BYTES:
        raise UnusableFileError(f"is damaged: it has a tensor name of {name_size:,} bytes")
    name = cursor.take(name_size).decode("utf-8", "replace")
    dim_count = cursor.uint32()
    if dim_count > check.MAX_DIMS:
        raise UnusableFileError(f"is damaged: tensor {quote(name)} has {dim_count:,} dimensions")
    dims = tuple(cursor.uint64() for _ in range(dim_count))
    tensor_type = check.tensor_type_of(cursor.uint32(), name)
    check.check_shape(name, dims, tensor_type)
    return TensorInfo(name, tensor_type, dims, cursor.uint64())
