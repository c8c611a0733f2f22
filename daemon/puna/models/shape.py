"""How much memory a model's file asks for, from its header alone.

The rules follow llama.cpp: src/llama-hparams.cpp (sizes of keys, values and recurrent state), llama-kv-cache.cpp (no
values of their own with latent attention) and llama-model.cpp (which tensors stay in the machine's memory). Which
blocks attend and which are recurrent is read off their tensors, so that new mixtures need no table; so is the width
of keys and values, which differs where only some blocks have a sliding window. Such blocks count in full: the worker
keeps their whole cache (`swa_full`), without which no prefix could be used again. For 16 sequences in one cache
llama.cpp would keep 16 windows in any case (llama-kv-cache-iswa.cpp), which is hardly less.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from puna.domain.memory import LayerShape, ModelShape
from puna.domain.part_names import parse_part_name
from puna.models.abilities import ENCODERS
from puna.models.gguf.check import MAX_BLOCKS
from puna.models.gguf.reader import GgufHeader, read_header
from puna.models.gguf.tensors import TensorInfo
from puna.models.gguf.values import Metadata

_BLOCK = re.compile(r"(?:enc\.|dec\.)?blk\.([0-9]+)\.(\w+)")
_INPUT = ("token_embd", "position_embd", "token_types", "per_layer_token_embd")
_TABLE, _HEAD = "token_embd.weight", "output.weight"
_POOLS_LAST = 3
"""Of `enum llama_pooling_type` in llama.h."""
_F16_BYTES = 2
_F32_BYTES = 4
_KEYS, _VALUES = "attn_k", "attn_v"
_RECURRENT = ("ssm_", "shortconv", "time_mix")


def read_shape(path: Path) -> ModelShape:
    """Return the shape of the model at this path, all its parts together. Blocks on the disk.

    Raises `ModelLoadError` for a file that is gone or that llama.cpp must not see.
    """
    part = parse_part_name(path.name)
    files = [path] if part is None else [path.with_name(name) for name in part.siblings()]
    return shape_of([read_header(file) for file in files])


def shape_of(parts: Sequence[GgufHeader]) -> ModelShape:
    """Return the shape of a model from the headers of its parts, the first one with the metadata."""
    facts = _Facts(parts[0].metadata)
    tensors = [tensor for part in parts for tensor in part.tensors]
    blocks: defaultdict[int, list[TensorInfo]] = defaultdict(list)
    outside: list[TensorInfo] = []
    for tensor in tensors:
        match = _BLOCK.match(tensor.name)
        (blocks[int(match[1])] if match else outside).append(tensor)
    count = min(max([facts.number("block_count") - 1, *blocks], default=-1) + 1, MAX_BLOCKS)
    sizes = {tensor.name: tensor.size_bytes for tensor in outside}
    input_bytes = sum(size for name, size in sizes.items() if name.startswith(_INPUT))
    return ModelShape(
        layers=tuple(_shape_layer(index, blocks[index], facts) for index in range(count)),
        input_bytes=input_bytes,
        output_bytes=sum(sizes.values()) - input_bytes,
        tied_bytes=0 if _HEAD in sizes else sizes.get(_TABLE, 0),
        scratch_floats=facts.scratch_floats(),
        width=facts.width,
        token_count=facts.token_count(),
        trained_length=facts.number("context_length"),
        masks=2 if facts.number("attention.sliding_window") else 1,
        pools_last=facts.number("pooling_type") == _POOLS_LAST,
    )


def _shape_layer(index: int, tensors: Sequence[TensorInfo], facts: "_Facts") -> LayerShape:
    named = [(match[2], tensor) for tensor in tensors if (match := _BLOCK.match(tensor.name))]
    parts = {part for part, _ in named}
    matrices = {part: tensor for part, tensor in named if len(tensor.dims) > 1}
    is_recurrent = any(part.startswith(_RECURRENT) for part in parts)
    has_keys = any(part.startswith(("attn_k", "attn_kv")) for part in parts)
    attends = has_keys or ("attn_qkv" in parts and not is_recurrent)
    return LayerShape(
        weights_bytes=sum(tensor.size_bytes for tensor in tensors),
        cell_bytes=facts.cell_bytes(index, matrices) if attends else 0,
        state_bytes=facts.state_bytes() if is_recurrent else 0,
    )


class _Facts:
    """The numbers of one architecture; 0 for what the file does not say, and for what can be no size."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._prefix = metadata.text("general.architecture") or ""
        self.width = self.number("embedding_length")

    def number(self, key: str, index: int = 0) -> int:
        """Return a number of the architecture, that of one block where the file has one for each."""
        name = f"{self._prefix}.{key}"
        array = self._metadata.array(name)
        if array is None:
            return max(0, self._metadata.integer(name) or 0)
        numbers = [item for item in array.items or () if isinstance(item, int)]
        return max(0, numbers[min(index, len(numbers) - 1)]) if numbers else 0

    def largest(self, key: str) -> int:
        """Return a number, the largest of those of all blocks."""
        return max(0, self._metadata.largest(f"{self._prefix}.{key}") or 0)

    def token_count(self) -> int:
        tokens = self._metadata.array("tokenizer.ggml.tokens")
        return tokens.count if tokens else self.number("vocab_size")

    def cell_bytes(self, index: int, matrices: Mapping[str, TensorInfo]) -> int:
        """Return the bytes of keys and values of a token in one block with these matrices."""
        if self._prefix in ENCODERS:
            return 0
        shared = self.number("attention.shared_kv_layers")
        if shared and index >= self.number("block_count") - shared:
            return 0
        heads = self.number("attention.head_count", index) or self.largest("attention.head_count") or 1
        has_kv_count = f"{self._prefix}.attention.head_count_kv" in self._metadata
        kv_heads = self.number("attention.head_count_kv", index) if has_kv_count else heads
        key = self.number("attention.key_length", index) or self.width // heads
        value = self.number("attention.value_length", index) or self.width // heads
        if self.number("attention.key_length_mla"):
            return kv_heads * key * _F16_BYTES
        if kv_heads and _KEYS in matrices:
            keys = matrices[_KEYS]
            return (keys.dims[1] + matrices.get(_VALUES, keys).dims[1]) * _F16_BYTES
        return kv_heads * (key + value) * _F16_BYTES

    def state_bytes(self) -> int:
        """Return the bytes of state of a sequence in a recurrent block."""
        return _F32_BYTES * (self._convolution() + self._memory())

    def _convolution(self) -> int:
        if self.number("wkv.head_size"):
            return (self.number("token_shift_count") or 2) * self.width
        if self.number("shortconv.l_cache"):
            return self.width * (self.number("shortconv.l_cache") - 1)
        kernel = max(self.number("ssm.conv_kernel") - 1, 0)
        if self.number("kda.head_dim"):
            return 3 * kernel * self.largest("attention.head_count") * self.number("kda.head_dim")
        groups = 2 * self.number("ssm.group_count") * self.number("ssm.state_size")
        return kernel * (self.number("ssm.inner_size") + groups)

    def _memory(self) -> int:
        if self.number("wkv.head_size"):
            return self.width * self.number("wkv.head_size")
        if self.number("shortconv.l_cache"):
            return 0
        if self.number("kda.head_dim"):
            return self.number("kda.head_dim") ** 2 * self.largest("attention.head_count")
        return self.number("ssm.state_size") * self.number("ssm.inner_size")

    def scratch_floats(self) -> int:
        """Return the numbers that llama.cpp keeps for a token while it computes a block.

        Measured for models of three widths: gate, up and their product, and four rows of the model's width.
        """
        return 4 * self.width + 3 * max(self._wide_parts(), default=0)

    def _wide_parts(self) -> Iterator[int]:
        yield self.largest("feed_forward_length")
        used = self.number("expert_used_count") * self.number("expert_feed_forward_length")
        yield used + self.number("expert_shared_feed_forward_length")
        yield 2 * self.number("ssm.inner_size")
        yield self.largest("attention.head_count") * self.largest("attention.key_length")
