"""How the end of a worker is heard by those who wait for it, and by those who have left."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from fakes.fake_worker import LOADED
from fakes.running_daemon import until
from puna.domain.generation import TextPrompt
from puna.engine.process import WorkerProcess
from puna.engine.remote import RemoteWorker
from puna.errors import OverloadedError, WorkerDiedError


class HeldProcess:
    """A child whose pipe for requests is broken; its own end and that of its answers come when a test says so."""

    def __init__(self) -> None:
        self.is_silent = asyncio.Event()
        self.is_gone = asyncio.Event()

    async def read(self) -> None:
        await self.is_silent.wait()

    async def write(self, messages: object) -> None:
        raise BrokenPipeError

    def write_soon(self, messages: object) -> None:
        pass

    def kill(self) -> None:
        pass

    async def end(self, grace_s: float) -> None:
        await self.is_gone.wait()

    async def describe_end(self) -> str:
        await self.is_gone.wait()
        return "signal 9"


@pytest.fixture
async def process() -> HeldProcess:
    return HeldProcess()


@pytest.fixture
async def worker(process: HeldProcess) -> AsyncIterator[RemoteWorker]:
    worker = RemoteWorker(cast("WorkerProcess", process), LOADED, "m", generation_timeout_s=600.0)
    yield worker
    process.is_silent.set()
    process.is_gone.set()
    await asyncio.wait([worker._pump])


async def test_a_client_that_leaves_while_the_worker_dies_hides_its_death_from_nobody(
    process: HeldProcess, worker: RemoteWorker
) -> None:
    async with asyncio.timeout(60):
        leaving, staying = (asyncio.create_task(worker.count_tokens(TextPrompt("a"))) for _ in range(2))
        watch = asyncio.create_task(worker.wait_end())
        process.is_silent.set()
        for _ in range(10):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        process.is_gone.set()
        with pytest.raises(WorkerDiedError, match="signal 9"):
            await staying
        assert await watch == "signal 9"
        assert leaving.cancelled()
        assert not worker.is_alive


async def test_a_worker_whose_pipe_is_closed_is_offered_to_nobody_while_its_process_still_ends(
    process: HeldProcess, worker: RemoteWorker
) -> None:
    async with asyncio.timeout(60):
        process.is_silent.set()
        await until(lambda: not worker.is_alive)
        holds_it_already = asyncio.create_task(worker.count_tokens(TextPrompt("a")))
        await asyncio.sleep(0)
        process.is_gone.set()
        with pytest.raises(WorkerDiedError, match="signal 9"):
            await holds_it_already


async def test_a_child_whose_pipe_never_ends_holds_up_no_closing(
    process: HeldProcess, worker: RemoteWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.engine.remote._LAST_FRAMES_GRACE_S", 0.01, raising=False)
    process.is_gone.set()
    async with asyncio.timeout(60):
        await worker.close()
        await worker.close()
        assert await worker.wait_end() == "signal 9"
    with pytest.raises(OverloadedError, match="unloaded"):
        await worker.count_tokens(TextPrompt("a"))


async def test_closing_lets_the_last_frames_come(process: HeldProcess, worker: RemoteWorker) -> None:
    process.is_gone.set()
    closing = asyncio.create_task(worker.close())
    await asyncio.sleep(0)
    process.is_silent.set()
    async with asyncio.timeout(60):
        await closing
    assert not worker._reading.expired()
