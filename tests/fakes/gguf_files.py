"""Writes tiny GGUF files for tests, sound ones and broken ones, byte by byte.

The bytes are laid down by hand, not by the reader's own tables, so that both cannot be wrong together.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64 = range(13)
F32, F16, Q4_0, Q8_0, Q4_K = 0, 1, 2, 8, 12

_BLOCKS = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q8_0: (32, 34), Q4_K: (256, 144)}
_FORMATS = {
    UINT8: "<B",
    INT8: "<b",
    UINT16: "<H",
    INT16: "<h",
    UINT32: "<I",
    INT32: "<i",
    FLOAT32: "<f",
    BOOL: "<?",
    UINT64: "<Q",
    INT64: "<q",
    FLOAT64: "<d",
}


def text(value: str | bytes) -> bytes:
    """Return a GGUF string."""
    content = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(content)) + content


def scalar(value_type: int, value: float | str | bytes) -> bytes:
    """Return the type number and the bytes of one value."""
    if isinstance(value, str | bytes):
        return struct.pack("<I", value_type) + text(value)
    return struct.pack("<I", value_type) + struct.pack(_FORMATS[value_type], value)


def array(element_type: int, items: Sequence[float | str]) -> bytes:
    """Return an array value with its types and its length."""
    return array_head(element_type, len(items)) + b"".join(scalar(element_type, item)[4:] for item in items)


def array_head(element_type: int, count: int) -> bytes:
    """Return an array value without its items."""
    return struct.pack("<IIQ", ARRAY, element_type, count)


def pair(key: str | bytes, value: bytes) -> bytes:
    """Return one metadata pair."""
    return text(key) + value


@dataclass
class Tensor:
    """One tensor of a file to write; `offset` None puts it where it belongs."""

    name: str | bytes
    dims: tuple[int, ...] = (32, 2)
    type: int = F32
    offset: int | None = None

    @property
    def size_bytes(self) -> int:
        block, size = _BLOCKS.get(self.type, (1, 4))
        elements = 1
        for dim in self.dims:
            elements *= dim
        return elements // block * size


@dataclass
class GgufFile:
    """A file to write. Every field can be made a lie."""

    pairs: list[bytes] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int | None = None
    pair_count: int | None = None
    alignment: int = 32
    data: bytes | None = None

    def header(self) -> bytes:
        """Return everything before the data section, unpadded."""
        tensor_count = len(self.tensors) if self.tensor_count is None else self.tensor_count
        pair_count = len(self.pairs) if self.pair_count is None else self.pair_count
        fixed = self.magic + struct.pack("<IQQ", self.version, tensor_count, pair_count)
        return fixed + b"".join(self.pairs) + b"".join(self._infos())

    def to_bytes(self) -> bytes:
        """Return the whole file."""
        header = self.header()
        if self.data is None:
            sizes = [self._pad(tensor.size_bytes) for tensor in self.tensors]
            data = bytes(sum(sizes))
        else:
            data = self.data
        return header + bytes(self._pad(len(header)) - len(header)) + data

    def write(self, path: Path) -> Path:
        """Write the file, its folder included, and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_bytes())
        return path

    def _infos(self) -> Iterable[bytes]:
        expected = 0
        for tensor in self.tensors:
            offset = expected if tensor.offset is None else tensor.offset
            dims = struct.pack(f"<{len(tensor.dims)}Q", *tensor.dims)
            yield (
                text(tensor.name)
                + struct.pack("<I", len(tensor.dims))
                + dims
                + struct.pack("<IQ", tensor.type, offset)
            )
            expected += self._pad(tensor.size_bytes)

    def _pad(self, size: int) -> int:
        return -(-size // self.alignment) * self.alignment


def vocabulary_pairs(size: int = 8) -> list[bytes]:
    """Return a tokenizer of `size` tokens."""
    return [
        pair("tokenizer.ggml.model", scalar(STRING, "gpt2")),
        pair("tokenizer.ggml.tokens", array(STRING, [f"t{number}" for number in range(size)])),
        pair("tokenizer.ggml.scores", array(FLOAT32, [0.0] * size)),
        pair("tokenizer.ggml.token_type", array(INT32, [1] * size)),
    ]


def model_pairs(name: str = "Tiny Llama", *extra: bytes) -> list[bytes]:
    """Return the metadata of a small model that looks sound to a reader of headers."""
    return [
        pair("general.architecture", scalar(STRING, "llama")),
        pair("general.name", scalar(STRING, name)),
        pair("general.file_type", scalar(UINT32, 7)),
        pair("llama.context_length", scalar(UINT32, 2048)),
        pair("llama.block_count", scalar(UINT32, 2)),
        pair("llama.embedding_length", scalar(UINT32, 64)),
        pair("llama.attention.head_count", scalar(UINT32, 4)),
        pair("llama.attention.head_count_kv", array(INT32, [2, 1])),
        *vocabulary_pairs(),
        *extra,
    ]


def model_file(name: str = "Tiny Llama", *extra: bytes) -> GgufFile:
    """Return a small file that passes for a model."""
    tensors = [
        Tensor("token_embd.weight", (64, 8), Q8_0),
        Tensor("output_norm.weight", (64,), F32),
        Tensor("blk.0.attn_q.weight", (64, 64), Q8_0),
    ]
    return GgufFile(model_pairs(name, *extra), tensors)


def split_files(parts: int, name: str = "Split") -> list[GgufFile]:
    """Return the files of one model in several parts, as `gguf-split` writes them."""

    def numbers(index: int) -> tuple[bytes, ...]:
        return (
            pair("split.no", scalar(UINT16, index)),
            pair("split.count", scalar(UINT16, parts)),
            pair("split.tensors.count", scalar(INT32, parts)),
        )

    first = GgufFile(model_pairs(name, *numbers(0)), [Tensor("blk.0.weight")])
    others = [GgufFile(list(numbers(index)), [Tensor(f"blk.{index}.weight")]) for index in range(1, parts)]
    return [first, *others]


def adapter_file() -> GgufFile:
    """Return a LoRA adapter."""
    return GgufFile(
        [
            pair("general.architecture", scalar(STRING, "llama")),
            pair("general.type", scalar(STRING, "adapter")),
            pair("adapter.type", scalar(STRING, "lora")),
        ],
        [Tensor("blk.0.attn_q.weight.lora_a")],
    )


def projector_file() -> GgufFile:
    """Return the image side of a multimodal model."""
    pairs = [
        pair("general.architecture", scalar(STRING, "clip")),
        pair("general.type", scalar(STRING, "mmproj")),
    ]
    return GgufFile(pairs, [Tensor("v.patch_embd.weight")])
