"""Metadata values, and typed access to them."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class ValueType(IntEnum):
    """Types of metadata values (`gguf_type` in gguf.h)."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


SCALARS: Mapping[ValueType, struct.Struct] = {
    ValueType.UINT8: struct.Struct("<B"),
    ValueType.INT8: struct.Struct("<b"),
    ValueType.UINT16: struct.Struct("<H"),
    ValueType.INT16: struct.Struct("<h"),
    ValueType.UINT32: struct.Struct("<I"),
    ValueType.INT32: struct.Struct("<i"),
    ValueType.FLOAT32: struct.Struct("<f"),
    ValueType.BOOL: struct.Struct("<?"),
    ValueType.UINT64: struct.Struct("<Q"),
    ValueType.INT64: struct.Struct("<q"),
    ValueType.FLOAT64: struct.Struct("<d"),
}
"""How the values of fixed size are stored."""

Scalar = int | float | bool | str


@dataclass(frozen=True, slots=True)
class LongText:
    """A text that was too long to keep."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Array:
    """An array; the items of long ones, such as vocabularies, are not kept."""

    element_type: ValueType
    count: int
    items: tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Value:
    """One metadata value with the type that the file gives it."""

    type: ValueType
    content: Scalar | LongText | Array


class Metadata:
    """The metadata of one file. Each method returns None where the key is absent or of another type."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> list[str]:
        """Return all keys in the order of the file."""
        return list(self._values)

    def type_of(self, key: str) -> ValueType | None:
        """Return the stored type."""
        value = self._values.get(key)
        return None if value is None else value.type

    def text(self, key: str) -> str | None:
        """Return a text; one that was too long to keep counts as absent."""
        content = self._content(key)
        return content if isinstance(content, str) else None

    def integer(self, key: str) -> int | None:
        """Return a whole number of any width."""
        content = self._content(key)
        return content if isinstance(content, int) and not isinstance(content, bool) else None

    def number(self, key: str) -> float | None:
        """Return a fractional number of any width."""
        content = self._content(key)
        return content if isinstance(content, float) else None

    def largest(self, key: str) -> int | None:
        """Return a whole number, or the largest of an array of them: some models give one per layer."""
        array = self.array(key)
        if array is None:
            return self.integer(key)
        numbers = [item for item in array.items or () if isinstance(item, int) and not isinstance(item, bool)]
        return max(numbers, default=None)

    def array(self, key: str) -> Array | None:
        """Return an array."""
        content = self._content(key)
        return content if isinstance(content, Array) else None

    def _content(self, key: str) -> Scalar | LongText | Array | None:
        value = self._values.get(key)
        return None if value is None else value.content
