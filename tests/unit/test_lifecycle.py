"""Start and stop of the daemon: whatever fails, all that was begun is closed, in the written order."""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from puna import listening
from puna.bookkeeping import Bookkeeper
from puna.config import Settings
from puna.conversations.archive import Archive
from puna.downloads.desk import HubDesk
from puna.downloads.service import DownloadService
from puna.engine.probe import LlamaProbe
from puna.errors import StoreError
from puna.files import make_private_folder
from puna.finetune.service import FinetuneService
from puna.instance import Endpoint
from puna.jobs.service import JobService
from puna.keys.records import NewKey
from puna.keys.ring import KeyRing
from puna.lifecycle import Daemon
from puna.paths import Paths
from puna.residency.coordinator import Coordinator
from puna.store.database import Database
from puna.webhooks.service import WebhookService

CLOSED_IN_ORDER = [
    (FinetuneService, "close"),
    (WebhookService, "close"),
    (HubDesk, "close"),
    (JobService, "close"),
    (Coordinator, "close"),
    (LlamaProbe, "close"),
    (web.AppRunner, "cleanup"),
    (Bookkeeper, "close"),
]
NAMES = [kind.__name__ for kind, _ in CLOSED_IN_ORDER]
STARTED = [
    (JobService, "start"),
    (Archive, "remove_expired"),
    (DownloadService, "start"),
    (WebhookService, "start"),
    (FinetuneService, "start"),
    (web.SockSite, "start"),
    (KeyRing, "create_first"),
]


class Home:
    """A daemon on a folder of its own, and what it closes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths.under(folder)
        make_private_folder(self.paths.run_dir)
        self.database = Database.open(self.paths.database_file)
        self.closed: list[str] = []
        self.unfit: set[str] = set()
        self.signals: dict[int, object] = {}
        """What is done at each signal while the daemon runs."""
        settings = Settings(port=0, load_on_start=False, offline=True, hub_cache=folder / "hub")
        keys = KeyRing.read(self.database, time.time)
        self.daemon = Daemon(settings, self.paths, self.database, keys, makes_first_key=True)
        for kind, method in CLOSED_IN_ORDER:
            self._watch(monkeypatch, kind, method)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, kind: type, method: str) -> None:
        original = getattr(kind, method)

        async def close(this: object) -> None:
            self.closed.append(kind.__name__)
            await original(this)
            if kind.__name__ in self.unfit:
                raise RuntimeError("something of which nobody thought")

        monkeypatch.setattr(kind, method, close)

    async def run(self) -> None:
        """Run until it is asked to stop, which is at once."""

        def stop(endpoint: Endpoint, first_key: NewKey | None) -> None:
            assert self.paths.endpoint_file.exists()
            self.signals = {number: signal.getsignal(number) for number in signal.valid_signals()}
            self.daemon.request_stop()

        sockets = listening.bind("127.0.0.1", 0)
        try:
            async with asyncio.timeout(60):
                await self.daemon.run(sockets, stop)
        finally:
            for each in sockets:
                each.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    home = Home(tmp_path, monkeypatch)
    yield home
    gc.unfreeze()
    home.database.close()


@pytest.mark.parametrize("unfit", NAMES)
async def test_one_that_cannot_be_closed_keeps_no_other_from_it(
    home: Home, caplog: pytest.LogCaptureFixture, unfit: str
) -> None:
    home.unfit.add(unfit)
    await home.run()
    assert home.closed == NAMES
    assert "something of which nobody thought" in caplog.text
    assert not home.paths.endpoint_file.exists()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("kind", "method"), STARTED)
async def test_a_start_that_fails_half_way_closes_all(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: type, method: str
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(kind, method, fail)
    with pytest.raises(StoreError):
        await home.run()
    assert home.closed == NAMES
    assert not home.paths.endpoint_file.exists()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("kind", "method"), STARTED)
async def test_a_start_that_is_broken_off_closes_all(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: type, method: str
) -> None:
    begun = asyncio.Event()

    async def hang(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(kind, method, hang)
    running = asyncio.create_task(home.run())
    async with asyncio.timeout(60):
        await begun.wait()
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled()
    assert home.closed == NAMES
    assert not home.paths.endpoint_file.exists()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("is_ignored", [False, True])
async def test_a_daemon_that_shall_outlive_its_terminal_does(home: Home, is_ignored: bool) -> None:
    """As with `nohup puna serve &`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    try:
        await home.run()
        assert (home.signals[signal.SIGHUP] is signal.SIG_IGN) == is_ignored
        assert home.signals[signal.SIGTERM] is not signal.SIG_DFL
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)
