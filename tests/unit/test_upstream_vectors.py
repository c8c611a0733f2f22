"""Embeddings and rankings from what engines answer."""

import math
import struct
from base64 import b64encode

import pytest

from puna.domain.embedding import EmbeddingRequest
from puna.engine.upstream.replies import RankFields, RankReply, UsageFields, VectorFields, VectorsReply
from puna.engine.upstream.vectors import OddVectorsError, to_embedding, to_ranking

REQUEST = EmbeddingRequest(inputs=("a", "b"))


def pack(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def test_vectors_come_in_the_order_of_the_inputs_from_numbers_and_from_base64() -> None:
    reply = VectorsReply(
        [VectorFields(b64encode(pack(0, 2)).decode(), 1), VectorFields([3, 4], 0)], UsageFields(7)
    )
    embedding = to_embedding(reply, REQUEST)
    assert embedding.prompt_tokens == 7
    assert embedding.vectors == (pack(0.6, 0.8), pack(0, 1))


def test_vectors_of_the_length_1_stay_as_they_are_to_the_bit() -> None:
    exact = pack(*([1 / math.sqrt(7)] * 7))
    reply = VectorsReply([VectorFields(b64encode(exact).decode())] * 2)
    assert to_embedding(reply, REQUEST).vectors == (exact, exact)


def test_the_first_components_are_kept_and_scaled_where_that_is_wanted() -> None:
    reply = VectorsReply([VectorFields([3.0, 4.0, 12.0])])
    one = EmbeddingRequest(inputs=("a",), dimensions=2)
    assert to_embedding(reply, one).vectors == (pack(0.6, 0.8),)
    raw = EmbeddingRequest(inputs=("a",), dimensions=2, is_normalised=False)
    assert to_embedding(reply, raw).vectors == (pack(3, 4),)


def test_a_vector_of_zeros_has_no_direction() -> None:
    reply = VectorsReply([VectorFields([0.0, 0.0])])
    assert to_embedding(reply, EmbeddingRequest(inputs=("a",))).vectors == (pack(0, 0),)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [VectorFields([1.0])],
        [VectorFields([1.0], 0), VectorFields([1.0], 0)],
        [VectorFields([1.0], 0), VectorFields([1.0], 2)],
        [VectorFields([1.0]), VectorFields([1.0, 2.0])],
        [VectorFields([]), VectorFields([])],
        [VectorFields([1.0]), VectorFields([1e300])],
        [VectorFields("AAA"), VectorFields("AAA")],
        [VectorFields("AAAA"), VectorFields("AAAA")],
        [VectorFields("\u00e9"), VectorFields("x")],
        [VectorFields([1.0]), VectorFields(b64encode(pack(math.nan)).decode())],
    ],
)
def test_vectors_that_do_not_fit_the_question(data: list[VectorFields]) -> None:
    with pytest.raises(OddVectorsError):
        to_embedding(VectorsReply(data), REQUEST)


def test_scores_come_in_the_order_of_the_documents() -> None:
    reply = RankReply([RankFields(1, 0.9), RankFields(0, 0.2)], UsageFields(total_tokens=11))
    ranking = to_ranking(reply, 2)
    assert (ranking.scores, ranking.prompt_tokens) == ((0.2, 0.9), 11)
    assert to_ranking([RankFields(0, score=1), RankFields(1, score=0)], 2).scores == (1, 0)


def test_scores_that_are_no_shares_become_shares_in_the_same_order() -> None:
    fields = [RankFields(index, score) for index, score in enumerate([-800.0, -1.0, 0.5, 4.0, 800.0])]
    scores = to_ranking(fields, 5).scores
    assert list(scores) == sorted(scores)
    assert (scores[0], scores[4]) == (0, 1)
    assert scores[1] == pytest.approx(1 / (1 + math.e))


@pytest.mark.parametrize(
    "fields",
    [[], [RankFields(0, 1.0)], [RankFields(0, 1.0), RankFields(0, 1.0)], [RankFields(0, 1.0), RankFields(1)]],
)
def test_scores_that_do_not_fit_the_question(fields: list[RankFields]) -> None:
    with pytest.raises(OddVectorsError):
        to_ranking(fields, 2)
