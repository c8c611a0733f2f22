"""Starts workers with the settings of the daemon."""

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from puna import launch
from puna.domain.memory import LoadPlan
from puna.domain.models import ModelEntry
from puna.engine import remote
from puna.engine.process import WorkerProcess
from puna.engine.protocol import Load
from puna.errors import ModelLoadError

_FAILED_LOAD_GRACE_S = 1.0
_LONGEST_NAME = 80
_HASH_DIGITS = 8


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """What every worker is started with; see the settings of the same names."""

    log_dir: Path
    context_length: int | None = None
    slots: int = 8
    threads: int | None = None
    gpu_layers: int | None = None
    rpc_servers: tuple[str, ...] = ()
    hidden_variables: frozenset[str] = frozenset()
    """Variables of the environment that are no business of workers: those with keys of remote models."""
    load_timeout_s: float = 300.0
    generation_timeout_s: float = 600.0


class WorkerLauncher:
    """The `Launcher` of `puna.residency.ports`."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._processes: list[WorkerProcess] = []

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan | None = None
    ) -> remote.RemoteWorker:
        """Start a child and let it load the model; see `puna.residency.ports.Launcher`.

        Without a plan it is loaded as the settings say, whatever memory there is.
        """
        process = await self._start(entry)
        self._processes = [each for each in self._processes if each.is_running]
        self._processes.append(process)
        try:
            return await self._load(process, entry, on_progress, plan or self._unplanned())
        except BaseException:
            await _see_to_end(process)
            raise

    def worker_pids(self) -> list[int]:
        """Return the processes of all workers that run or load."""
        return [process.pid for process in self._processes if process.is_running]

    def log_file(self, model_id: str) -> Path:
        """Return where the worker of a model writes its log."""
        return self._options.log_dir / f"{_log_name(model_id)}.log"

    async def _start(self, entry: ModelEntry) -> WorkerProcess:
        try:
            return await WorkerProcess.start(
                launch.child_command("worker"),
                launch.child_environment(hidden=self._options.hidden_variables),
                self.log_file(entry.id),
            )
        except OSError as error:
            raise ModelLoadError(
                f"The worker of {entry.id} cannot be started ({error.strerror}); "
                "look whether disk, memory and open files of this machine are used up."
            ) from error

    async def _load(
        self, process: WorkerProcess, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> remote.RemoteWorker:
        options = self._options
        try:
            async with asyncio.timeout(options.load_timeout_s):
                return await remote.load(
                    process,
                    self._message(entry, plan),
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

    def _unplanned(self) -> LoadPlan:
        return LoadPlan(context_length=self._options.context_length, gpu_layers=self._options.gpu_layers)

    def _message(self, entry: ModelEntry, plan: LoadPlan) -> Load:
        return Load(
            path=str(entry.path),
            kind=entry.kind,
            context_length=plan.context_length,
            total_cells=plan.total_cells,
            slots=self._options.slots,
            threads=self._options.threads,
            gpu_layers=plan.gpu_layers,
            placement_reason=plan.placement_reason,
            rpc_servers=self._options.rpc_servers,
        )


async def _see_to_end(process: WorkerProcess) -> None:
    """Return when the child is gone, also to somebody who is cancelled meanwhile: its memory is in use until then."""
    ending = asyncio.create_task(process.end(_FAILED_LOAD_GRACE_S))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait([ending])
        raise


def _log_name(model_id: str) -> str:
    """Return a name that no other model's log has, also where upper and lower case are one, as on Windows.

    An id that is no such name itself is made one, with a few digits of its hash.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model_id)[-_LONGEST_NAME:].strip("-.")
    if name and name == model_id == model_id.lower():
        return name
    digest = hashlib.sha256(model_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name or 'model'}-{digest[:_HASH_DIGITS]}"
