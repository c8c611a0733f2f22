"""How large a model of so many parameters is, and which tensors it has. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

_HEAD_SIZE = 64
_WIDTHS = (256, 512, 1024, 1536, 2048, 3072, 4096)
_LAYERS_OF_WIDTH = 0.0118
"""Layers for each unit of width: 24 of 2,048, as models of this kind have."""


class TensorShape(NamedTuple):
    """A tensor of the file: its name, and its dimensions with the length of a row first."""

    name: str
    dims: tuple[int, ...]

    @property
    def is_norm(self) -> bool:
        """Whether it scales, so that it stays F32 and is 1 everywhere."""
        return len(self.dims) == 1


class Shape(NamedTuple):
    """A llama: grouped keys and values, gated feed-forward, embeddings of its own at both ends."""

    width: int
    layers: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocabulary: int

    @property
    def head_size(self) -> int:
        """Components of a head."""
        return _HEAD_SIZE

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(_product(tensor.dims) for tensor in self.tensors())

    def tensors(self) -> Iterator[TensorShape]:
        """Yield the tensors in the order of the file."""
        yield TensorShape("token_embd.weight", (self.width, self.vocabulary))
        for layer in range(self.layers):
            for name, dims in self._block():
                yield TensorShape(f"blk.{layer}.{name}.weight", dims)
        yield TensorShape("output_norm.weight", (self.width,))
        yield TensorShape("output.weight", (self.width, self.vocabulary))

    def _block(self) -> list[tuple[str, tuple[int, ...]]]:
        width, kv_width = self.width, self.kv_heads * _HEAD_SIZE
        return [
            ("attn_norm", (width,)),
            ("attn_q", (width, width)),
            ("attn_k", (width, kv_width)),
            ("attn_v", (width, kv_width)),
            ("attn_output", (width, width)),
            ("ffn_norm", (width,)),
            ("ffn_gate", (width, self.feed_forward)),
            ("ffn_up", (width, self.feed_forward)),
            ("ffn_down", (self.feed_forward, width)),
        ]


def choose_shape(parameters: float, vocabulary: int) -> Shape:
    """Return the shape that comes nearest to so many parameters, with a depth that suits its width."""
    candidates = [_widen(width, layers, vocabulary) for width in _WIDTHS for layers in range(2, 65)]
    near = [shape for shape in candidates if abs(shape.parameters / parameters - 1) < 0.05]
    if not near:
        return min(candidates, key=lambda shape: abs(shape.parameters / parameters - 1))
    return min(near, key=lambda shape: abs(shape.layers / (shape.width * _LAYERS_OF_WIDTH) - 1))


def _widen(width: int, layers: int, vocabulary: int) -> Shape:
    heads = width // _HEAD_SIZE
    feed_forward = -(-width * 8 // 3 // 256) * 256
    return Shape(width, layers, feed_forward, heads, max(1, heads // 4), vocabulary)


def _product(dims: tuple[int, ...]) -> int:
    result = 1
    for dim in dims:
        result *= dim
    return result
