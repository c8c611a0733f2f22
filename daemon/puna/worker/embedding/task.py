"""A request whose inputs are being computed."""

from msgspec import Struct

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.engine.protocol import Embedded, Ranked
from puna.llama.context import Vector
from puna.worker.embedding.vectors import to_bytes, to_score


class PreparedInputs(Struct, frozen=True):
    """A request whose inputs are tokens that fit the model."""

    request_id: int
    request: EmbeddingRequest | RankingRequest
    inputs: list[list[int]]


class Task:
    """Holds a request from its arrival to its answer; its inputs are computed in their order."""

    def __init__(self, prepared: PreparedInputs) -> None:
        self.request_id = prepared.request_id
        self._request = prepared.request
        self._inputs = prepared.inputs
        self._vectors: list[bytes] = []
        self._scores: list[float] = []

    @property
    def done(self) -> int:
        """Inputs that are computed."""
        return len(self._vectors) + len(self._scores)

    @property
    def is_done(self) -> bool:
        """Whether all are."""
        return self.done == len(self._inputs)

    def next_inputs(self, count: int) -> list[list[int]]:
        """Return at most so many of those that come next."""
        return self._inputs[self.done : self.done + count]

    def push(self, pooled: Vector) -> None:
        """Take in what came of the next input."""
        match self._request:
            case EmbeddingRequest(dimensions=dimensions, is_normalised=is_normalised):
                self._vectors.append(to_bytes(pooled, dimensions=dimensions, is_normalised=is_normalised))
            case RankingRequest():
                self._scores.append(to_score(pooled))

    def answer(self) -> Embedded | Ranked:
        """Return the answer of a task that is done."""
        tokens = sum(map(len, self._inputs))
        match self._request:
            case EmbeddingRequest():
                return Embedded(self.request_id, Embedding(tuple(self._vectors), tokens))
            case RankingRequest():
                return Ranked(self.request_id, Ranking(tuple(self._scores), tokens))
