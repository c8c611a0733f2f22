"""Rows of a matrix in ggml's types: to numbers and back. By numbers of `enum ggml_type`."""

import numpy as np
import numpy.typing as npt

from puna.llama.model import LlamaError
from puna.llama.training import ggml
from puna.llama.training.ggml import FloatArray, Tensor

Bytes = npt.NDArray[np.uint8]


def check() -> None:
    """Prepare ggml, and compare its structures with those that are known. Once, first. Raises `LlamaError`."""
    ggml.check_layout()


def decode_rows(content: bytes, type_number: int, width: int) -> FloatArray:
    """Return whole rows of `width` elements as numbers. The type is one of numbers, no integer."""
    row_bytes: int = ggml.row_size(type_number, width)
    source = np.frombuffer(content, np.uint8)
    tensor = Tensor(type=type_number)
    tensor.ne[0], tensor.nb[1], tensor.data = width, row_bytes, source.ctypes.data
    return ggml.dequantise(tensor, 0, len(content) // row_bytes)


def encode_rows(rows: FloatArray, type_number: int) -> Bytes:
    """Return these rows in the type. Raises `LlamaError` for a type that ggml cannot write."""
    count, width = rows.shape
    source = np.ascontiguousarray(rows, np.float32)
    encoded = np.empty(count * ggml.row_size(type_number, width), np.uint8)
    written: int = ggml.quantize_chunk(
        type_number, source.ctypes.data, encoded.ctypes.data, 0, count, width, None
    )
    if written != encoded.nbytes:
        raise LlamaError(f"this llama.cpp cannot write tensors of type {type_number}")
    return encoded
