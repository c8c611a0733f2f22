"""Real workers with the demo model, on one thread."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from puna.domain.models import ModelEntry
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.engine.remote import RemoteWorker
from puna.paths import Paths

StartWorker = Callable[..., Awaitable[RemoteWorker]]


@pytest.fixture
def demo_file() -> Path:
    return Paths.for_user(os.environ).demo_model


@pytest.fixture
def demo(demo_file: Path) -> ModelEntry:
    return ModelEntry(id="demo", name="demo", path=demo_file, size_bytes=demo_file.stat().st_size)


@pytest.fixture
async def start_worker(tmp_path: Path, demo: ModelEntry) -> AsyncIterator[StartWorker]:
    workers: list[RemoteWorker] = []

    async def start(entry: ModelEntry = demo, *, context_length: int | None = None) -> RemoteWorker:
        options = WorkerOptions(log_dir=tmp_path, threads=1, context_length=context_length)
        worker = await WorkerLauncher(options).launch(entry, lambda _progress: None)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        await worker.close()
        assert not psutil.pid_exists(worker.pid)


@pytest.fixture
async def worker(start_worker: StartWorker) -> RemoteWorker:
    return await start_worker()
