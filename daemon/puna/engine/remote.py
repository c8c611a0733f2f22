"""A worker as the daemon sees it: requests go in, events come out, and its death reaches everyone."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable

from puna.domain.generation import Finished, GenerationEvent, GenerationRequest, TextDelta
from puna.domain.models import LoadedModel, WorkerStatus
from puna.engine.process import WorkerProcess
from puna.engine.protocol import (
    Abort,
    Delta,
    Done,
    Failed,
    FromWorker,
    Generate,
    Load,
    Loaded,
    Loading,
    ProtocolError,
    Shutdown,
    Status,
)
from puna.errors import (
    GenerationTimeoutError,
    InvalidRequestError,
    ModelLoadError,
    OverloadedError,
    PunaError,
    WorkerDiedError,
    error_of_kind,
)

_SHUTDOWN_GRACE_S = 3.0

Event = GenerationEvent | PunaError


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
        self._streams: dict[int, asyncio.Queue[Event]] = {}
        self._ids = itertools.count(1)
        self._how_it_ended: str | None = None
        self._is_closing = False
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
        """False once the child has ended, or is being ended."""
        return self._how_it_ended is None and not self._is_closing

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """Yield the events of one request; see `puna.residency.ports.Worker`."""
        if not self.is_alive:
            raise self._describe_end()
        request_id = next(self._ids)
        events: asyncio.Queue[Event] = asyncio.Queue()
        self._streams[request_id] = events
        is_over = False
        try:
            await self._send(Generate(request_id, request))
            while not is_over:
                event = await self._next(events)
                is_over = not isinstance(event, TextDelta)
                if isinstance(event, PunaError):
                    raise event
                yield event
        finally:
            del self._streams[request_id]
            if not is_over:
                self._process.write_soon([Abort(request_id)])

    async def close(self) -> None:
        """End the child; open requests fail. Idempotent."""
        if not self._is_closing:
            self._is_closing = True
            self._process.write_soon([Shutdown()])
        await self._process.end(_SHUTDOWN_GRACE_S)
        await self._pump

    async def _send(self, message: Generate) -> None:
        try:
            await self._process.write([message])
        except (ConnectionError, RuntimeError):
            await self._pump
            raise self._describe_end() from None
        except (UnicodeEncodeError, OverflowError) as error:
            raise InvalidRequestError(f"The request cannot be passed on: {error}.") from error

    async def _next(self, events: asyncio.Queue[Event]) -> Event:
        if not events.empty():
            return events.get_nowait()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await events.get()
        except TimeoutError:
            raise GenerationTimeoutError(
                f"Nothing came from the model for {self._timeout_s:.0f} s; the request was given up."
            ) from None

    async def _run(self) -> None:
        """Pass frames on until the pipe ends, then tell everyone who waits."""
        try:
            while (messages := await self._process.read()) is not None:
                for message in messages:
                    self._dispatch(message)
        except ProtocolError:
            self._process.kill()
        self._how_it_ended = await self._process.describe_end()
        for events in self._streams.values():
            events.put_nowait(self._describe_end())

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
            case Delta(request_id, text, logprobs):
                self._put(request_id, TextDelta(text, logprobs))
            case Done(request_id, finished):
                self._finish(request_id, finished)
            case Failed(int(request_id), kind, text):
                self._put(request_id, error_of_kind(kind, text))
            case Status(status):
                self._status = status
            case Failed() | Loading() | Loaded():
                raise ProtocolError(f"{type(message).__name__} after the load")

    def _finish(self, request_id: int, finished: Finished) -> None:
        if not self._is_closing:
            self._put(request_id, finished)

    def _put(self, request_id: int, event: Event) -> None:
        events = self._streams.get(request_id)
        if events is not None:
            events.put_nowait(event)


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
    except (ConnectionError, ProtocolError):
        process.kill()
    how = await process.describe_end()
    raise ModelLoadError(f"The worker died while it loaded {model} ({how}).")
