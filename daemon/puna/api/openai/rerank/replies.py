"""What POST /v1/rerank answers."""

from msgspec import UNSET, Struct, UnsetType

from puna.api.openai.embeddings.replies import InputUsage


class RankedDocument(Struct, frozen=True):
    """The text of a document."""

    text: str


class RankReply(Struct, frozen=True, kw_only=True):
    """How well one document answers the query."""

    index: int
    """Of the document in the request."""
    relevance_score: float
    """0 to 1, more is better."""
    document: RankedDocument | UnsetType = UNSET
    """Only where it was asked for."""


class RerankReply(Struct, frozen=True, kw_only=True):
    """The whole answer, the best document first."""

    model: str
    object: str = "list"
    usage: InputUsage
    results: tuple[RankReply, ...]
