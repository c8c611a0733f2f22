"""What models are for."""

from enum import StrEnum


class ModelKind(StrEnum):
    """What a model is for; its file tells."""

    TEXT = "text"
    EMBEDDING = "embedding"
    RERANKER = "reranker"
