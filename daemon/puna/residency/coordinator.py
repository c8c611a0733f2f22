"""The one owner of what is in memory: loads, shares, reloads and unloads models."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from puna.domain.models import ModelEntry, ModelKind
from puna.errors import InvalidRequestError, NoModelLoadedError, OverloadedError, PunaError
from puna.residency.lease import RETRY_AFTER_S, Lease
from puna.residency.place import Place, Resident
from puna.residency.policy import Candidate, choose_evictions
from puna.residency.ports import Catalogue, Launcher, Worker


class LoadOutcome(Struct, frozen=True):
    """What a load came to."""

    entry: ModelEntry
    already_loaded: bool


_WHAT_IT_DOES = {
    ModelKind.TEXT: "a text model: it generates text, and neither embeds nor ranks",
    ModelKind.EMBEDDING: "an embedding model: it turns text into vectors and does not generate any",
    ModelKind.RERANKER: "a reranker: it ranks documents and does not generate text",
}


def _check_kind(entry: ModelEntry, wanted: ModelKind) -> None:
    if entry.kind is not wanted:
        raise InvalidRequestError(f"{entry.id} is {_WHAT_IT_DOES[entry.kind]}.", field="model")


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
        idle_timeout_s: float = math.inf,
    ) -> None:
        """A model leaves memory after `idle_timeout_s` without a lease, unless its last request wished otherwise."""
        self._catalogue = catalogue
        self._launcher = launcher
        self._default_model = default_model
        self._limit = max_loaded_models
        self._queue_limit = queue_limit
        self._idle_timeout_s = idle_timeout_s
        self._places: dict[str, Place] = {}
        self._current: str | None = None
        self._clock = itertools.count(1)
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def acquire(
        self,
        model: str | None,
        *,
        kind: ModelKind = ModelKind.TEXT,
        keep_alive_s: float | None = None,
    ) -> AsyncIterator[Lease]:
        """Hold a model in memory, loading it first where needed; None is the current or the default one.

        `keep_alive_s` is how long it stays afterwards, infinity for ever; None is the setting. Raises
        `ModelNotFoundError`, `NoModelLoadedError`, `ModelLoadError`, `OverloadedError`, or `InvalidRequestError`
        for a model of another kind.
        """
        place = await self._place_of(model, kind)
        worker = await self._ready_worker(place)
        place.leases += 1
        place.last_used = next(self._clock)
        _stop_expiry(place)
        try:
            yield Lease(place, worker, self._queue_limit)
        finally:
            place.leases -= 1
            self._let_rest(place, keep_alive_s)
            self._make_room(keep=place.entry.id)

    async def load(self, model: str) -> LoadOutcome:
        """Load a model and make it the current one; returns when it is ready. Errors as in `acquire`."""
        place = await self._place_of(model)
        already_loaded = place.is_ready
        await self._ready_worker(place)
        self._let_rest(place, None)
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

    async def _place_of(self, model: str | None, kind: ModelKind | None = None) -> Place:
        name = model or self._current or self._default_model
        if name is None:
            raise NoModelLoadedError(
                "No model is currently loaded. Please load a model first using POST /models/load."
            )
        if self._is_closed:
            raise OverloadedError("Puna is stopping.", retry_after_s=RETRY_AFTER_S)
        place = self._places.get(name)
        entry = place.entry if place is not None else await self._catalogue.find(name)
        if kind is not None:
            _check_kind(entry, kind)
        return self._places.setdefault(entry.id, Place(entry))

    async def _ready_worker(self, place: Place) -> Worker:
        if place.worker is not None and place.worker.is_alive:
            return place.worker
        if self._is_closed:
            raise OverloadedError("Puna is stopping.", retry_after_s=RETRY_AFTER_S)
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
        """Free surplus models."""
        loaded = [
            Candidate(place.entry.id, place.leases > 0, place.last_used)
            for place in self._places.values()
            if place.is_ready
        ]
        for model_id in choose_evictions(loaded, limit=self._limit, keep=keep):
            self._free_soon(self._places.pop(model_id))
            if self._current == model_id:
                self._current = keep

    def _let_rest(self, place: Place, keep_alive_s: float | None) -> None:
        """Let an idle model go after its time; a new lease stops the clock."""
        place.keep_alive_s = self._idle_timeout_s if keep_alive_s is None else keep_alive_s
        _stop_expiry(place)
        if not place.leases and not math.isinf(place.keep_alive_s):
            loop = asyncio.get_running_loop()
            place.expiry = loop.call_later(place.keep_alive_s, self._expire, place)

    def _expire(self, place: Place) -> None:
        place.expiry = None
        if not place.leases and self._places.get(place.entry.id) is place:
            del self._places[place.entry.id]
            self._free_soon(place)

    def _free_soon(self, place: Place) -> None:
        """Free a model in the background: nobody waits for it."""
        task = asyncio.create_task(self._free(place), name=f"free {place.entry.id}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _free(self, place: Place) -> None:
        _stop_expiry(place)
        if place.loading is not None:
            place.loading.cancel()
            await asyncio.wait([place.loading])
        if place.worker is not None:
            await place.worker.close()


def _stop_expiry(place: Place) -> None:
    if place.expiry is not None:
        place.expiry.cancel()
        place.expiry = None


async def _wait_for(loading: asyncio.Task[Worker]) -> Worker:
    """Wait without cancelling the load when this waiter leaves: others may want it, or come back for it."""
    await asyncio.wait([loading])
    if loading.cancelled():
        raise OverloadedError("The model was unloaded while it was loading.", retry_after_s=RETRY_AFTER_S)
    return loading.result()


def _retrieve(task: asyncio.Task[Worker]) -> None:
    """Mark a failed load as seen: all who wanted it may have left."""
    if not task.cancelled():
        task.exception()
