"""Real workers with the demo model, behind the real coordinator and the real memory of this machine."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import psutil
import pytest

from fakes.gguf_files import Q8_0, GgufFile, Tensor, model_pairs
from puna.domain.constraint import RegexConstraint
from puna.domain.generation import GenerationRequest, TextPrompt, TokenPrompt
from puna.domain.memory import CPU
from puna.domain.models import ModelEntry, ModelState
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.engine.probe import LlamaProbe
from puna.engine.remote import RemoteWorker
from puna.errors import ModelLoadError, ModelTooLargeError, WorkerDiedError
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.residency.estimate import Wish
from puna.residency.lease import Lease
from puna.residency.machine import MachineMemory
from puna.residency.place import Resident

REQUEST = GenerationRequest(prompt=TextPrompt("Once upon a time"), max_tokens=4)
MIB = 1024**2
SHARED_LIBRARIES_BYTES = 64 * MIB
"""What processes share counts for nobody; it is a part of a process's resident memory all the same."""


class NamedFiles:
    """Knows the files that a test names."""

    def __init__(self, folder: Path) -> None:
        self.files = {"demo": Paths.under(folder).demo_model}

    async def entries(self) -> Sequence[ModelEntry]:
        return [await self.find(name) for name in self.files]

    async def find(self, name: str) -> ModelEntry:
        return ModelEntry(id=name, name=name, path=self.files[name], size_bytes=1)


class Home:
    """A coordinator of real parts."""

    def __init__(self, folder: Path, *, limit: int = 2) -> None:
        self.catalogue = NamedFiles(folder)
        self.launcher = WorkerLauncher(WorkerOptions(log_dir=folder / "logs", threads=1))
        self.llama = LlamaProbe()
        self.coordinator = Coordinator(
            self.catalogue,
            self.launcher,
            MachineMemory(self.llama, Wish(), self.launcher.worker_pids),
            default_model="demo",
            max_loaded_models=limit,
            queue_limit=16,
        )

    async def ask(self, model: str = "demo") -> str:
        async with self.coordinator.acquire(model) as lease:
            return (await lease.complete(REQUEST)).text

    def resident(self, model: str = "demo") -> Resident:
        return next(each for each in self.coordinator.residents() if each.entry.id == model)

    async def kill(self, model: str = "demo") -> None:
        """Kill the worker, and wait until the coordinator knows."""
        async with self.coordinator.acquire(model) as lease:
            psutil.Process(pid_of(lease)).kill()
        await until(lambda: self.resident(model).state is ModelState.FAILED)


def pid_of(lease: Lease) -> int:
    worker = lease._worker
    assert isinstance(worker, RemoteWorker)
    return worker.pid


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    home = Home(tmp_path)
    yield home
    await home.coordinator.close()
    await home.llama.close()
    assert home.coordinator.ledger.claims == 0
    assert home.launcher.worker_pids() == []


async def test_the_worker_keeps_to_the_plan_and_takes_no_more_than_it_claims(home: Home) -> None:
    async with home.coordinator.acquire("demo") as lease:
        plan = home.resident().plan
        assert plan is not None
        assert (lease.loaded.context_length, lease.loaded.total_cells) == (
            plan.context_length,
            plan.total_cells,
        )
        whole = TokenPrompt(tuple(300 + number % 3000 for number in range(lease.loaded.context_length - 8)))
        await lease.complete(GenerationRequest(prompt=whole, max_tokens=4))
        (need,) = (need for need in plan.needs if need.device == CPU)
        resident_bytes = psutil.Process(pid_of(lease)).memory_info().rss
        assert resident_bytes < need.total_bytes + SHARED_LIBRARIES_BYTES
        assert resident_bytes > need.total_bytes // 2, "the estimate is no guess on the safe side"
        assert home.coordinator.ledger.claimed(CPU) == need.total_bytes


async def test_memory_is_back_after_unload(home: Home) -> None:
    async with home.coordinator.acquire("demo") as lease:
        pid = pid_of(lease)
    await home.coordinator.unload("demo")
    assert not psutil.pid_exists(pid)
    assert home.coordinator.ledger.claims == 0


async def test_a_model_leaves_before_the_next_one_comes(tmp_path: Path) -> None:
    home = Home(tmp_path, limit=1)
    home.catalogue.files["twin"] = home.catalogue.files["demo"]
    await home.ask("demo")
    (first,) = home.launcher.worker_pids()
    seen = []

    async def watch() -> None:
        while True:
            seen.append(len(home.launcher.worker_pids()))
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    assert await home.ask("twin")
    watching.cancel()
    assert max(seen) == 1
    assert not psutil.pid_exists(first)
    await home.coordinator.close()
    await home.llama.close()


async def test_a_model_that_is_too_large_is_refused_with_numbers_and_evicts_nobody(
    home: Home, tmp_path: Path
) -> None:
    await home.ask()
    width, rows = 8192, 1 << 26
    file = GgufFile(
        model_pairs("Giant"),
        [Tensor("token_embd.weight", (64, 8), Q8_0), Tensor("blk.0.ffn_up.weight", (width, rows), Q8_0)],
        data=b"",
    )
    giant = file.write(tmp_path / "giant.gguf")
    with giant.open("r+b") as sparse:
        sparse.truncate(giant.stat().st_size + width * rows // 32 * 34 + 4096)
    home.catalogue.files["giant"] = giant
    with pytest.raises(ModelTooLargeError, match=r"giant needs 544\.\d GiB .* smaller quantisation"):
        await home.ask("giant")
    giant.unlink()
    assert home.resident("demo").state is ModelState.READY
    with pytest.raises(ModelLoadError, match=r"giant\.gguf cannot be read"):
        await home.ask("giant")
    assert home.resident("demo").state is ModelState.READY


async def test_a_dying_worker_is_loaded_again_and_given_up_after_the_third_death(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await home.kill()
        assert home.coordinator.ledger.claims == 0
        assert await home.ask()
        assert home.resident().deaths == 0, "it answered"
        for deaths in (1, 2, 3):
            await home.kill()
            assert home.resident().deaths == deaths
    assert sum("SIGKILL" in record.message or "exit code" in record.message for record in caplog.records) == 4
    last = r"died 3 times in a row\. The last time: The worker of demo died"
    with pytest.raises(WorkerDiedError, match=last):
        await home.ask()
    assert home.resident().state is ModelState.FAILED
    await home.coordinator.load("demo")
    assert await home.ask()


async def test_requests_of_a_worker_that_dies_hear_its_last_words(home: Home) -> None:
    async with home.coordinator.acquire("demo") as lease:
        story = GenerationRequest(prompt=TextPrompt("Once"), constraint=RegexConstraint("[a-z ]{1900}"))
        events = lease.generate(story)
        await anext(events)
        psutil.Process(pid_of(lease)).kill()
        with pytest.raises(WorkerDiedError, match=r"The worker of demo died \("):
            async for _ in events:
                pass
        with contextlib.suppress(WorkerDiedError):
            await events.aclose()
    assert await home.ask()
