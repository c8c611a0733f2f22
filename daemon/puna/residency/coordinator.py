"""The one owner of what is in memory: loads, shares, reloads and unloads models."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from puna.domain.generation import Completion, Finished, GenerationEvent, GenerationRequest, TextDelta
from puna.domain.models import LoadedModel, ModelEntry, ModelState, WorkerStatus
from puna.errors import NoModelLoadedError, OverloadedError, PunaError
from puna.residency.policy import Candidate, choose_evictions
from puna.residency.ports import Catalogue, Launcher, Worker

_RETRY_AFTER_S = 5.0


class Resident(Struct, frozen=True, kw_only=True):
    """A snapshot of one model that is in memory, on its way there, or failed to get there."""

    entry: ModelEntry
    state: ModelState
    progress: float
    loaded: LoadedModel | None
    status: WorkerStatus
    error: str | None


class LoadOutcome(Struct, frozen=True):
    """What a load came to."""

    entry: ModelEntry
    already_loaded: bool


class Place:
    """The coordinator's own record of a model. Only the coordinator and its leases touch it."""

    def __init__(self, entry: ModelEntry) -> None:
        self.entry = entry
        self.worker: Worker | None = None
        self.loading: asyncio.Task[Worker] | None = None
        self.progress = 0.0
        self.error: str | None = None
        self.leases = 0
        self.open_requests = 0
        self.last_used = 0

    @property
    def is_ready(self) -> bool:
        """Whether requests can go in now."""
        return self.worker is not None and self.worker.is_alive

    @property
    def state(self) -> ModelState:
        """Where the model stands."""
        if self.is_ready:
            return ModelState.READY
        if self.loading is not None:
            return ModelState.LOADING
        return ModelState.FAILED if self.error or self.worker else ModelState.UNLOADED

    def snapshot(self) -> Resident:
        """Return what others may see of it."""
        worker = self.worker if self.is_ready else None
        return Resident(
            entry=self.entry,
            state=self.state,
            progress=1.0 if worker else self.progress,
            loaded=worker.loaded if worker else None,
            status=worker.status if worker else WorkerStatus(),
            error=self.error,
        )


class Lease:
    """A model that stays in memory while it is held."""

    def __init__(self, place: Place, worker: Worker, queue_limit: int) -> None:
        self._place = place
        self._worker = worker
        self._queue_limit = queue_limit

    @property
    def entry(self) -> ModelEntry:
        """The model's entry in the catalogue."""
        return self._place.entry

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
        self._check_room()
        self._place.open_requests += 1
        events = self._worker.generate(request)
        try:
            async for event in events:
                yield event
        finally:
            self._place.open_requests -= 1
            await events.aclose()

    async def complete(self, request: GenerationRequest) -> Completion:
        """Return the whole text of a request. Cancelling the task aborts it."""
        parts: list[str] = []
        events = self.generate(request)
        try:
            async for event in events:
                match event:
                    case TextDelta(text):
                        parts.append(text)
                    case Finished():
                        return Completion("".join(parts), event)
        finally:
            await events.aclose()
        raise PunaError("The worker ended a request without a last event.")

    def _check_room(self) -> None:
        if self._place.open_requests >= self._worker.loaded.slots + self._queue_limit:
            raise OverloadedError(
                f"{self._queue_limit} requests wait for {self.entry.id} already; try again later.",
                retry_after_s=_RETRY_AFTER_S,
            )


class Coordinator:
    """Called from the event loop only. Every method may be called at any time; loads are single-flight."""

    def __init__(
        self,
        catalogue: Catalogue,
        launcher: Launcher,
        *,
        default_model: str | None,
        max_loaded_models: int,
        queue_limit: int,
    ) -> None:
        self._catalogue = catalogue
        self._launcher = launcher
        self._default_model = default_model
        self._limit = max_loaded_models
        self._queue_limit = queue_limit
        self._places: dict[str, Place] = {}
        self._current: str | None = None
        self._clock = itertools.count(1)
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def acquire(self, model: str | None) -> AsyncIterator[Lease]:
        """Hold a model in memory, loading it first where needed; None is the current or the default one.

        Raises `ModelNotFoundError`, `NoModelLoadedError`, `ModelLoadError` or `OverloadedError`.
        """
        place = await self._place_of(model)
        worker = await self._ready_worker(place)
        place.leases += 1
        place.last_used = next(self._clock)
        try:
            yield Lease(place, worker, self._queue_limit)
        finally:
            place.leases -= 1
            self._make_room(keep=place.entry.id)

    async def load(self, model: str) -> LoadOutcome:
        """Load a model and make it the current one; returns when it is ready. Errors as in `acquire`."""
        place = await self._place_of(model)
        already_loaded = place.is_ready
        await self._ready_worker(place)
        self._current = place.entry.id
        return LoadOutcome(place.entry, already_loaded)

    async def unload(self, model: str | None = None) -> ModelEntry | None:
        """Free a model, the current one by default; its open requests fail. None when it is not loaded.

        Raises `ModelNotFoundError` for a name that is no model.
        """
        name = model or self._current
        if name is None:
            return None
        model_id = name if name in self._places else (await self._catalogue.find(name)).id
        place = self._places.pop(model_id, None)
        if place is None:
            return None
        if self._current == model_id:
            self._current = None
        await self._free(place)
        return place.entry

    @property
    def current(self) -> Resident | None:
        """The model that requests without a name get, when it is in memory or on its way."""
        place = self._places.get(self._current) if self._current else None
        return place.snapshot() if place else None

    def residents(self) -> tuple[Resident, ...]:
        """Return all models in memory, on their way, or failed since their last use."""
        return tuple(place.snapshot() for place in self._places.values())

    def refuse_new_work(self) -> None:
        """Answer from now on with `OverloadedError`; what runs goes on."""
        self._is_closed = True

    async def close(self) -> None:
        """Cancel loads and end all workers; new requests get `OverloadedError`. Idempotent."""
        self.refuse_new_work()
        places = list(self._places.values())
        self._places.clear()
        await asyncio.gather(*(self._free(place) for place in places), *self._closing)

    async def _place_of(self, model: str | None) -> Place:
        name = model or self._current or self._default_model
        if name is None:
            raise NoModelLoadedError(
                "No model is currently loaded. Please load a model first using POST /models/load."
            )
        if self._is_closed:
            raise OverloadedError("Puna is stopping.", retry_after_s=_RETRY_AFTER_S)
        place = self._places.get(name)
        if place is not None:
            return place
        entry = await self._catalogue.find(name)
        return self._places.setdefault(entry.id, Place(entry))

    async def _ready_worker(self, place: Place) -> Worker:
        if place.worker is not None and place.worker.is_alive:
            return place.worker
        if self._is_closed:
            raise OverloadedError("Puna is stopping.", retry_after_s=_RETRY_AFTER_S)
        if place.loading is None:
            place.loading = asyncio.create_task(self._load(place), name=f"load {place.entry.id}")
            place.loading.add_done_callback(_retrieve)
        return await _wait_for(place.loading)

    async def _load(self, place: Place) -> Worker:
        """Load a model whose earlier worker, if any, is gone. Runs as one task whoever waits for it."""

        def take_progress(progress: float) -> None:
            place.progress = progress

        place.progress, place.error = 0.0, None
        try:
            if place.worker is not None:
                await place.worker.close()
            place.worker = await self._launcher.launch(place.entry, take_progress)
        except PunaError as error:
            place.error = error.message
            raise
        finally:
            place.loading = None
        self._current = self._current or place.entry.id
        self._make_room(keep=place.entry.id)
        return place.worker

    def _make_room(self, *, keep: str) -> None:
        """Free surplus models in the background: nobody waits for them."""
        loaded = [
            Candidate(place.entry.id, place.leases > 0, place.last_used)
            for place in self._places.values()
            if place.is_ready
        ]
        for model_id in choose_evictions(loaded, limit=self._limit, keep=keep):
            task = asyncio.create_task(self._free(self._places.pop(model_id)), name=f"free {model_id}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            if self._current == model_id:
                self._current = keep

    async def _free(self, place: Place) -> None:
        if place.loading is not None:
            place.loading.cancel()
            await asyncio.wait([place.loading])
        if place.worker is not None:
            await place.worker.close()


async def _wait_for(loading: asyncio.Task[Worker]) -> Worker:
    """Wait without cancelling the load when this waiter leaves: others may want it, or come back for it."""
    await asyncio.wait([loading])
    if loading.cancelled():
        raise OverloadedError("The model was unloaded while it was loading.", retry_after_s=_RETRY_AFTER_S)
    return loading.result()


def _retrieve(task: asyncio.Task[Worker]) -> None:
    """Mark a failed load as seen: all who wanted it may have left."""
    if not task.cancelled():
        task.exception()
