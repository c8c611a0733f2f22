"""The memory of this machine, behind the port `Memory`: main memory by psutil, GPUs as llama.cpp sees them."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import psutil

from puna.domain.hardware import LlamaBuild
from puna.domain.memory import CACHED_ADAPTERS, CPU, LoadPlan, Shortfall
from puna.domain.models import Device, ModelEntry
from puna.engine.probe import LlamaProbe
from puna.errors import EngineUnusableError
from puna.hardware.memory import read_memory
from puna.models.shape import read_shape
from puna.residency.estimate import Estimate, Gpu, Wish
from puna.residency.ledger import Reading, Rooms
from puna.residency.policy import Fit

_FRESH_S = 1.0
"""How old free GPU memory may be for a decision. A look takes about a second, and only where there is a GPU."""
_SHARED = ("igpu",)
_SHARED_NAMES = ("MTL", "Metal")
"""Apple's GPUs, which ggml calls by these names and by the kind `gpu`."""


class MachineMemory:
    """Reads what there is, and appraises files. Belongs to one event loop; what blocks runs in threads."""

    def __init__(
        self,
        llama: LlamaProbe,
        wish: Wish,
        worker_pids: Callable[[], Iterable[int]],
    ) -> None:
        """`wish` is what the settings say of every load; `worker_pids` tells the processes whose memory is ours."""
        self._llama = llama
        self._wish = wish
        self._worker_pids = worker_pids

    async def read(self) -> Sequence[Reading]:
        """Return what each device has now; see `puna.residency.ports.Memory`."""
        host, gpus = await asyncio.gather(
            asyncio.to_thread(read_main_memory, list(self._worker_pids())), self._read_gpus()
        )
        return [host, *gpus]

    async def appraise(self, entry: ModelEntry) -> Fit:
        """Return how a model could be loaded; see `puna.residency.ports.Memory`."""
        if entry.path is None:
            return _take_nothing
        shape, gpus = await asyncio.gather(asyncio.to_thread(read_shape, entry.path), self._look_at_gpus())
        wish = Wish(
            kind=entry.kind,
            context_length=self._wish.context_length,
            slots=self._wish.slots,
            gpu_layers=self._wish.gpu_layers,
            adapters_bytes=most_adapters_bytes(entry.adapter_sizes, self._wish.slots),
        )
        return Estimate(shape, wish, [_to_gpu(gpu) for gpu in gpus]).plan

    async def _read_gpus(self) -> list[Reading]:
        gpus = await self._look_at_gpus()
        return [_to_reading(gpu, self._llama.since_s) for gpu in gpus]

    async def _look_at_gpus(self) -> Sequence[Device]:
        """Return the GPUs that llama.cpp uses: those with memory of their own, else an integrated one."""
        if self._wish.gpu_layers == 0:
            return ()
        try:
            build: LlamaBuild = await self._llama.build(max_age_s=_FRESH_S)
        except EngineUnusableError:
            return ()  # the load will say why, with the worker's own words
        own = [gpu for gpu in build.gpus if gpu.kind == "gpu"]
        # Layers go to RPC servers first (`llama_prepare_model_devices` in llama.cpp).
        own.sort(key=lambda gpu: not gpu.name.startswith("RPC"))
        return own or build.gpus[:1]


def most_adapters_bytes(sizes: Sequence[int], slots: int) -> int:
    """Return what adapters of these sizes take at most at a time: those in use, and those that are kept. Pure."""
    return sum(sorted(sizes, reverse=True)[: slots + CACHED_ADAPTERS])


def read_main_memory(pids: Sequence[int]) -> Reading:
    """Return what the machine's memory has, given the processes of the workers. Below a millisecond for each."""
    since_s = time.monotonic()
    memory = read_memory()
    return Reading(
        device=CPU,
        total_bytes=memory.total_bytes,
        free_bytes=memory.available_bytes,
        ours_bytes=sum(_held_by(pid) for pid in pids),
        since_s=since_s,
    )


def _held_by(pid: int) -> int:
    """Return what a process holds of what does not count as free: files that it maps, such as weights, do."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return max(0, int(getattr(memory, "private", memory.rss)) - int(getattr(memory, "shared", 0)))


def _take_nothing(_: Rooms) -> LoadPlan | Shortfall:
    return LoadPlan(takes_place=False)


def _to_reading(gpu: Device, since_s: float) -> Reading:
    return Reading(
        device=gpu.name,
        total_bytes=gpu.memory_total_bytes,
        free_bytes=gpu.memory_free_bytes,
        ours_bytes=None,
        since_s=since_s,
    )


def _to_gpu(gpu: Device) -> Gpu:
    return Gpu(
        name=gpu.name,
        description=gpu.description,
        is_shared=gpu.kind in _SHARED or gpu.name.startswith(_SHARED_NAMES),
    )
