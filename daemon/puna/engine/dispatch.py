"""Which launcher starts a model."""

from collections.abc import Callable

from puna.domain.memory import LoadPlan
from puna.domain.models import ModelEntry
from puna.engine.launcher import WorkerLauncher
from puna.engine.remote import RemoteWorker
from puna.engine.upstream.launcher import UpstreamLauncher
from puna.engine.upstream.worker import UpstreamWorker


class EngineLauncher:
    """The `Launcher` of `puna.residency.ports`: a child for a file, a connection for a remote model."""

    def __init__(self, local: WorkerLauncher, upstream: UpstreamLauncher) -> None:
        self._local = local
        self._upstream = upstream

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> RemoteWorker | UpstreamWorker:
        """Start what runs this model; see `puna.residency.ports.Launcher`."""
        if entry.remote is not None:
            return await self._upstream.launch(entry.remote, on_progress)
        return await self._local.launch(entry, on_progress, plan)
