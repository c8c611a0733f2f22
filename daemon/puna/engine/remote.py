"""A worker as the daemon sees it: requests go in, events come out, and its death reaches everyone."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from puna.domain.embedding import Embedding, EmbeddingRequest, Ranking, RankingRequest
from puna.domain.generation import Finished, GenerationEvent, GenerationRequest, Prompt, TextPrompt
from puna.domain.models import LoadedModel, WorkerStatus
from puna.engine.process import WorkerProcess
from puna.engine.protocol import (
    Abort,
    Count,
    Counted,
    Embed,
    Embedded,
    Event,
    Failed,
    FromWorker,
    Generate,
    Load,
    Loaded,
    Loading,
    ProtocolError,
    Rank,
    Ranked,
    Shutdown,
    Status,
)
from puna.engine.vigil import Vigil
from puna.errors import (
    GenerationTimeoutError,
    InvalidRequestError,
    ModelLoadError,
    OverloadedError,
    PunaError,
    WorkerDiedError,
    WorkerDiedLoadingError,
    error_of_kind,
)

_SHUTDOWN_GRACE_S = 3.0
_LAST_FRAMES_GRACE_S = 1.0
"""For what a child that was ended has left in its pipe; one that a kill does not reach keeps it open for ever."""
_SIGN_OF_LIFE = Count(0, TextPrompt("a"))
"""Passes through every part of a worker of any kind. Requests have higher numbers, so nobody waits for the answer."""

Answer = GenerationEvent | Embedding | Ranking | int | PunaError


class _Stream:
    """What comes back for one request."""

    def __init__(self, request_id: int) -> None:
        self.request_id = request_id
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self.waits_since_s = asyncio.get_running_loop().time()
        self.is_over = False
        """Whether the worker has nothing more to say."""


class RemoteWorker:
    """One child with a loaded model; the `Worker` of `puna.residency.ports`."""

    def __init__(
        self, process: WorkerProcess, loaded: LoadedModel, model: str, *, generation_timeout_s: float
    ) -> None:
        self._process = process
        self._loaded = loaded
        self._model = model
        self._timeout_s = generation_timeout_s
        self._status = WorkerStatus(threads=loaded.threads)
        self._streams: dict[int, _Stream] = {}
        self._ids = itertools.count(1)
        self._how_it_ended: str | None = None
        self._is_closing = False
        self._hang = ""
        """How it was found out that the child hangs."""
        self._vigil = Vigil(generation_timeout_s, ask=self._ask_for_life, give_up=self._give_up)
        self._reading = asyncio.timeout(None)
        self._is_read = False
        """Whether nothing more is read."""
        self._pump = asyncio.create_task(self._run(), name=f"worker {model}")

    @property
    def loaded(self) -> LoadedModel:
        """What the worker told when it was ready."""
        return self._loaded

    @property
    def status(self) -> WorkerStatus:
        """The last snapshot that the worker sent."""
        return self._status

    @property
    def is_alive(self) -> bool:
        """False once the child has closed its pipe or hangs, or is being ended."""
        return not self._is_read and not self._is_closing

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """Yield the events of one request; see `puna.residency.ports.Worker`."""
        with self._open() as stream:
            await self._send(Generate(stream.request_id, request), stream)
            while not stream.is_over:
                event = await self._next(stream)
                assert isinstance(event, GenerationEvent)
                stream.is_over = isinstance(event, Finished)
                yield event

    async def embed(self, request: EmbeddingRequest) -> Embedding:
        """Return the vectors of some texts; see `puna.residency.ports.Worker`."""
        with self._open() as stream:
            answer = await self._ask(Embed(stream.request_id, request), stream)
            assert isinstance(answer, Embedding)
            return answer

    async def rank(self, request: RankingRequest) -> Ranking:
        """Return how well documents answer a query; see `puna.residency.ports.Worker`."""
        with self._open() as stream:
            answer = await self._ask(Rank(stream.request_id, request), stream)
            assert isinstance(answer, Ranking)
            return answer

    async def count_tokens(self, prompt: Prompt) -> int:
        """Return the tokens of a prompt; see `puna.residency.ports.Worker`."""
        with self._open() as stream:
            answer = await self._ask(Count(stream.request_id, prompt), stream)
            assert isinstance(answer, int)
            return answer

    async def wait_end(self) -> str:
        """Return once the child is gone, with how it ended; see `puna.residency.ports.Worker`."""
        await asyncio.shield(self._pump)
        return self._how_it_ended or "for no reason that is known"

    async def close(self) -> None:
        """End the child; open requests fail. Idempotent."""
        if not self._is_closing:
            self._is_closing = True
            self._process.write_soon([Shutdown()])
        await self._process.end(_SHUTDOWN_GRACE_S)
        await asyncio.wait([self._pump], timeout=_LAST_FRAMES_GRACE_S)
        if not self._is_read:
            self._stop_reading()
        await self.wait_end()

    @contextmanager
    def _open(self) -> Iterator[_Stream]:
        """Listen for the answers to one request; one that is left before its end is aborted."""
        if self._is_closing or self._how_it_ended is not None:
            raise self._describe_end()
        stream = _Stream(next(self._ids))
        self._streams[stream.request_id] = stream
        try:
            yield stream
        finally:
            del self._streams[stream.request_id]
            if not stream.is_over and self.is_alive:
                self._process.write_soon([Abort(stream.request_id)])
                self._vigil.doubt(stream.waits_since_s)

    async def _ask(self, message: Embed | Rank | Count, stream: _Stream) -> Answer:
        """Return the one answer to a message."""
        await self._send(message, stream)
        answer = await self._next(stream)
        stream.is_over = True
        return answer

    async def _send(self, message: Generate | Embed | Rank | Count, stream: _Stream) -> None:
        try:
            async with self._patience(stream):
                await self._process.write([message])
        except ConnectionError:
            await self.wait_end()
            raise self._describe_end() from None
        except (UnicodeEncodeError, OverflowError) as error:
            raise InvalidRequestError(f"The request cannot be passed on: {error}.") from error

    async def _next(self, stream: _Stream) -> Answer:
        answer = stream.answers.get_nowait() if not stream.answers.empty() else await self._wait(stream)
        if isinstance(answer, PunaError):
            stream.is_over = True
            raise answer
        return answer

    async def _wait(self, stream: _Stream) -> Answer:
        async with self._patience(stream):
            return await stream.answers.get()

    @asynccontextmanager
    async def _patience(self, stream: _Stream) -> AsyncIterator[None]:
        """Raise `GenerationTimeoutError` when what is inside takes too long."""
        stream.waits_since_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError:
            raise GenerationTimeoutError(
                f"Nothing came from the model for {self._timeout_s:.0f} s; the request was given up."
            ) from None

    def _ask_for_life(self) -> None:
        self._process.write_soon([_SIGN_OF_LIFE])

    def _give_up(self, silent_s: float) -> None:
        """End a child that hangs. Its pipe may stay open even then: a kill does not reach what waits for a driver."""
        self._hang = f"it hung, and was ended after {silent_s:.0f} s of silence: "
        self._stop_reading()

    def _stop_reading(self) -> None:
        if not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())

    async def _run(self) -> None:
        """Pass frames on until the pipe ends, or the child hangs; then tell everyone who waits."""
        try:
            async with self._reading:
                await self._read()
        except (ProtocolError, TimeoutError):
            self._process.kill()
        self._is_read = True
        self._vigil.end()
        self._how_it_ended = self._hang + await self._process.describe_end()
        for stream in self._streams.values():
            stream.answers.put_nowait(self._describe_end())

    async def _read(self) -> None:
        while (messages := await self._process.read()) is not None:
            self._vigil.hear()
            for message in messages:
                self._dispatch(message)

    def _describe_end(self) -> PunaError:
        if self._is_closing:
            return OverloadedError(
                f"The model {self._model} was unloaded; ask again to load it.", retry_after_s=1
            )
        return WorkerDiedError(
            f"The worker of {self._model} died ({self._how_it_ended}). "
            "The model is loaded again on the next request."
        )

    def _dispatch(self, message: FromWorker) -> None:
        match message:
            case Event(request_id, event):
                # Requests that are open when the worker is told to end fail as one; see `_describe_end`.
                if not (self._is_closing and isinstance(event, Finished)):
                    self._put(request_id, event)
            case Embedded(request_id, answer) | Ranked(request_id, answer) | Counted(request_id, answer):
                self._put(request_id, answer)
            case Failed(int(request_id), kind, text):
                self._put(request_id, error_of_kind(kind, text))
            case Status(status):
                self._status = status
            case Failed() | Loading() | Loaded():
                raise ProtocolError(f"{type(message).__name__} after the load")

    def _put(self, request_id: int, answer: Answer) -> None:
        stream = self._streams.get(request_id)
        if stream is not None:
            stream.answers.put_nowait(answer)


async def load(
    process: WorkerProcess,
    message: Load,
    model: str,
    *,
    on_progress: Callable[[float], None],
    generation_timeout_s: float,
) -> RemoteWorker:
    """Let a fresh child load its model. Raises `ModelLoadError`; the caller ends the child then."""
    try:
        await process.write([message])
        while (messages := await process.read()) is not None:
            for answer in messages:
                match answer:
                    case Loading(progress):
                        on_progress(progress)
                    case Loaded(loaded):
                        return RemoteWorker(process, loaded, model, generation_timeout_s=generation_timeout_s)
                    case Failed(None, _, text):
                        raise ModelLoadError(text)
                    case _:
                        raise ProtocolError(f"{type(answer).__name__} before the load was over")
    except UnicodeEncodeError:
        raise ModelLoadError(f"The name of the file of {model} is no valid Unicode; rename it.") from None
    except (ConnectionError, ProtocolError):
        process.kill()
    how = await process.describe_end()
    raise WorkerDiedLoadingError(f"The worker died while it loaded {model} ({how}).")
