"""What POST /v1/embeddings answers."""

from msgspec import Raw, Struct


class InputUsage(Struct, frozen=True):
    """Tokens of the inputs; there are no others."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingReply(Struct, frozen=True, kw_only=True):
    """The vector of one input."""

    object: str = "embedding"
    index: int
    embedding: str | tuple[float, ...]
    """Numbers, or base64 of 32-bit floats, little-endian."""


class EmbeddingsHead(Struct, frozen=True, kw_only=True):
    """What stands beside the vectors."""

    object: str = "list"
    model: str
    usage: InputUsage


class EmbeddingsReply(EmbeddingsHead, frozen=True, kw_only=True):
    """The whole answer."""

    data: tuple[EmbeddingReply, ...]


class EncodedEmbeddings(EmbeddingsHead, frozen=True, kw_only=True):
    """The same with vectors that are JSON already: they were encoded a few at a time."""

    data: tuple[Raw, ...]
