"""A machine with devices, files and workers that exist in figures only, and notices when it is overfilled.

It stands behind the coordinator's ports, records every effect, and fails the test in the moment in which an
invariant is broken: more memory used than there is, two workers of one model at a time, a busy worker closed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from fakes.fake_worker import LOADED
from fakes.text_only import TextOnly
from puna.domain.generation import Finished, FinishReason, GenerationEvent, GenerationRequest, Usage
from puna.domain.memory import CPU, LayerShape, LoadPlan, ModelShape
from puna.domain.models import LoadedModel, ModelEntry, WorkerStatus
from puna.errors import ModelLoadError, ModelNotFoundError, WorkerDiedLoadingError
from puna.residency.estimate import Estimate, Gpu, Wish
from puna.residency.ledger import Reading, reserve_of
from puna.residency.policy import Fit

GIB = 1024**3
MIB = 1024**2


class BrokenRuleError(AssertionError):
    """An invariant was broken."""


class HouseWorker(TextOnly):
    """Takes its memory from the launch to the end of its closing."""

    def __init__(self, house: "House", model: str, plan: LoadPlan) -> None:
        self.house = house
        self.model = model
        self.plan = plan
        self.loaded: LoadedModel = LOADED
        self.status = WorkerStatus()
        self.is_alive = True
        self.is_gone = asyncio.Event()
        self.is_closing = False

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        yield Finished(FinishReason.STOP, Usage(1, 1))

    async def wait_end(self) -> str:
        await self.is_gone.wait()
        return "signal 9 (SIGKILL)"

    def die(self) -> None:
        """End by itself."""
        if self.is_alive:
            self.is_alive = False
            self.house.take_back(self)
            self.is_gone.set()

    async def close(self) -> None:
        if self.is_closing or self.is_gone.is_set():
            return
        self.is_closing = True
        self.house.note_closing(self)
        self.is_alive = False
        await asyncio.sleep(self.house.rng.uniform(0.0, 2.0))
        self.house.take_back(self)
        self.is_gone.set()


class House:
    """Catalogue, launcher and memory in one. `leases` is kept by the test: who holds what."""

    def __init__(
        self,
        rng: random.Random,
        shapes: dict[str, ModelShape],
        *,
        main_bytes: int,
        gpu_bytes: int = 0,
        slots: int = 1,
    ) -> None:
        self.rng = rng
        self.shapes = shapes
        self.totals = {CPU: main_bytes, **({"GPU0": gpu_bytes} if gpu_bytes else {})}
        self.others = dict.fromkeys(self.totals, 0)
        self.wish = Wish(slots=slots)
        self.workers: list[HouseWorker] = []
        self.leases: Counter[object] = Counter()
        """By worker."""
        self.unloading: set[str] = set()
        self.effects: list[str] = []
        self.bad_files: set[str] = set()
        self.is_gpu_broken = False
        """Whether nothing can be put on the GPU, whatever it says of its memory."""
        self.dies_loading = 0.0
        """How likely a load ends with the child's death."""

    @property
    def gpus(self) -> list[Gpu]:
        return [Gpu(name=name) for name, size in self.totals.items() if name != CPU]

    def used(self, device: str) -> int:
        """What the workers take of a device."""
        needs = (need for worker in self.workers for need in worker.plan.needs)
        return sum(need.total_bytes for need in needs if need.device == device)

    # What the coordinator calls.

    async def entries(self) -> Sequence[ModelEntry]:
        return [self._entry(name) for name in self.shapes]

    async def find(self, name: str) -> ModelEntry:
        if name not in self.shapes:
            raise ModelNotFoundError(f"no {name}")
        return self._entry(name)

    async def read(self) -> Sequence[Reading]:
        await asyncio.sleep(0.001)
        return [
            Reading(
                device=device,
                total_bytes=total,
                free_bytes=total - self.others[device] - self.used(device),
                ours_bytes=self.used(device) if device == CPU else None,
            )
            for device, total in self.totals.items()
        ]

    async def appraise(self, entry: ModelEntry) -> Fit:
        await asyncio.sleep(0.001)
        if entry.id in self.bad_files:
            raise ModelLoadError(f"{entry.id} is damaged")
        return Estimate(self.shapes[entry.id], self.wish, self.gpus).plan

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> HouseWorker:
        worker = HouseWorker(self, entry.id, plan)
        if any(each.model == entry.id and not each.is_closing for each in self.workers):
            raise BrokenRuleError(f"{entry.id} is launched a second time")
        self.effects.append(f"launch {entry.id}")
        self.workers.append(worker)
        self._check_memory()
        try:
            on_progress(0.5)
            await asyncio.sleep(self.rng.uniform(0.1, 5.0))
            if plan.gpu_layers and self.is_gpu_broken:
                raise ModelLoadError("cudaMalloc failed: out of memory")
            if not worker.is_alive or self.rng.random() < self.dies_loading:
                raise WorkerDiedLoadingError(f"The worker died while it loaded {entry.id}.")
        except BaseException:
            self.take_back(worker)
            raise
        return worker

    # What workers and tests call.

    def take_back(self, worker: HouseWorker) -> None:
        """The worker is gone, and its memory is free."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        self.effects.append(f"gone {worker.model}")

    def note_closing(self, worker: HouseWorker) -> None:
        """The coordinator ends a worker: never one that is in use, unless somebody asked for that."""
        self.effects.append(f"close {worker.model}")
        if self.leases[worker] and worker.model not in self.unloading:
            raise BrokenRuleError(f"{worker.model} is closed while it is in use")

    def _check_memory(self) -> None:
        for device, total in self.totals.items():
            reserve = reserve_of(Reading(device=device, total_bytes=total, free_bytes=total))
            free = total - self.others[device] - reserve
            if self.used(device) > free:
                raise BrokenRuleError(f"{device}: {self.used(device)} of {free} bytes are used")

    def _entry(self, name: str) -> ModelEntry:
        return ModelEntry(id=name, name=name, path=Path(f"{name}.gguf"), size_bytes=1)


def make_shape(weights_bytes: int, layers: int = 10) -> ModelShape:
    """Return a model whose weights take so much, and whose context takes little."""
    return ModelShape(
        layers=tuple(LayerShape(weights_bytes // (layers + 2), 1024) for _ in range(layers)),
        input_bytes=weights_bytes // (layers + 2),
        output_bytes=weights_bytes // (layers + 2),
        scratch_floats=4096,
        width=512,
        token_count=4096,
        trained_length=4096,
    )
