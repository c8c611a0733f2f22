"""The network: a small Llama with tied embeddings, laid out exactly as llama.cpp computes it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_DEVIATION = 0.02
EMBEDDING_DEVIATION = 0.05
COPY_STRENGTH = 0.25


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; widths are multiples of 32 because Q8_0 stores blocks of 32 weights."""

    vocabulary: int
    width: int = 256
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 64
    feed_forward: int = 704
    layers: int = 6
    context_length: int = 2048
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5


class RotaryTable(nn.Module):
    """Rotary positions over neighbouring pairs (2i, 2i + 1): as llama.cpp does for Llama models."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        exponents = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
        angles = torch.outer(
            torch.arange(shape.context_length, dtype=torch.float32), shape.rope_base**-exponents
        )
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.cos: Tensor
        self.sin: Tensor

    def forward(self, heads: Tensor) -> Tensor:
        """Rotate (batch, head, position, head size)."""
        length = heads.shape[-2]
        cos, sin = self.cos[:length].to(heads.dtype), self.sin[:length].to(heads.dtype)
        even, odd = heads[..., 0::2], heads[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Attention(nn.Module):
    """Causal attention in which several query heads share a key-value head."""

    def __init__(self, shape: Shape, rotary: RotaryTable) -> None:
        super().__init__()
        self.shape = shape
        self.rotary = rotary
        self.query = nn.Linear(shape.width, shape.heads * shape.head_size, bias=False)
        self.key = nn.Linear(shape.width, shape.kv_heads * shape.head_size, bias=False)
        self.value = nn.Linear(shape.width, shape.kv_heads * shape.head_size, bias=False)
        self.output = nn.Linear(shape.heads * shape.head_size, shape.width, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        query = self.rotary(self._split(self.query(hidden)))
        key = self._share(self.rotary(self._split(self.key(hidden))))
        value = self._share(self._split(self.value(hidden)))
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None
        )
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(-2))
        return output

    def initialise_copying(self) -> None:
        """Let the output undo the value projection: attending to a token then makes that token more likely.

        Learning to repeat a name is left with the question where to look.
        """
        size, group = self.shape.head_size, self.shape.heads // self.shape.kv_heads
        nn.init.normal_(self.value.weight, std=self.shape.width**-0.5)
        values = self.value.weight.detach().view(self.shape.kv_heads, size, self.shape.width)
        with torch.no_grad():
            self.output.weight.copy_(COPY_STRENGTH * values.repeat_interleave(group, dim=0).flatten(0, 1).T)

    def _split(self, projected: Tensor) -> Tensor:
        batch, length, _ = projected.shape
        return projected.view(batch, length, -1, self.shape.head_size).transpose(1, 2)

    def _share(self, heads: Tensor) -> Tensor:
        return heads.repeat_interleave(self.shape.heads // self.shape.kv_heads, dim=1)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        output: Tensor = self.down(functional.silu(self.gate(hidden)) * self.up(hidden))
        return output


class Block(nn.Module):
    """One layer."""

    def __init__(self, shape: Shape, rotary: RotaryTable) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.attention = Attention(shape, rotary)
        self.feed_forward_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.feed_forward = FeedForward(shape)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        hidden = hidden + self.attention(self.attention_norm(hidden), mask)
        output: Tensor = hidden + self.feed_forward(self.feed_forward_norm(hidden))
        return output


class Network(nn.Module):
    """Token numbers (batch, position) to logits (batch, position, vocabulary).

    A mask (batch, 1, position, position) says which position sees which; without one, each sees those before.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        rotary = RotaryTable(shape)
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape, rotary) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self._initialise()

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = block(hidden, mask)
        return functional.linear(self.norm(hidden), self.embedding.weight)

    def count_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def _initialise(self) -> None:
        residual_scale = (2 * self.shape.layers) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                is_down = name.endswith("feed_forward.down.weight")
                nn.init.normal_(parameter, std=INITIAL_DEVIATION * (residual_scale if is_down else 1.0))
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_DEVIATION)
        for module in self.modules():
            if isinstance(module, Attention):
                module.initialise_copying()
