"""Starts workers with the settings of the daemon."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from puna import launch
from puna.domain.models import ModelEntry
from puna.engine import remote
from puna.engine.process import WorkerProcess
from puna.engine.protocol import Load
from puna.errors import ModelLoadError

_FAILED_LOAD_GRACE_S = 1.0
_LONGEST_NAME = 80


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """What every worker is started with; see the settings of the same names."""

    log_dir: Path
    context_length: int | None = None
    slots: int = 8
    threads: int | None = None
    gpu_layers: int | None = None
    load_timeout_s: float = 300.0
    generation_timeout_s: float = 600.0


class WorkerLauncher:
    """The `Launcher` of `puna.residency.ports`."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options

    async def launch(self, entry: ModelEntry, on_progress: Callable[[float], None]) -> remote.RemoteWorker:
        """Start a child and let it load the model; see `puna.residency.ports.Launcher`."""
        process = await WorkerProcess.start(
            launch.child_command("worker"), launch.child_environment(), self.log_file(entry.id)
        )
        try:
            return await self._load(process, entry, on_progress)
        except BaseException:
            await asyncio.shield(process.end(_FAILED_LOAD_GRACE_S))
            raise

    def log_file(self, model_id: str) -> Path:
        """Return where the worker of a model writes its log."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", model_id).strip("-.")[-_LONGEST_NAME:]
        return self._options.log_dir / f"{name or 'model'}.log"

    async def _load(
        self, process: WorkerProcess, entry: ModelEntry, on_progress: Callable[[float], None]
    ) -> remote.RemoteWorker:
        options = self._options
        try:
            async with asyncio.timeout(options.load_timeout_s):
                return await remote.load(
                    process,
                    self._message(entry),
                    entry.id,
                    on_progress=on_progress,
                    generation_timeout_s=options.generation_timeout_s,
                )
        except TimeoutError:
            process.kill()
            raise ModelLoadError(
                f"{entry.id} was not loaded within {options.load_timeout_s:.0f} s; "
                "raise load_timeout_s for a slow disk or choose a smaller model."
            ) from None

    def _message(self, entry: ModelEntry) -> Load:
        return Load(
            path=str(entry.path),
            kind=entry.kind,
            context_length=self._options.context_length,
            slots=self._options.slots,
            threads=self._options.threads,
            gpu_layers=self._options.gpu_layers,
        )
