"""A daemon over a scripted model, and a client for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import ScriptedLauncher


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with run_daemon(tmp_path) as running:
        yield running


@pytest.fixture
async def client(daemon: RunningDaemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with daemon.client() as session:
        yield session


@pytest.fixture
def launcher(daemon: RunningDaemon) -> ScriptedLauncher:
    return daemon.launcher
