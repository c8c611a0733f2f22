"""Embeddings and rankings from what engines answer. Pure; may take a while for thousands of vectors."""

import math
from array import array
from base64 import b64decode
from collections.abc import Sequence

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking
from puna.engine.upstream.replies import RankFields, RankReply, UsageFields, VectorFields, VectorsReply

_NEARLY_ONE = 1e-4


class OddVectorsError(Exception):
    """The answer does not fit the question."""


def to_embedding(reply: VectorsReply, request: EmbeddingRequest) -> Embedding:
    """Return the vectors, cut and scaled as the request wants them. Raises `OddVectorsError`."""
    given = _in_order(reply.data, len(request.inputs))
    vectors = tuple(_fit(_to_vector(each), request) for each in given)
    if len({len(vector) for vector in vectors}) > 1:
        raise OddVectorsError
    return Embedding(vectors, _prompt_tokens(reply.usage))


def to_ranking(reply: RankReply | list[RankFields], documents: int) -> Ranking:
    """Return the scores in the order of the documents. Raises `OddVectorsError`.

    Scores that are no shares, as llama-server gives them, become shares by the logistic function, which keeps
    their order.
    """
    fields, usage = (reply.results, reply.usage) if isinstance(reply, RankReply) else (reply, None)
    scores: dict[int, float] = {each.index: _score_of(each) for each in fields}
    if sorted(scores) != list(range(documents)) or len(fields) != documents:
        raise OddVectorsError
    values = [scores[index] for index in range(documents)]
    if not all(0 <= value <= 1 for value in values):
        values = [_share(value) for value in values]
    return Ranking(tuple(values), _prompt_tokens(usage))


def _in_order(data: Sequence[VectorFields], count: int) -> list[VectorFields]:
    if len(data) != count:
        raise OddVectorsError
    by_index = {position if each.index is None else each.index: each for position, each in enumerate(data)}
    if sorted(by_index) != list(range(count)):
        raise OddVectorsError
    return [by_index[index] for index in range(count)]


def _to_vector(fields: VectorFields) -> "array[float]":
    vector = array("f")
    try:
        if isinstance(fields.embedding, str):
            vector.frombytes(b64decode(fields.embedding, validate=True))
        else:
            vector.extend(fields.embedding)
    except (ValueError, OverflowError) as error:
        raise OddVectorsError from error
    if not vector or not math.isfinite(math.hypot(*vector)):
        raise OddVectorsError
    return vector


def _fit(vector: "array[float]", request: EmbeddingRequest) -> bytes:
    if request.dimensions is not None:
        vector = vector[: request.dimensions]
    length = math.hypot(*vector)
    if request.is_normalised and length and abs(length - 1) > _NEARLY_ONE:
        vector = array("f", [value / length for value in vector])
    return vector.tobytes()


def _score_of(fields: RankFields) -> float:
    score = fields.relevance_score if fields.relevance_score is not None else fields.score
    if score is None or not math.isfinite(score):
        raise OddVectorsError
    return score


def _share(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _prompt_tokens(usage: UsageFields | None) -> int:
    return (usage.prompt_tokens or usage.total_tokens or 0) if usage is not None else 0
