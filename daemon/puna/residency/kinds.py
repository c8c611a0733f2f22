"""Which requests a model takes. Pure."""

from puna.domain.models import ModelEntry, ModelKind
from puna.errors import InvalidRequestError

_WHAT_IT_DOES = {
    ModelKind.TEXT: "a text model: it generates text, and neither embeds nor ranks",
    ModelKind.EMBEDDING: "an embedding model: it turns text into vectors and does not generate any",
    ModelKind.RERANKER: "a reranker: it ranks documents and does not generate text",
}


def check_kind(entry: ModelEntry, wanted: ModelKind) -> None:
    """Raise `InvalidRequestError` for a model of another kind."""
    if entry.kind is not wanted:
        raise InvalidRequestError(f"{entry.id} is {_WHAT_IT_DOES[entry.kind]}.", field="model")
