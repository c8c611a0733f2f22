"""A worker as the daemon sees it, with children that keep or break the contract."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import cast

import psutil
import pytest

from puna import launch
from puna.domain.generation import Finished, FinishReason, GenerationRequest, TextDelta, TextPrompt
from puna.domain.models import ModelEntry
from puna.engine import remote
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.engine.process import WorkerProcess, describe_exit
from puna.engine.protocol import Load
from puna.engine.remote import RemoteWorker
from puna.errors import (
    GenerationTimeoutError,
    ModelLoadError,
    OverloadedError,
    WorkerDiedError,
    WorkerDiedLoadingError,
)

FAKE = Path(__file__).parents[1] / "fakes" / "fake_worker.py"
DAEMON = Path(remote.__file__).parents[2]

Start = Callable[..., Awaitable[RemoteWorker]]


def request(text: str = "one two three") -> GenerationRequest:
    return GenerationRequest(prompt=TextPrompt(text))


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    workers: list[RemoteWorker] = []
    processes: list[WorkerProcess] = []

    async def start_worker(mode: str, *, generation_timeout_s: float = 60.0) -> RemoteWorker:
        process = await WorkerProcess.start(
            [sys.executable, str(FAKE), mode],
            {**os.environ, "PYTHONPATH": str(DAEMON)},
            tmp_path / "worker.log",
        )
        processes.append(process)
        progress: list[float] = []
        worker = await remote.load(
            process,
            Load(path="x"),
            "fake",
            on_progress=progress.append,
            generation_timeout_s=generation_timeout_s,
        )
        assert progress == [0.5]
        workers.append(worker)
        return worker

    yield start_worker
    for worker in workers:
        await worker.close()
    for process in processes:
        await process.end(0.1)
        assert not psutil.pid_exists(process.pid)


async def test_a_request_yields_text_and_its_end(start: Start) -> None:
    worker = await start("echo")
    events = [event async for event in worker.generate(request())]
    assert events[:3] == [TextDelta("one"), TextDelta("two"), TextDelta("three")]
    assert isinstance(events[3], Finished)
    assert events[3].reason is FinishReason.STOP


async def test_requests_that_run_together_do_not_mix(start: Start) -> None:
    worker = await start("echo")

    async def collect(text: str) -> list[str]:
        return [e.text async for e in worker.generate(request(text)) if isinstance(e, TextDelta)]

    texts = await asyncio.gather(*(collect(f"a{i} b{i}") for i in range(20)))
    assert texts == [[f"a{i}", f"b{i}"] for i in range(20)]


async def test_leaving_a_request_aborts_it_in_the_worker(start: Start) -> None:
    worker = await start("wait")
    async with aclosing(worker.generate(request())) as events:
        assert await anext(events) == TextDelta("waiting")
    async with asyncio.timeout(60):
        while worker.status.steps == 0:
            await asyncio.sleep(0.01)
    assert worker.is_alive


async def test_a_crash_reaches_every_open_request_with_signal_and_last_words(start: Start) -> None:
    worker = await start("crash")

    async def fail() -> str:
        with pytest.raises(WorkerDiedError) as caught:
            async for _ in worker.generate(request()):
                pass
        return caught.value.message

    messages = await asyncio.gather(*(fail() for _ in range(8)))
    assert len(set(messages)) == 1
    if sys.platform != "win32":
        assert "signal 6 (SIGABRT)" in messages[0]
    assert "GGML_ASSERT(false) failed" in messages[0]
    assert "fake.gguf" in messages[0]
    assert "/home/someone" not in messages[0]
    assert not worker.is_alive
    with pytest.raises(WorkerDiedError):
        await anext(worker.generate(request()))


async def test_a_kill_from_outside_is_told_apart(start: Start) -> None:
    worker = await start("wait")
    events = worker.generate(request())
    await anext(events)
    psutil.Process(worker.pid).kill()
    with pytest.raises(WorkerDiedError, match="SIGKILL" if sys.platform != "win32" else "exit code"):
        await anext(events)


async def test_text_on_the_pipe_ends_the_worker_and_not_the_daemon(start: Start) -> None:
    worker = await start("babble")
    with pytest.raises(WorkerDiedError):
        await anext(worker.generate(request()))


async def test_silence_ends_the_request_and_not_the_worker(start: Start) -> None:
    worker = await start("wait")
    events = worker.generate(request())
    assert await anext(events) == TextDelta("waiting")
    worker._timeout_s = 0.2
    with pytest.raises(GenerationTimeoutError):
        await anext(events)
    assert worker.is_alive


async def test_a_worker_that_hangs_is_ended_and_fails_all_its_requests(start: Start) -> None:
    worker = await start("wait")
    worker._vigil._patience_s = 1.0
    open_request, left_request = worker.generate(request()), worker.generate(request())
    assert await anext(open_request) == await anext(left_request) == TextDelta("waiting")
    await worker.count_tokens(TextPrompt("all that was sent is heard"))
    psutil.Process(worker.pid).suspend()
    await left_request.aclose()
    with pytest.raises(WorkerDiedError, match=r"it hung, and was ended after \d+ s of silence"):
        await anext(open_request)
    assert not worker.is_alive
    assert "it hung" in await worker.wait_end()
    with pytest.raises(WorkerDiedError, match="loaded again on the next request"):
        await worker.count_tokens(TextPrompt("a"))


async def test_a_worker_that_hangs_keeps_no_large_request_for_ever(start: Start) -> None:
    worker = await start("echo", generation_timeout_s=0.5)
    psutil.Process(worker.pid).suspend()
    with pytest.raises(GenerationTimeoutError):
        await anext(worker.generate(request("a" * 10_000_000)))
    assert "it hung" in await worker.wait_end()


async def test_a_worker_that_is_only_silent_is_asked_and_stays(start: Start) -> None:
    worker = await start("wait")
    events = worker.generate(request())
    assert await anext(events) == TextDelta("waiting")
    await worker.count_tokens(TextPrompt("all that was sent is heard"))
    asked_s = asyncio.get_running_loop().time()
    worker._vigil._heard_s = asked_s - 60.0
    worker._vigil.doubt(asked_s - 60.0)
    async with asyncio.timeout(60):
        while worker._vigil._heard_s < asked_s:
            await asyncio.sleep(0.01)
    assert worker._vigil._timer is None
    assert worker.is_alive
    await events.aclose()


async def test_a_child_that_a_kill_does_not_reach_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pipe:
        def close(self) -> None:
            pass

    class Stuck:
        stdin = Pipe()
        kills = 0

        def kill(self) -> None:
            self.kills += 1

        async def wait(self) -> int:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr("puna.engine.process._DYING_GRACE_S", 0.01)
    monkeypatch.setattr("puna.engine.process._KILLED_GRACE_S", 0.01)
    stuck = Stuck()
    process = WorkerProcess(cast("Process", stuck), tmp_path / "worker.log", 0)
    await process.end(0.01)
    assert stuck.kills
    assert await process.describe_end() == "a kill does not end it"


async def test_closing_fails_open_requests_with_a_way_on(start: Start) -> None:
    worker = await start("wait")
    events = worker.generate(request())
    await anext(events)
    await worker.close()
    with pytest.raises(OverloadedError, match="unloaded"):
        await anext(events)
    await worker.close()


async def test_a_model_that_cannot_be_loaded_says_why(start: Start) -> None:
    with pytest.raises(ModelLoadError, match=r"fake\.gguf cannot be run: no"):
        await start("refuse")


async def test_a_death_while_loading_carries_the_exit_code(start: Start) -> None:
    with pytest.raises(ModelLoadError, match="exit code 7"):
        await start("die")


async def test_a_pipe_that_uvloop_knows_to_be_closed_is_a_lost_connection(tmp_path: Path) -> None:
    class ClosedPipe:
        def write(self, data: bytes) -> None:
            raise RuntimeError("unable to perform operation on <WriteUnixTransport closed=True>")

    class Gone:
        stdin = ClosedPipe()

    process = WorkerProcess(cast("Process", Gone()), tmp_path / "worker.log", 0)
    with pytest.raises(ConnectionResetError):
        await process.write([Load(path="x")])


async def test_a_worker_that_cannot_be_started_is_a_failed_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "child_command", lambda *_: [str(tmp_path / "no program")])
    entry = ModelEntry(id="demo", name="demo", path=tmp_path / "demo.gguf", size_bytes=1)
    with pytest.raises(ModelLoadError, match="worker of demo cannot be started") as caught:
        await WorkerLauncher(WorkerOptions(log_dir=tmp_path)).launch(entry, lambda _: None)
    assert str(tmp_path) not in caught.value.message


async def test_a_file_whose_name_is_no_unicode_is_a_failed_load(tmp_path: Path) -> None:
    entry = ModelEntry(id="odd", name="odd", path=tmp_path / "\udcff.gguf", size_bytes=1)
    launcher = WorkerLauncher(WorkerOptions(log_dir=tmp_path))
    with pytest.raises(ModelLoadError, match="rename it"):
        await launcher.launch(entry, lambda _: None)
    assert launcher.worker_pids() == []


async def test_a_child_that_ignores_its_pipe_is_killed(tmp_path: Path) -> None:
    process = await WorkerProcess.start(
        [sys.executable, str(FAKE), "hang"],
        {**os.environ, "PYTHONPATH": str(DAEMON)},
        tmp_path / "worker.log",
    )
    await process.write([Load(path="x")])
    await process.end(0.2)
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize(
    ("program", "last_word"),
    [
        ("def inner():\n    raise ValueError('boom')\ninner()", "ValueError: boom"),
        ("import faulthandler, os, sys; faulthandler.enable(); print('GGML_ASSERT', file=sys.stderr); os.abort()",
         "GGML_ASSERT"),
    ],
)  # fmt: skip
async def test_last_words_hold_no_traceback(tmp_path: Path, program: str, last_word: str) -> None:
    process = await WorkerProcess.start([sys.executable, "-c", program], os.environ, tmp_path / "worker.log")
    words = await process.describe_end()
    await process.end(5)
    assert last_word in words
    assert all(trace not in words for trace in ("Traceback", "File ", "inner", "most recent call", "line "))


def test_exit_codes_read_as_words() -> None:
    assert describe_exit(3) == "exit code 3"
    if sys.platform != "win32":
        assert describe_exit(-9) == "signal 9 (SIGKILL)"


async def test_a_child_that_closes_its_pipe_and_stays_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.engine.process._DYING_GRACE_S", 0.2)
    program = "import os, time; os.close(1); time.sleep(1000)"
    process = await WorkerProcess.start([sys.executable, "-c", program], os.environ, tmp_path / "worker.log")
    with pytest.raises(WorkerDiedLoadingError):
        await remote.load(
            process, Load(path="x"), "fake", on_progress=lambda _: None, generation_timeout_s=60
        )
    assert not psutil.pid_exists(process.pid)


async def test_a_large_log_becomes_the_previous_one(tmp_path: Path) -> None:
    log_file = tmp_path / "worker.log"
    log_file.write_bytes(b"old\n" * 300_000)
    process = await WorkerProcess.start(
        [sys.executable, "-c", "import sys; sys.exit('last words')"], os.environ, log_file
    )
    assert "last words" in await process.describe_end()
    await process.end(5)
    assert log_file.stat().st_size < 100
    assert (tmp_path / "worker.previous.log").stat().st_size == 1_200_000
