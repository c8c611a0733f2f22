"""A model of another engine as a worker: requests go out over HTTP, events come in."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import (
    ChatPrompt,
    Finished,
    GenerationEvent,
    GenerationRequest,
    InfillPrompt,
    Priority,
    Prompt,
    TokenPrompt,
    Usage,
)
from puna.domain.models import LoadedModel, WorkerStatus
from puna.domain.remote import RemoteModel
from puna.engine.upstream import convert, failures
from puna.engine.upstream.assembly import DONE, Assembler
from puna.engine.upstream.brands import Brand
from puna.engine.upstream.clock import AnswerClock
from puna.engine.upstream.http import EventStream, UpstreamHttp
from puna.engine.upstream.replies import CountReply, RankFields, RankReply, VectorsReply
from puna.engine.upstream.requests import GenerationBody
from puna.engine.upstream.slots import NoSlotError, Slots
from puna.engine.upstream.vectors import OddVectorsError, to_embedding, to_ranking
from puna.errors import InvalidRequestError, PunaError, RemoteEngineError, WorkerDiedError

_T = TypeVar("_T")
_TOKENIZE = "/tokenize"
"""Beside the folder of OpenAI's routes."""
_vectors = msgspec.json.Decoder(VectorsReply)
_ranking = msgspec.json.Decoder(RankReply | list[RankFields])
_count = msgspec.json.Decoder(CountReply)


class UpstreamWorker:
    """The `Worker` of `puna.residency.ports` for a remote model.

    It is alive until it is closed or the engine cannot be reached; the next request then looks at the engine anew.
    """

    def __init__(self, http: UpstreamHttp, remote: RemoteModel, brand: Brand, loaded: LoadedModel) -> None:
        """`remote` names the engine's model."""
        self._http = http
        self._remote = remote
        self._brand = brand
        self._loaded = loaded
        self._slots = Slots(remote.slots)
        self._totals = Usage()
        self._limits: set[asyncio.Timeout] = set()
        """Of everything that waits for the engine now; closing ends the waiting."""
        self._is_closing = False
        self._is_lost = False

    @property
    def loaded(self) -> LoadedModel:
        """What the engine told, and the settings."""
        return self._loaded

    @property
    def status(self) -> WorkerStatus:
        """What runs now, and the figures of all answers so far, as far as the engine told them."""
        return WorkerStatus(
            busy_slots=self._slots.busy,
            waiting_requests=self._slots.waiting,
            prompt_tokens=self._totals.prompt_tokens - self._totals.cached_tokens,
            cached_prompt_tokens=self._totals.cached_tokens,
            completion_tokens=self._totals.completion_tokens,
        )

    @property
    def is_alive(self) -> bool:
        """False once it is closed, or the engine was lost while nothing else ran there."""
        return not self._is_closing and not (self._is_lost and not self._slots.busy)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """Yield the events of one request; see `puna.residency.ports.Worker`."""
        clock = AnswerClock(self._remote, request.max_time_s)
        request = await self._limit(request)
        body = convert.to_body(request, self._remote.model, self._brand)
        assembler = Assembler(request, self._remote)
        async with self._slot(request.priority):
            clock.admit()
            async with aclosing(self._read(_path_of(request), body, assembler, clock)) as events:
                async for event in events:
                    yield event
            ends = tuple(assembler.finish(clock.timing()))
        self._totals += assembler.usage
        for event in ends:
            yield event

    async def embed(self, request: EmbeddingRequest) -> Embedding:
        """Return the vectors of some texts; see `puna.residency.ports.Worker`."""
        body = convert.to_embedding_body(request, self._remote.model, self._brand)
        reply = self._decode(await self._ask("embeddings", body), _vectors)
        try:
            embedding = await asyncio.to_thread(to_embedding, reply, request)
        except OddVectorsError:
            raise failures.odd_answer("vectors that do not fit the question", self._remote) from None
        self._totals += Usage(embedding.prompt_tokens)
        return embedding

    async def rank(self, request: RankingRequest) -> Ranking:
        """Return how well documents answer a query; see `puna.residency.ports.Worker`."""
        body = convert.to_ranking_body(request, self._remote.model, self._brand)
        reply = self._decode(await self._ask("rerank", body), _ranking)
        try:
            ranking = to_ranking(reply, len(request.documents))
        except OddVectorsError:
            raise failures.odd_answer("scores that do not fit the question", self._remote) from None
        self._totals += Usage(ranking.prompt_tokens)
        return ranking

    async def count_tokens(self, prompt: Prompt) -> int:
        """Return the tokens of a prompt as the engine counts them; see `puna.residency.ports.Worker`.

        vLLM is asked for the number. Others tell it only of what they answer, so they answer the prompt with
        one token, which costs them the reading of the prompt. Nothing is estimated: `RemoteEngineError` where the
        engine does not tell.
        """
        if isinstance(prompt, TokenPrompt):
            return len(prompt.tokens)
        if self._brand is Brand.VLLM and not isinstance(prompt, InfillPrompt):
            body = convert.to_count_body(prompt, self._remote.model)
            return self._decode(await self._ask(_TOKENIZE, body), _count).count
        return await self._count_by_answering(prompt)

    async def wait_end(self) -> str:
        """Wait for ever: a connection is found lost when it is used; see `is_alive`."""
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        """Close the connections; open requests fail. The engine itself goes on. Idempotent."""
        self._is_closing = True
        now_s = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now_s)
        await self._http.close()

    async def _read(
        self, path: str, body: GenerationBody, assembler: Assembler, clock: AnswerClock
    ) -> AsyncGenerator[GenerationEvent]:
        """Yield the events of an answer until it is over, or its time is up."""
        try:
            async with self._stream(path, body, clock) as stream:
                while (data := await self._next(stream, clock)) is not None:
                    clock.note_event()
                    self._is_lost = False
                    for event in assembler.push(data):
                        yield event
                    if data == DONE:
                        await stream.drain()
                        return
                    if assembler.is_endless:
                        assembler.cut()
                        return
        except TimeoutError:
            if self._is_closing or not clock.is_over:
                raise self._too_late(clock.patience_s) from None
            assembler.cut()

    @asynccontextmanager
    async def _stream(
        self, path: str, body: GenerationBody, clock: AnswerClock
    ) -> AsyncIterator[EventStream]:
        """Give the events of an answer. Raises `TimeoutError` when it does not begin in time."""
        async with AsyncExitStack() as stack:
            async with self._within(clock.wait_s):
                stream = await stack.enter_async_context(self._http.stream(path, body))
            yield stream

    async def _next(self, stream: EventStream, clock: AnswerClock) -> bytes | None:
        """Return the next event. Raises `TimeoutError` when it is late, or the answer's time is up."""
        if clock.is_over:
            raise TimeoutError
        async with self._within(clock.wait_s):
            return await stream.next()

    async def _ask(self, path: str, body: object) -> bytes:
        """Return the one answer to a body."""
        timeout_s = self._remote.first_event_timeout_s
        async with self._slot(Priority.INTERACTIVE):
            try:
                async with self._within(timeout_s):
                    answer = await self._http.post(path, body)
            except TimeoutError:
                raise self._too_late(timeout_s) from None
        self._is_lost = False
        return answer

    def _decode(self, content: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
        try:
            return decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise failures.odd_answer("something that is no answer to this", self._remote) from None

    @asynccontextmanager
    async def _within(self, seconds: float | None) -> AsyncIterator[None]:
        """Raise `TimeoutError` when what is inside takes longer, or the worker is closed."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def _too_late(self, seconds: float) -> PunaError:
        if self._is_closing:
            return failures.unloaded(self._remote)
        return failures.too_late(seconds, self._remote)

    @asynccontextmanager
    async def _slot(self, priority: Priority) -> AsyncIterator[None]:
        """Hold a slot; what fails in it tells whether the engine is lost."""
        timeout_s = self._remote.first_event_timeout_s
        try:
            async with AsyncExitStack() as stack:
                await self._enter(stack, self._slots.take(priority, timeout_s=timeout_s))
                if self._is_closing:
                    raise failures.unloaded(self._remote)
                yield
        except NoSlotError:
            raise failures.all_busy(timeout_s, self._remote) from None
        except WorkerDiedError:
            if self._is_closing:
                raise failures.unloaded(self._remote) from None
            self._is_lost = True
            raise

    async def _enter(self, stack: AsyncExitStack, slot: AbstractAsyncContextManager[None]) -> None:
        """Wait for a slot, until the worker is closed: who holds one may read its answer slowly, or never."""
        try:
            async with self._within(None):
                await stack.enter_async_context(slot)
        except TimeoutError:
            raise failures.unloaded(self._remote) from None

    async def _limit(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request with a limit, where the engine needs one to run to the end of the context."""
        if not convert.needs_limit(request, self._brand):
            return request
        if not self._loaded.context_length:
            raise InvalidRequestError(
                f"A text of {self._remote.name} needs a limit of tokens, as its engine does not say how long its "
                "context is; send one, or set context_length in remote_models."
            )
        room = self._loaded.context_length - await self.count_tokens(request.prompt)
        return replace(request, max_tokens=max(room, 1))

    async def _count_by_answering(self, prompt: Prompt) -> int:
        request = GenerationRequest(prompt=prompt, max_tokens=1)
        async with aclosing(self.generate(request)) as events:
            async for event in events:
                if isinstance(event, Finished) and event.usage.prompt_tokens:
                    return event.usage.prompt_tokens
        raise RemoteEngineError(
            f"The engine of {self._remote.name} does not tell how many tokens a prompt has."
        )


def _path_of(request: GenerationRequest) -> str:
    return "chat/completions" if isinstance(request.prompt, ChatPrompt) else "completions"
