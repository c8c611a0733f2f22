"""Writes the file as a stream: a few MiB in memory, whatever its size."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from random_model.shape import Shape, TensorShape

_ALIGNMENT = 32
_POOL_BYTES = 8 * 1024 * 1024
_WEIGHT = 0.02
"""The spread of a weight."""
_Q8_SCALE = _WEIGHT / 64
_UINT32, _FLOAT32, _STRING, _ARRAY = 4, 6, 8, 9
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Quantisation(NamedTuple):
    """How weights are stored; numbers as in ggml.h and llama.h."""

    tensor_type: int
    file_type: int
    block_elements: int
    block_bytes: int


QUANTISATIONS = {
    "f32": Quantisation(0, 0, 1, 4),
    "f16": Quantisation(1, 1, 1, 2),
    "q4_0": Quantisation(2, 2, 32, 18),
    "q8_0": Quantisation(8, 7, 32, 34),
}


def write_random_model(
    path: Path,
    shape: Shape,
    quantisation: Quantisation,
    *,
    vocabulary_of: Path,
    context_length: int,
    seed: int,
) -> None:
    """Write the file under a temporary name and move it into place.

    The tokenizer is that of the GGUF file `vocabulary_of`. Raises `OSError` where the disk is full.
    """
    partial = path.with_name(f"{path.name}.part")
    tensors = list(shape.tensors())
    pairs = [*_describe(path.stem, shape, quantisation, context_length), *read_tokenizer(vocabulary_of)]
    with partial.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)))
        file.writelines(pairs)
        file.writelines(_infos(tensors, quantisation))
        _pad(file)
        pool = _Pool(quantisation, random.Random(seed))  # noqa: S311 - weights, no secrets
        for tensor in tensors:
            pool.write(file, tensor, _size(tensor, quantisation))
            _pad(file)
    partial.replace(path)


def read_tokenizer(path: Path) -> list[bytes]:
    """Return the pairs of a GGUF file that make its tokenizer, as they stand there."""
    with path.open("rb") as file:
        _, _, _, pair_count = struct.unpack("<4sIQQ", file.read(24))
        pairs = [_read_pair(file) for _ in range(pair_count)]
    return [content for key, content in pairs if key.startswith(b"tokenizer.")]


def count_tokens(path: Path) -> int:
    """Return the size of a GGUF file's vocabulary."""
    (pair,) = (pair for pair in read_tokenizer(path) if pair[8:].startswith(b"tokenizer.ggml.tokens"))
    count: int = struct.unpack_from("<Q", pair, 8 + len(b"tokenizer.ggml.tokens") + 8)[0]
    return count


def _describe(name: str, shape: Shape, quantisation: Quantisation, context_length: int) -> Iterator[bytes]:
    numbers = {
        "general.file_type": quantisation.file_type,
        "llama.vocab_size": shape.vocabulary,
        "llama.context_length": context_length,
        "llama.embedding_length": shape.width,
        "llama.block_count": shape.layers,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.kv_heads,
        "llama.rope.dimension_count": shape.head_size,
    }
    yield _pair("general.architecture", _STRING, _text(b"llama"))
    yield _pair("general.name", _STRING, _text(f"Random weights ({name})".encode()))
    for key, number in numbers.items():
        yield _pair(key, _UINT32, struct.pack("<I", number))
    yield _pair("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5))


def _infos(tensors: list[TensorShape], quantisation: Quantisation) -> Iterator[bytes]:
    offset = 0
    for tensor in tensors:
        kind = 0 if tensor.is_norm else quantisation.tensor_type
        dims = struct.pack(f"<I{len(tensor.dims)}Q", len(tensor.dims), *tensor.dims)
        yield _text(tensor.name.encode()) + dims + struct.pack("<IQ", kind, offset)
        offset += -(-_size(tensor, quantisation) // _ALIGNMENT) * _ALIGNMENT


def _size(tensor: TensorShape, quantisation: Quantisation) -> int:
    elements = 1
    for dim in tensor.dims:
        elements *= dim
    if tensor.is_norm:
        return 4 * elements
    return elements // quantisation.block_elements * quantisation.block_bytes


class _Pool:
    """Random weights that are written again and again, each time from another place."""

    def __init__(self, quantisation: Quantisation, rng: random.Random) -> None:
        self._rng = rng
        self._block_bytes = quantisation.block_bytes
        self._blocks = _POOL_BYTES // quantisation.block_bytes
        self._content = b"".join(_make_blocks(quantisation, self._blocks, rng))

    def write(self, file: BinaryIO, tensor: TensorShape, size_bytes: int) -> None:
        """Write one tensor's data."""
        if tensor.is_norm:
            file.write(struct.pack("<f", 1.0) * (size_bytes // 4))
            return
        while size_bytes:
            start = self._rng.randrange(self._blocks) * self._block_bytes
            part = memoryview(self._content)[start : start + size_bytes]
            size_bytes -= file.write(part)


def _make_blocks(quantisation: Quantisation, count: int, rng: random.Random) -> Iterator[bytes]:
    if quantisation.block_elements == 1:
        code = "<f" if quantisation.block_bytes == 4 else "<e"
        for _ in range(count):
            yield struct.pack(code, rng.gauss(0.0, _WEIGHT))
        return
    scale = struct.pack("<e", _Q8_SCALE * (1 if quantisation.block_bytes == 34 else 16))
    for _ in range(count):
        yield scale + rng.randbytes(quantisation.block_bytes - 2)


def _pad(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % _ALIGNMENT))


def _text(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def _pair(key: str, value_type: int, value: bytes) -> bytes:
    return _text(key.encode()) + struct.pack("<I", value_type) + value


def _read_pair(file: BinaryIO) -> tuple[bytes, bytes]:
    start = file.tell()
    key = file.read(_read_uint64(file))
    _skip_value(file, _read_uint32(file))
    end = file.tell()
    file.seek(start)
    return key, file.read(end - start)


def _skip_value(file: BinaryIO, value_type: int) -> None:
    if value_type == _STRING:
        file.seek(_read_uint64(file), 1)
    elif value_type == _ARRAY:
        element_type, count = _read_uint32(file), _read_uint64(file)
        if element_type == _STRING:
            for _ in range(count):
                file.seek(_read_uint64(file), 1)
        else:
            file.seek(count * _SCALAR_BYTES[element_type], 1)
    else:
        file.seek(_SCALAR_BYTES[value_type], 1)


def _read_uint32(file: BinaryIO) -> int:
    number: int = struct.unpack("<I", file.read(4))[0]
    return number


def _read_uint64(file: BinaryIO) -> int:
    number: int = struct.unpack("<Q", file.read(8))[0]
    return number
