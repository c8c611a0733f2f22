"""No child is left behind by a load that is cancelled in the midst of its failure."""

import asyncio
from pathlib import Path

import pytest

from fakes.running_daemon import until
from puna.domain.models import ModelEntry
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.engine.protocol import Failed
from puna.errors import ErrorKind


class LingeringProcess:
    """Says that its model cannot be loaded, and takes its time to end."""

    is_running = True
    pid = 1

    def __init__(self) -> None:
        self.is_asked_to_end = False
        self.may_end = asyncio.Event()

    async def write(self, messages: object) -> None:
        pass

    async def read(self) -> list[Failed]:
        return [Failed(None, ErrorKind.MODEL_LOAD_FAILED, "no")]

    async def end(self, grace_s: float) -> None:
        self.is_asked_to_end = True
        await self.may_end.wait()
        self.is_running = False


async def test_a_load_that_is_cancelled_while_it_fails_is_over_when_its_child_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = LingeringProcess()

    async def start(entry: ModelEntry) -> LingeringProcess:
        return process

    launcher = WorkerLauncher(WorkerOptions(log_dir=tmp_path))
    monkeypatch.setattr(launcher, "_start", start)
    entry = ModelEntry(id="m", name="m", path=tmp_path / "m.gguf", size_bytes=1)
    loading = asyncio.create_task(launcher.launch(entry, lambda _: None))
    await until(lambda: process.is_asked_to_end)
    loading.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not loading.done()
    process.may_end.set()
    await asyncio.wait([loading])
    assert loading.cancelled()
    assert launcher.worker_pids() == []
