"""The one owner of what is in memory."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from fakes.fake_worker import LOADED
from fakes.text_only import TextOnly
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    TextDelta,
    TextPrompt,
    Usage,
)
from puna.domain.models import LoadedModel, ModelEntry, ModelState, WorkerStatus
from puna.errors import ModelLoadError, ModelNotFoundError, NoModelLoadedError, OverloadedError
from puna.residency.coordinator import Coordinator
from puna.residency.policy import Candidate, choose_evictions

REQUEST = GenerationRequest(prompt=TextPrompt("x"))


class ScriptedWorker(TextOnly):
    """Says one word, waits for `go`, and ends."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.is_alive = True
        self.closed = 0
        self.aborted = 0
        self.go = asyncio.Event()
        self.status = WorkerStatus()

    @property
    def loaded(self) -> LoadedModel:
        return LOADED

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        is_over = False
        try:
            yield TextDelta(self.model)
            await self.go.wait()
            is_over = True
            yield Finished(FinishReason.STOP, Usage(1, 1))
        finally:
            self.aborted += not is_over

    async def close(self) -> None:
        self.closed += 1
        self.is_alive = False


class RecordingLauncher:
    """Starts scripted workers, when `gate` allows it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.workers: dict[str, ScriptedWorker] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: set[str] = set()

    async def launch(self, entry: ModelEntry, on_progress: Callable[[float], None]) -> ScriptedWorker:
        self.started.append(entry.id)
        on_progress(0.5)
        await self.gate.wait()
        if entry.id in self.broken:
            raise ModelLoadError(f"{entry.id} cannot be run")
        self.workers[entry.id] = ScriptedWorker(entry.id)
        return self.workers[entry.id]


class FixedCatalogue:
    """Knows every model whose name is one letter."""

    async def entries(self) -> Sequence[ModelEntry]:
        return ()

    async def find(self, name: str) -> ModelEntry:
        if len(name) > 1:
            raise ModelNotFoundError(f"no {name}")
        return ModelEntry(id=name, name=name, path=Path(name), size_bytes=1)


@pytest.fixture
def launcher() -> RecordingLauncher:
    return RecordingLauncher()


@pytest.fixture
def coordinator(launcher: RecordingLauncher) -> Coordinator:
    return build(launcher)


def build(launcher: RecordingLauncher, *, default: str | None = "d", limit: int = 2) -> Coordinator:
    return Coordinator(
        FixedCatalogue(), launcher, default_model=default, max_loaded_models=limit, queue_limit=3
    )


async def use(coordinator: Coordinator, model: str | None = None) -> str:
    async with coordinator.acquire(model) as lease:
        return lease.entry.id


def loaded_ids(coordinator: Coordinator) -> set[str]:
    return {r.entry.id for r in coordinator.residents() if r.state is ModelState.READY}


async def test_the_default_model_is_loaded_on_first_use(coordinator: Coordinator) -> None:
    assert await use(coordinator) == "d"
    current = coordinator.current
    assert current is not None
    assert (current.entry.id, current.state, current.progress) == ("d", ModelState.READY, 1.0)


async def test_without_any_model_the_error_says_what_to_do(launcher: RecordingLauncher) -> None:
    with pytest.raises(NoModelLoadedError, match="POST /models/load"):
        await use(build(launcher, default=None))


async def test_a_load_that_many_want_happens_once(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    assert await asyncio.gather(*(use(coordinator, "a") for _ in range(10))) == ["a"] * 10
    assert launcher.started == ["a"]


async def test_a_loaded_model_becomes_the_current_one(coordinator: Coordinator) -> None:
    await use(coordinator)
    first, second = await coordinator.load("a"), await coordinator.load("a")
    assert (first.already_loaded, second.already_loaded) == (False, True)
    assert await use(coordinator) == "a"


async def test_a_request_for_a_named_model_leaves_the_current_one_alone(coordinator: Coordinator) -> None:
    await use(coordinator)
    assert await use(coordinator, "a") == "a"
    assert await use(coordinator) == "d"


async def test_the_least_recently_used_idle_model_makes_room(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    for model in ("a", "b", "a", "c"):
        await use(coordinator, model)
    await asyncio.sleep(0)
    assert loaded_ids(coordinator) == {"a", "c"}
    assert launcher.workers["b"].closed == 1


async def test_a_busy_model_stays_until_its_request_ends(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    async with coordinator.acquire("a"), coordinator.acquire("b"):
        await use(coordinator, "c")
        await use(coordinator, "e")
        assert {"a", "b"} <= loaded_ids(coordinator)
    await asyncio.sleep(0)
    assert len(loaded_ids(coordinator)) == 2


async def test_a_model_that_fails_to_load_leaves_the_earlier_one_in_place(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    await use(coordinator)
    launcher.broken.add("x")
    with pytest.raises(ModelLoadError):
        await coordinator.load("x")
    assert await use(coordinator) == "d"
    failed = next(r for r in coordinator.residents() if r.entry.id == "x")
    assert (failed.state, failed.error) == (ModelState.FAILED, "x cannot be run")
    launcher.broken.clear()
    assert (await coordinator.load("x")).entry.id == "x"


async def test_a_dead_worker_is_replaced_on_the_next_use(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    await use(coordinator, "a")
    dead = launcher.workers["a"]
    dead.is_alive = False
    assert coordinator.residents()[0].state is ModelState.FAILED
    await use(coordinator, "a")
    assert launcher.workers["a"] is not dead
    assert dead.closed == 1


async def test_a_waiter_that_leaves_does_not_cancel_the_load(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    launcher.gate.clear()
    waiter = asyncio.create_task(use(coordinator, "a"))
    await asyncio.sleep(0.01)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert coordinator.residents()[0].progress == 0.5
    launcher.gate.set()
    await use(coordinator, "a")
    assert launcher.started == ["a"]


async def test_unloading_while_loading_tells_those_who_wait(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    launcher.gate.clear()
    waiter = asyncio.create_task(use(coordinator, "a"))
    await asyncio.sleep(0.01)
    assert await coordinator.unload("a") is not None
    with pytest.raises(OverloadedError, match="unloaded"):
        await waiter
    assert coordinator.residents() == ()


async def test_unload_frees_the_current_model(coordinator: Coordinator, launcher: RecordingLauncher) -> None:
    await use(coordinator)
    entry = await coordinator.unload()
    assert entry is not None
    assert entry.id == "d"
    assert launcher.workers["d"].closed == 1
    assert coordinator.current is None
    assert await coordinator.unload() is None


async def test_leaving_a_stream_aborts_the_request(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    async with coordinator.acquire("a") as lease, aclosing(lease.generate(REQUEST)) as events:
        assert await anext(events) == TextDelta("a")
    assert launcher.workers["a"].aborted == 1


async def test_a_whole_text_is_collected(coordinator: Coordinator, launcher: RecordingLauncher) -> None:
    async with coordinator.acquire("a") as lease:
        launcher.workers["a"].go.set()
        completion = await lease.complete(REQUEST)
    assert completion.text == "a"
    assert completion.finished.reason is FinishReason.STOP


async def test_cancelling_a_whole_text_aborts_it(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    async with coordinator.acquire("a") as lease:
        task = asyncio.create_task(lease.complete(REQUEST))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert launcher.workers["a"].aborted == 1


async def test_a_full_queue_says_when_to_come_again(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    async with coordinator.acquire("a") as lease:
        tasks = [asyncio.create_task(lease.complete(REQUEST)) for _ in range(LOADED.slots + 3)]
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError) as caught:
            await lease.complete(REQUEST)
        assert caught.value.retry_after_s
        launcher.workers["a"].go.set()
        await asyncio.gather(*tasks)


async def test_closing_ends_every_worker_and_refuses_what_comes_later(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    await use(coordinator, "a")
    await use(coordinator, "b")
    await coordinator.close()
    assert all(worker.closed for worker in launcher.workers.values())
    with pytest.raises(OverloadedError, match="stopping"):
        await use(coordinator, "a")
    await coordinator.close()


def test_the_policy_never_evicts_a_busy_model_nor_the_one_to_keep() -> None:
    loaded = [Candidate("a", True, 1), Candidate("b", False, 2), Candidate("c", False, 3)]
    assert choose_evictions(loaded, limit=1, keep="c") == ["b"]
    assert choose_evictions(loaded, limit=3, keep="c") == []
    assert choose_evictions(loaded, limit=0, keep="") == ["b", "c"]
