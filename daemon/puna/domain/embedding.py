"""Texts as vectors, and documents ranked by a query: what embedding models and rerankers do."""

from msgspec import Struct

EmbeddingInput = str | tuple[int, ...]
"""A text, or tokens of the model's own vocabulary."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Vectors for some texts."""

    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    """Keep so many of the first components, for models that were trained for it (Matryoshka); None keeps all."""
    is_normalised: bool = True
    """Whether vectors have the length 1, also after components were cut off."""
    is_truncated: bool = False
    """Whether an input that exceeds the context is cut at its end; else it is a `ContextOverflowError`."""


class Embedding(Struct, frozen=True):
    """The vectors of a request."""

    vectors: tuple[bytes, ...]
    """One for each input, in their order: 32-bit floats, little-endian."""
    prompt_tokens: int
    """Of all inputs together."""


class RankingRequest(Struct, frozen=True, kw_only=True):
    """How well documents answer a query."""

    query: str
    documents: tuple[str, ...]
    is_truncated: bool = True
    """Whether a document that does not fit beside the query is cut at its end."""


class Ranking(Struct, frozen=True):
    """What a reranker thinks of the documents."""

    scores: tuple[float, ...]
    """One for each document, in their order; 0 to 1, more is better."""
    prompt_tokens: int
