"""What a request may do with the model that it holds."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import (
    Completion,
    CompletionBuilder,
    Finished,
    GenerationEvent,
    GenerationRequest,
    Prompt,
    Started,
)
from puna.domain.models import LoadedModel, ModelEntry
from puna.errors import OverloadedError, PunaError
from puna.residency.place import Place
from puna.residency.ports import Worker
from puna.residency.refusals import RETRY_AFTER_S


class Lease:
    """A model that stays in memory while it is held."""

    def __init__(self, entry: ModelEntry, place: Place, worker: Worker, queue_limit: int) -> None:
        """`entry` is the model that was asked for: the place's own, or an adapter on it."""
        self._entry = entry
        self._place = place
        self._worker = worker
        self._queue_limit = queue_limit

    @property
    def entry(self) -> ModelEntry:
        """The model's entry in the catalogue; an adapter's own, where it is one."""
        return self._entry

    @property
    def loaded(self) -> LoadedModel:
        """What its worker told."""
        return self._worker.loaded

    @property
    def open_requests(self) -> int:
        """Requests of everybody that run or wait for a slot of the model, not only those of this lease."""
        return self._place.open_requests

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """Yield the events of a request; the last is `Finished`. Closing the generator aborts it.

        Raises `OverloadedError` when the queue is full, and what `Worker.generate` raises.
        """
        if self._entry.adapter is not None:
            request = replace(request, adapter=str(self._entry.adapter))
        with self._counted():
            events = self._worker.generate(request)
            try:
                async for event in events:
                    if isinstance(event, Finished):
                        self._place.note_answer()
                    yield event
            finally:
                await events.aclose()

    async def complete(self, request: GenerationRequest) -> Completion:
        """Return the whole answer to a request. Cancelling the task aborts it."""
        builder = CompletionBuilder()
        events = self.generate(request)
        try:
            async for event in events:
                match event:
                    case Started():
                        pass
                    case Finished():
                        return builder.finish(event)
                    case _:
                        builder.push(event)
        finally:
            await events.aclose()
        raise PunaError("The worker ended a request without a last event.")

    async def embed(self, request: EmbeddingRequest) -> Embedding:
        """Return the vectors of some texts, of a model that was acquired as `EMBEDDING`. Errors as in `generate`."""
        with self._counted():
            embedding = await self._worker.embed(request)
            self._place.note_answer()
            return embedding

    async def rank(self, request: RankingRequest) -> Ranking:
        """Return how well documents answer a query, of a model acquired as `RERANKER`. Errors as in `generate`."""
        with self._counted():
            ranking = await self._worker.rank(request)
            self._place.note_answer()
            return ranking

    async def count_tokens(self, prompt: Prompt) -> int:
        """Return the tokens of a prompt, whether or not it fits the context."""
        return await self._worker.count_tokens(prompt)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._place.open_requests >= self._worker.loaded.slots + self._queue_limit:
            raise OverloadedError(
                f"{self._queue_limit} requests wait for {self.entry.id} already; try again later.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._place.open_requests += 1
        try:
            yield
        finally:
            self._place.open_requests -= 1
