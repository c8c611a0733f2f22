"""A model in memory, as the coordinator keeps it, and as others may see it."""

import asyncio
import math

from msgspec import Struct

from puna.domain.models import LoadedModel, ModelEntry, ModelState, WorkerStatus
from puna.residency.ports import Worker


class Resident(Struct, frozen=True, kw_only=True):
    """A snapshot of one model that is in memory, on its way there, or failed to get there."""

    entry: ModelEntry
    state: ModelState
    progress: float
    loaded: LoadedModel | None
    status: WorkerStatus
    error: str | None
    idle_s_left: float | None
    """Seconds until the model leaves memory if nobody asks for it; None where it stays."""


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
        self.keep_alive_s = math.inf
        self.expiry: asyncio.TimerHandle | None = None

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
            idle_s_left=self._idle_s_left(),
        )

    def _idle_s_left(self) -> float | None:
        if self.expiry is not None:
            return max(0.0, self.expiry.when() - asyncio.get_running_loop().time())
        return None if math.isinf(self.keep_alive_s) else self.keep_alive_s
