"""The body of POST /v1/embeddings. Names are those on the wire; null is the same as absent."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from puna.api.bounds import MAX_PROMPT_TOKENS
from puna.api.openai.schema import TokenIds
from puna.api.validation import BodySchema

MAX_INPUTS = 2048
"""As OpenAI has it."""

Dimensions = (
    Annotated[int, Meta(ge=1, le=1_000_000)] | Annotated[float, Meta(ge=1, le=1_000_000, multiple_of=1)]
)
Inputs = Annotated[list[str | int | TokenIds], Meta(min_length=1, max_length=MAX_PROMPT_TOKENS)]


class VectorFormat(StrEnum):
    """How a vector is written."""

    FLOAT = "float"
    BASE64 = "base64"
    """Its 32-bit floats, little-endian."""


class EmbeddingsBody(Struct, kw_only=True, frozen=True):
    """POST /v1/embeddings."""

    input: str | Inputs
    """A text, a list of texts, the tokens of a text, or a list of such lists."""
    model: str | None = None
    encoding_format: VectorFormat | None = None
    dimensions: Dimensions | None = None


EMBEDDINGS = BodySchema(EmbeddingsBody)
