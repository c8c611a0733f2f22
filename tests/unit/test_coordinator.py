"""The one owner of what is in memory."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from fakes.boundless_memory import BoundlessMemory
from fakes.fake_worker import LOADED
from fakes.text_only import TextOnly
from fakes.virtual_time import run_virtually
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    TextDelta,
    TextPrompt,
    Usage,
)
from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, ModelState, WorkerStatus
from puna.errors import ModelLoadError, ModelNotFoundError, NoModelLoadedError, OverloadedError
from puna.residency.coordinator import Coordinator
from puna.residency.ports import Worker
from puna.residency.ticket import Ticket

REQUEST = GenerationRequest(prompt=TextPrompt("x"))


class ScriptedWorker(TextOnly):
    """Says one word, waits for `go`, and ends."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.is_alive = True
        self.closed = 0
        self.aborted = 0
        self.go = asyncio.Event()
        self.end = asyncio.Event()
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

    def die(self) -> None:
        self.is_alive = False
        self.end.set()

    async def wait_end(self) -> str:
        await self.end.wait()
        return "signal 9 (SIGKILL); its last words: out of memory"

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

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> ScriptedWorker:
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


def build(
    launcher: RecordingLauncher,
    *,
    default: str | None = "d",
    limit: int = 2,
    queue_limit: int = 10,
) -> Coordinator:
    return Coordinator(
        FixedCatalogue(),
        launcher,
        BoundlessMemory(),
        default_model=default,
        max_loaded_models=limit,
        queue_limit=queue_limit,
        room_timeout_s=600.0,
    )


async def settle() -> None:
    """Let everything happen that can: nothing here waits for a thread or a clock."""
    for _ in range(50):
        await asyncio.sleep(0)


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
    await settle()
    assert loaded_ids(coordinator) == {"a", "c"}
    assert launcher.workers["b"].closed == 1


async def test_whoever_needs_the_room_of_busy_models_waits_for_the_first_to_end(
    coordinator: Coordinator,
) -> None:
    async with coordinator.acquire("a"):
        async with coordinator.acquire("b"):
            waiter = asyncio.create_task(use(coordinator, "c"))
            await settle()
            assert loaded_ids(coordinator) == {"a", "b"}
        assert await waiter == "c"
        assert loaded_ids(coordinator) == {"a", "c"}


def test_waiting_for_room_has_an_end_that_names_what_is_in_the_way(launcher: RecordingLauncher) -> None:
    async def main() -> None:
        coordinator = build(launcher)
        async with coordinator.acquire("a"), coordinator.acquire("b"):
            with pytest.raises(
                OverloadedError, match=r"c found no room .* because a and b were in use"
            ) as caught:
                await use(coordinator, "c")
            assert caught.value.retry_after_s
        assert await use(coordinator, "b") == "b"
        assert loaded_ids(coordinator) == {"a", "b"}

    run_virtually(main())


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
    assert failed.deaths == 0
    launcher.broken.clear()
    assert (await coordinator.load("x")).entry.id == "x"


async def test_a_dead_worker_is_replaced_on_the_next_use(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    await use(coordinator, "a")
    dead = launcher.workers["a"]
    dead.die()
    await settle()
    (resident,) = coordinator.residents()
    assert (resident.state, resident.deaths) == (ModelState.FAILED, 1)
    assert resident.error == "The worker of a died (signal 9 (SIGKILL); its last words: out of memory)."
    await use(coordinator, "a")
    assert launcher.workers["a"] is not dead
    assert dead.closed == 1


async def test_a_waiter_that_leaves_does_not_cancel_the_load(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    launcher.gate.clear()
    waiter = asyncio.create_task(use(coordinator, "a"))
    await settle()
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
    await settle()
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


async def test_who_leaves_while_a_model_is_unloaded_does_not_keep_its_worker_alive(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    await use(coordinator, "a")
    worker = launcher.workers["a"]
    may_end = asyncio.Event()
    close = worker.close

    async def close_slowly() -> None:
        await may_end.wait()
        await close()

    worker.close = close_slowly  # type: ignore[method-assign]  # as a worker that takes its time
    leaving = asyncio.create_task(coordinator.unload("a"))
    await settle()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert coordinator.ledger.claims == 1, "it is still there"
    may_end.set()
    await settle()
    assert (worker.closed, coordinator.ledger.claims) == (1, 0)


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
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert launcher.workers["a"].aborted == 1


async def test_a_full_queue_says_when_to_come_again(launcher: RecordingLauncher) -> None:
    coordinator = build(launcher, queue_limit=3)
    async with coordinator.acquire("a") as lease:
        tasks = [asyncio.create_task(lease.complete(REQUEST)) for _ in range(LOADED.slots + 3)]
        await settle()
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


async def test_the_queue_for_a_model_that_loads_is_bounded_too(launcher: RecordingLauncher) -> None:
    coordinator = build(launcher, queue_limit=3)
    launcher.gate.clear()
    waiters = [asyncio.create_task(use(coordinator, "a")) for _ in range(3)]
    await settle()
    with pytest.raises(OverloadedError, match="3 requests wait"):
        await use(coordinator, "b")
    launcher.gate.set()
    assert await asyncio.gather(*waiters) == ["a"] * 3


async def test_a_waiter_that_leaves_in_the_moment_in_which_it_is_let_in_leaves_no_lease_behind(
    coordinator: Coordinator, launcher: RecordingLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher.gate.clear()
    waiter = asyncio.create_task(use(coordinator, "a"))
    let_in = Ticket.grant

    def let_in_and_cancel(ticket: Ticket, worker: Worker) -> None:
        let_in(ticket, worker)
        waiter.cancel()

    monkeypatch.setattr(Ticket, "grant", let_in_and_cancel)
    await settle()
    launcher.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    monkeypatch.setattr(Ticket, "grant", let_in)
    assert [place.leases for place in coordinator._places.values()] == [0]


async def test_requests_that_wait_for_a_load_are_served_while_the_daemon_drains(
    coordinator: Coordinator, launcher: RecordingLauncher
) -> None:
    launcher.gate.clear()
    waiter = asyncio.create_task(use(coordinator, "a"))
    await settle()
    coordinator.refuse_new_work()
    launcher.gate.set()
    assert await waiter == "a"
    with pytest.raises(OverloadedError, match="stopping"):
        await use(coordinator, "a")


async def test_a_pinned_model_stays_and_is_named_where_it_is_in_the_way(launcher: RecordingLauncher) -> None:
    coordinator = build(launcher, limit=1)
    async with coordinator.acquire("a", keep_alive_s=math.inf):
        pass
    with pytest.raises(
        OverloadedError, match=r"a must stay in memory, and max_loaded_models is 1; unload"
    ) as caught:
        await use(coordinator, "b")
    assert caught.value.retry_after_s
    assert await use(coordinator, "a") == "a"
    assert coordinator.residents()[0].is_pinned, "a request that wishes nothing leaves the pin alone"
    await coordinator.unload("a")
    assert await use(coordinator, "b") == "b"
