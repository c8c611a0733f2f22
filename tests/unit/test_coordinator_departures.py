"""What is left of a model that goes, when something else goes wrong or ends in that moment."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from fakes.boundless_memory import BoundlessMemory
from fakes.fake_worker import LOADED
from fakes.text_only import TextOnly
from fakes.virtual_time import now_s, run_virtually
from puna.domain.generation import Finished, FinishReason, GenerationEvent, GenerationRequest, Usage
from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, WorkerStatus
from puna.residency.coordinator import Coordinator
from puna.residency.ledger import Reading


class IdleWorker(TextOnly):
    """Does nothing."""

    def __init__(self) -> None:
        self.loaded: LoadedModel = LOADED
        self.status = WorkerStatus()
        self.is_alive = True

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        yield Finished(FinishReason.STOP, Usage(1, 1))

    async def close(self) -> None:
        self.is_alive = False


class Engine:
    """Knows every model; what is cancelled while it loads takes its time to end."""

    def __init__(self) -> None:
        self.is_held = False
        self.loading = 0

    async def entries(self) -> Sequence[ModelEntry]:
        return ()

    async def find(self, name: str) -> ModelEntry:
        return ModelEntry(id=name, name=name, path=Path(name), size_bytes=1)

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> IdleWorker:
        self.loading += 1
        try:
            if self.is_held:
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1.0)
            self.loading -= 1
        return IdleWorker()


class ShortOfFiles(BoundlessMemory):
    """Cannot be read while no more files can be opened."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self) -> Sequence[Reading]:
        self.reads += 1
        if self.reads == 3:
            raise OSError(24, "Too many open files")
        return ()


def build(engine: Engine, memory: BoundlessMemory) -> Coordinator:
    return Coordinator(engine, engine, memory, default_model=None, max_loaded_models=1, queue_limit=8)


def test_memory_that_cannot_be_read_keeps_nobody_from_the_room_of_a_model_that_went() -> None:
    async def main() -> None:
        memory = ShortOfFiles()
        coordinator = build(Engine(), memory)
        async with coordinator.acquire("a"):
            pass
        asked_s = now_s()
        async with coordinator.acquire("b"):
            assert now_s() - asked_s < 5.0
        assert memory.reads == 3
        await coordinator.close()

    run_virtually(main())


def test_closing_waits_for_a_load_that_an_unload_is_ending() -> None:
    async def main() -> None:
        engine = Engine()
        engine.is_held = True
        coordinator = build(engine, BoundlessMemory())
        loading = asyncio.create_task(coordinator.load("a"))
        await asyncio.sleep(1.0)
        assert engine.loading
        unloading = asyncio.create_task(coordinator.unload("a"))
        await asyncio.sleep(0.5)
        await coordinator.close()
        assert not engine.loading
        await asyncio.wait([loading, unloading])
        assert loading.exception() is not None

    run_virtually(main())
