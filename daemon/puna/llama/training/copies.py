"""Transposed copies of frozen weights, for the products of the backward pass.

ggml's `OUT_PROD` with a quantised operand dequantises it row by row, for 10 to 30 times the cost of a forward
product. The same product is a plain `MUL_MAT` with the transposed weight.
"""

import ctypes
from collections.abc import Iterable
from enum import IntEnum
from typing import final

import numpy as np
import numpy.typing as npt

from puna.llama.training import ggml
from puna.llama.training.ggml import Address, FloatArray, Tensor

_ALIGNMENT = 64
_CHUNK_ROWS = 1024
"""Rows of a weight that are transposed at a time: what is dequantised meanwhile stays small."""
_MOST_COPIES = 16_384
_Q8_BLOCK = 32


@final
class CopyType(IntEnum):
    """How copies are stored; numbers of `enum ggml_type`."""

    F16 = ggml.F16
    Q8_0 = ggml.Q8_0
    BF16 = ggml.BF16

    def size_bytes(self, elements: int) -> int:
        """Return the bytes of so many elements."""
        return elements * 34 // 32 if self is CopyType.Q8_0 else elements * 2


class TransposedCopies:
    """Made when they are first asked for; kept for the life of the process, as ggml's graphs point at them."""

    def __init__(self, copy_type: CopyType | None) -> None:
        """`copy_type` None makes none."""
        self._type = copy_type
        self._context = ggml.init(
            ggml.InitParams(
                _MOST_COPIES * ggml.tensor_overhead() if copy_type is not None else 1024, None, True
            )
        )
        self._copies: dict[Address, Address] = {}
        self._memory: list[npt.NDArray[np.uint8]] = []

    @property
    def is_on(self) -> bool:
        """Whether there are copies at all."""
        return self._type is not None

    @property
    def size_bytes(self) -> int:
        """The memory of the copies made so far."""
        return sum(memory.nbytes for memory in self._memory)

    def find(self, address: Address, weight: Tensor) -> Address | None:
        """Return the transposed copy of the weight at this address; None without copies."""
        if self._type is None:
            return None
        if address not in self._copies:
            self._copies[address] = self._make(weight, self._type)
        return self._copies[address]

    def _make(self, weight: Tensor, copy_type: CopyType) -> Address:
        width, rows = int(weight.ne[0]), int(weight.ne[1])
        fitting = CopyType.F16 if copy_type is CopyType.Q8_0 and rows % _Q8_BLOCK else copy_type
        row_bytes: int = ggml.row_size(fitting, rows)
        memory = np.empty(width * row_bytes + _ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % _ALIGNMENT
        lines = memory[start : start + width * row_bytes].reshape(width, row_bytes)
        for first, part in _chunks(weight):
            encoded = _encode(np.ascontiguousarray(part.T), fitting)
            at = ggml.row_size(fitting, first)
            lines[:, at : at + encoded.shape[1]] = encoded
        self._memory.append(memory)
        address: int = ggml.new_tensor_2d(self._context, fitting, rows, width)
        copy = Tensor.from_address(address)
        copy.data = lines.ctypes.data
        copy.buffer = ggml.buffer_from_ptr(ctypes.c_void_p(lines.ctypes.data), lines.nbytes)
        return address


def _chunks(weight: Tensor) -> Iterable[tuple[int, FloatArray]]:
    rows = int(weight.ne[1])
    for first in range(0, rows, _CHUNK_ROWS):
        yield first, ggml.dequantise(weight, first, min(_CHUNK_ROWS, rows - first))


def _encode(lines: FloatArray, copy_type: CopyType) -> npt.NDArray[np.uint8]:
    """Return each line in the type's bytes."""
    count, length = lines.shape
    row_bytes: int = ggml.row_size(copy_type, length)
    encoded = np.empty((count, row_bytes), np.uint8)
    ggml.quantize_chunk(copy_type, lines.ctypes.data, encoded.ctypes.data, 0, count, length, None)
    return encoded
