"""The body of POST /v1/rerank, as Jina's and Cohere's clients and those of llama-server send it."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema

MAX_DOCUMENTS = 2048

TopN = Annotated[int, Meta(ge=1, le=1_000_000)] | Annotated[float, Meta(ge=1, le=1_000_000, multiple_of=1)]


class RerankDocument(Struct, frozen=True):
    """A document as an object."""

    text: str


Documents = Annotated[list[str | RerankDocument], Meta(min_length=1, max_length=MAX_DOCUMENTS)]


class RerankBody(Struct, kw_only=True, frozen=True):
    """POST /v1/rerank."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Documents
    """Texts, or objects with a `text`."""
    model: str | None = None
    top_n: TopN | None = None
    """How many of the best are wanted; absent: all."""
    return_documents: bool | None = None
    """Whether the answer has the texts too."""


RERANK = BodySchema(RerankBody)
