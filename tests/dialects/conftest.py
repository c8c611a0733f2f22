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


@pytest.fixture
async def key(daemon: RunningDaemon) -> str:
    """The secret of a key that may infer and nothing else."""
    return await daemon.make_key()


@pytest.fixture
async def keyed(daemon: RunningDaemon, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with that key, for the dialects that ask for one."""
    async with daemon.client(X_Api_Key=key) as session:
        yield session
