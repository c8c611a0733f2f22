"""An adapter, read for merging."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from msgspec import Struct

from puna.errors import InvalidRequestError
from puna.llama import blocks
from puna.llama.training.ggml import FloatArray
from puna.merging.blueprint import TYPE_NUMBERS
from puna.models.gguf.reader import GgufHeader, read_header
from puna.models.gguf.tensors import TensorInfo

_A, _B = ".lora_a", ".lora_b"
_EMBEDDING = "token_embd.weight"


class LoraPair(Struct, frozen=True):
    """What is added to one matrix: `b @ a`, with the adapter's scale already in `b`."""

    a: FloatArray
    """rank x width."""
    b: FloatArray
    """rows x rank."""

    def change(self, first: int, count: int) -> FloatArray:
        """Return what is added to `count` rows, from row `first`."""
        product: FloatArray = self.b[first : first + count] @ self.a
        return product


Lora = dict[str, LoraPair]
"""By the name of the matrix that each changes."""


def read_lora(path: Path) -> Lora:
    """Return an adapter whole; it is small beside its base.

    Raises `ModelLoadError` for a file that is no sound GGUF, `InvalidRequestError` for one that is no adapter or
    one that changes more than matrices, and `OSError`.
    """
    header = read_header(path)
    if header.metadata.text("adapter.type") != "lora":
        raise InvalidRequestError("The adapter's file holds no LoRA adapter; train it again.")
    tensors = _read_tensors(path, header)
    alpha = header.metadata.number("adapter.lora.alpha") or 0.0
    names = sorted(name.removesuffix(_A) for name in tensors if name.endswith(_A))
    whole = {f"{name}{suffix}" for name in names for suffix in (_A, _B)}
    if not names or whole != set(tensors) or _EMBEDDING in names:
        raise InvalidRequestError(
            "This adapter changes more than matrices, so it cannot be merged; export the adapter's file itself."
        )
    return {name: _scale(tensors[name + _A], tensors[name + _B], alpha) for name in names}


def check_fit(lora: Lora, tensors: Mapping[str, TensorInfo]) -> None:
    """Raise `InvalidRequestError` unless each pair has a matrix of its shape."""
    for name, pair in lora.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.dims != (pair.a.shape[1], pair.b.shape[0]):
            raise InvalidRequestError(
                f"The adapter does not fit its base: {name} is missing or of another shape."
            )


def _scale(a: FloatArray, b: FloatArray, alpha: float) -> LoraPair:
    """Apply the scale as llama.cpp does: alpha / rank, or 1 where no alpha is given."""
    if a.shape[0] != b.shape[1]:
        raise InvalidRequestError("The adapter's file is damaged: its matrices do not match; train it again.")
    return LoraPair(a, b * np.float32(alpha / b.shape[1] if alpha else 1.0))


def _read_tensors(path: Path, header: GgufHeader) -> dict[str, FloatArray]:
    with path.open("rb") as file:
        arrays = {}
        for tensor in header.tensors:
            if len(tensor.dims) != 2:
                raise InvalidRequestError(
                    "The adapter's file has a tensor that is no matrix; train it again."
                )
            file.seek(header.data_offset + tensor.offset)
            content = file.read(tensor.size_bytes)
            arrays[tensor.name] = blocks.decode_rows(content, TYPE_NUMBERS[tensor.type.name], tensor.dims[0])
        return arrays
