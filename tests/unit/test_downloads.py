"""Downloads as jobs: begun, paused, cancelled, taken up again, and told to whoever listens."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes.running_daemon import until
from puna.domain.downloads import Download, DownloadOrder, DownloadState, OrderedFile
from puna.domain.hardware import Memory
from puna.domain.models import Device
from puna.downloads import room
from puna.downloads.board import Board, Job
from puna.downloads.estimator import RateEstimator
from puna.downloads.journal import StoredJournal
from puna.downloads.room import measure_room
from puna.downloads.service import MAX_ENDED, MAX_OPEN, DownloadService
from puna.errors import InvalidRequestError, NotFoundError, OverloadedError, StoreError
from puna.hub.failures import DiskFullError, HubUnreachableError
from puna.hub.ports import Wanted, Watch
from puna.store.database import Database

SIZE = 100


def order_of(*names: str, repo: str = "org/repo") -> DownloadOrder:
    return DownloadOrder(
        name=f"{repo}:{names[0]}",
        repo=repo,
        revision="main",
        commit="c" * 40,
        label="",
        files=tuple(OrderedFile(name=name, size_bytes=SIZE, etag=f"{name:0>64}") for name in names),
    )


@dataclass
class Disk:
    """A Hub, a network and a disk in one; implements `Fetcher`. Files come when the test says so."""

    have: dict[str, int] = field(default_factory=dict)
    running: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    concluded: list[str] = field(default_factory=list)
    room: int = 10_000
    is_read_only: bool = False

    async def fetch(self, wanted: Wanted, watch: Watch) -> Path:
        self.begun.append(wanted.name)
        if self.have.get(wanted.name) != SIZE:
            self.running[wanted.name] = asyncio.get_running_loop().create_future()
            self.have[wanted.name] = max(self.have.get(wanted.name, 0), 10)
            watch.arrived(self.have[wanted.name], SIZE)
            try:
                await self.running[wanted.name]
            finally:
                del self.running[wanted.name]
        self.have[wanted.name] = SIZE
        watch.arrived(SIZE, SIZE)
        return Path("/cache") / wanted.name

    async def check_room(self, name: str, missing_bytes: int, *, promised_bytes: int = 0) -> None:
        await asyncio.sleep(0)
        if missing_bytes + promised_bytes > self.room:
            raise DiskFullError(f"no room for {missing_bytes} beside {promised_bytes}")

    async def conclude(self, repo: str, revision: str, commit: str) -> None:
        if self.is_read_only:
            raise StoreError("The Hub's cache cannot be written: Read-only file system.")
        self.concluded.append(repo)

    async def measure(self, wanted: Wanted, etag: str | None) -> int:
        return self.have.get(wanted.name, 0)

    async def discard(self, wanted: Wanted, etag: str | None) -> None:
        self.have.pop(wanted.name, None)

    async def let(self, *names: str) -> None:
        """Let these files come to their end."""
        for name in names:
            await until(lambda name=name: name in self.running)  # type: ignore[misc]
            self.running[name].set_result(None)
            await until(lambda name=name: name not in self.running)  # type: ignore[misc]
        await settle()

    async def fail(self, name: str) -> None:
        await until(lambda: name in self.running)
        self.running[name].set_exception(HubUnreachableError("Cannot reach the Hub."))
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class Home:
    """A disk that stays, and daemons that come and go."""

    path: Path
    disk: Disk = field(default_factory=Disk)
    files_at_once: int = 2
    time_s: float = 0.0

    @asynccontextmanager
    async def run(self) -> AsyncIterator[DownloadService]:
        database = await asyncio.to_thread(Database.open, self.path / "puna.db")
        service = DownloadService(
            self.disk,
            StoredJournal(database),
            files_at_once=self.files_at_once,
            clock=lambda: self.time_s,
            now=lambda: 1_000_000 + self.time_s,
        )
        await service.start()
        try:
            yield service
        finally:
            await service.close()
            await asyncio.to_thread(database.close)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def ended(service: DownloadService, download_id: str) -> Download:
    return await service.wait(download_id, 60)


async def test_a_download_is_done_when_all_its_files_are_there(home: Home) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a", "b"))
        assert download.state is DownloadState.RUNNING
        await home.disk.let("a")
        assert service.get(download.id).done_bytes == SIZE + 10
        await home.disk.let("b")
        done = await ended(service, download.id)
        assert (done.state, done.path, done.done_bytes) == (DownloadState.DONE, "/cache/a", 2 * SIZE)
        assert home.disk.concluded == ["org/repo"]


async def test_no_more_files_than_allowed_come_at_once_and_the_oldest_come_first(home: Home) -> None:
    async with home.run() as service:
        await service.submit(order_of("a", "b", "c"))
        second = await service.submit(order_of("d", repo="org/other"))
        assert list(home.disk.running) == ["a", "b"]
        assert service.get(second.id).state is DownloadState.QUEUED
        await home.disk.let("a")
        assert list(home.disk.running) == ["b", "c"]
        await home.disk.let("b", "c", "d")
        assert (await ended(service, second.id)).state is DownloadState.DONE


async def test_the_same_choice_is_one_download(home: Home) -> None:
    async with home.run() as service:
        first, second = await asyncio.gather(service.submit(order_of("a")), service.submit(order_of("a")))
        assert first.id == second.id
        assert home.disk.begun == ["a"]


async def test_a_file_that_two_downloads_want_comes_once(home: Home) -> None:
    async with home.run() as service:
        await service.submit(order_of("a", "projection"))
        second = await service.submit(order_of("b", "projection"))
        await home.disk.let("a", "projection", "b")
        assert (await ended(service, second.id)).state is DownloadState.DONE
        assert home.disk.have == {"a": SIZE, "projection": SIZE, "b": SIZE}


async def test_a_paused_download_keeps_what_came_and_goes_on_when_told(home: Home) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        await until(lambda: "a" in home.disk.running)
        paused = await service.pause(download.id)
        assert (paused.state, paused.done_bytes, home.disk.running) == (DownloadState.PAUSED, 10, {})
        assert (await service.pause(download.id)).state is DownloadState.PAUSED
        assert (await service.resume(download.id)).state is DownloadState.RUNNING
        await home.disk.let("a")
        assert (await ended(service, download.id)).state is DownloadState.DONE


async def test_a_cancelled_download_leaves_no_part_and_keeps_what_is_whole(home: Home) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a", "b"))
        await home.disk.let("a")
        cancelled = await service.cancel(download.id)
        assert cancelled.state is DownloadState.CANCELLED
        assert home.disk.have == {"a": SIZE}
        with pytest.raises(InvalidRequestError, match="is cancelled; begin it anew"):
            await service.resume(download.id)
        again = await service.submit(order_of("a", "b"))
        assert again.id != download.id


async def test_a_file_that_fails_stops_its_download_and_says_why(home: Home) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a", "b"))
        await home.disk.fail("a")
        failed = await ended(service, download.id)
        assert (failed.state, failed.error) == (DownloadState.FAILED, "Cannot reach the Hub.")
        await until(lambda: not home.disk.running)
        again = await service.submit(order_of("a", "b"))
        assert (again.id, again.error) == (download.id, None)
        await home.disk.let("a", "b")
        assert (await ended(service, download.id)).state is DownloadState.DONE


async def test_a_mistake_of_ours_fails_the_download_and_not_the_service(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        await until(lambda: "a" in home.disk.running)
        home.disk.running["a"].set_exception(ZeroDivisionError())
        failed = await ended(service, download.id)
        assert failed.error == "Something unexpected happened; `puna logs` tells more."
        assert "ZeroDivisionError" in caplog.text


async def test_downloads_go_on_after_a_restart_and_paused_ones_stay_paused(home: Home) -> None:
    async with home.run() as service:
        first = await service.submit(order_of("a"))
        second = await service.submit(order_of("b"))
        await until(lambda: len(home.disk.running) == 2)
        await service.pause(second.id)
    home.disk.have["a"] = 60
    async with home.run() as service:
        taken_up = service.get(first.id)
        assert (taken_up.state, taken_up.done_bytes) == (DownloadState.RUNNING, 60)
        assert service.get(second.id).state is DownloadState.PAUSED
        await home.disk.let("a")
        assert (await ended(service, first.id)).state is DownloadState.DONE
    async with home.run() as service:
        assert [each.state for each in service.list()] == [DownloadState.DONE, DownloadState.PAUSED]
        assert service.get(first.id).path == "/cache/a"


async def test_a_download_that_another_version_wrote_does_not_keep_the_others(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async with home.run() as service:
        for name in ("a", "b", "c"):
            await service.submit(order_of(name))
        ids = [each.id for each in service.list()]
    with sqlite3.connect(home.path / "puna.db") as connection:
        connection.execute("UPDATE downloads SET work = '{}' WHERE id = ?", ids[:1])
        connection.execute("UPDATE downloads SET state = 'frozen' WHERE id = ?", ids[1:2])
    connection.close()
    async with home.run() as service:
        assert [each.id for each in service.list()] == ids[2:]
    assert f"the download {ids[0]} cannot be read" in caplog.text
    assert f"the download {ids[1]} cannot be read" in caplog.text


async def test_what_is_there_needs_no_transfer(home: Home) -> None:
    home.disk.have["a"] = SIZE
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        assert (await ended(service, download.id)).state is DownloadState.DONE


async def test_a_download_that_does_not_fit_is_not_begun(home: Home) -> None:
    home.disk.room = SIZE
    async with home.run() as service:
        with pytest.raises(DiskFullError):
            await service.submit(order_of("a", "b"))
        assert service.list() == []
        assert (await service.submit(order_of("a"))).is_open


async def test_what_other_downloads_will_take_is_no_room(home: Home) -> None:
    home.disk.room = 3 * SIZE
    async with home.run() as service:
        first = await service.submit(order_of("a", "b"))
        with pytest.raises(DiskFullError, match=r"no room for 200 beside (180|190|200)"):
            await service.submit(order_of("c", "d"))
        await service.pause(first.id)
        assert (await service.submit(order_of("c", "d"))).is_open


async def test_two_who_want_what_does_not_fit_are_both_told(home: Home) -> None:
    home.disk.room = 0
    async with home.run() as service:
        orders = [service.submit(order_of("a")) for _ in range(2)]
        outcomes = await asyncio.gather(*orders, return_exceptions=True)
        assert [type(each) for each in outcomes] == [DiskFullError, DiskFullError]
        assert (service.list(), home.disk.begun) == ([], [])
        assert await service._journal.read() == []


async def test_a_download_whose_last_step_failed_goes_on_when_told(home: Home) -> None:
    home.disk.is_read_only = True
    async with home.run() as service:
        download = await service.submit(order_of("a", "b"))
        await home.disk.let("a", "b")
        failed = await ended(service, download.id)
        assert (failed.state, failed.done_bytes) == (DownloadState.FAILED, 2 * SIZE)
        home.disk.is_read_only = False
        await service.resume(download.id)
        assert (await ended(service, download.id)).state is DownloadState.DONE
        assert home.disk.concluded == ["org/repo"]


async def test_what_was_deleted_while_a_download_paused_comes_again(home: Home) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a", "b"))
        await home.disk.let("a")
        await service.pause(download.id)
        del home.disk.have["a"]
        await service.resume(download.id)
        await home.disk.let("a", "b")
        assert (await ended(service, download.id)).state is DownloadState.DONE


async def test_a_cancelled_download_leaves_what_another_one_brings_too(home: Home) -> None:
    async with home.run() as service:
        first = await service.submit(order_of("a", "projection"))
        second = await service.submit(order_of("b", "projection"))
        await until(lambda: "projection" in home.disk.running)
        await service.cancel(first.id)
        assert home.disk.have["projection"] == 10
        assert "a" not in home.disk.have
        await service.cancel(second.id)
        assert home.disk.have == {}


@pytest.mark.parametrize("rounds", range(12))
async def test_who_leaves_at_any_moment_leaves_nothing_half_done(home: Home, rounds: int) -> None:
    async def leave(step: Coroutine[Any, Any, Download]) -> None:
        task = asyncio.create_task(step)
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await until(lambda: not service._steps)

    async with home.run() as service:
        await leave(service.submit(order_of("a")))
        if not service.list():
            return  # it left before anything began
        [download] = service.list()
        await until(lambda: "a" in home.disk.running)
        await leave(service.pause(download.id))
        if service.get(download.id).state is DownloadState.PAUSED:
            assert home.disk.running == {}
            await leave(service.resume(download.id))
            if service.get(download.id).is_open:
                await until(lambda: "a" in home.disk.running)
        await leave(service.cancel(download.id))
        if service.get(download.id).state is DownloadState.CANCELLED:
            assert (home.disk.running, home.disk.have) == ({}, {})


async def test_a_file_whose_task_is_cancelled_before_it_begins_is_not_taken_for_running(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.files_at_once = 1
    async with home.run() as service:
        first = await service.submit(order_of("a"))
        await until(lambda: "a" in home.disk.running)
        await service.pause(first.id)
        home.disk.begun.clear()
        pauses: list[asyncio.Task[Download]] = []

        async def write(job: Job) -> None:
            if job.state is DownloadState.QUEUED:  # the pause comes before the first step of the file's task
                pauses.append(asyncio.create_task(service._pause(first.id)))

        with monkeypatch.context() as patch:
            patch.setattr(service._journal, "write", write)
            await service.resume(first.id)
            [paused] = await asyncio.gather(*pauses)
        assert (paused.state, home.disk.begun) == (DownloadState.PAUSED, [])
        second = await service.submit(order_of("b"))
        await home.disk.let("b")
        await service.resume(first.id)
        await home.disk.let("a")
        for each in (first, second):
            assert (await ended(service, each.id)).state is DownloadState.DONE


async def test_a_download_that_is_resumed_while_it_is_paused_comes_to_its_end(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        await until(lambda: "a" in home.disk.running)
        writes = {state: asyncio.Event() for state in (DownloadState.PAUSED, DownloadState.QUEUED)}
        may_conclude = asyncio.Event()

        async def write(job: Job) -> None:
            if job.state in writes:
                await writes[job.state].wait()

        async def conclude(*_: str) -> None:
            await may_conclude.wait()

        monkeypatch.setattr(service._journal, "write", write)
        monkeypatch.setattr(home.disk, "conclude", conclude)
        pausing = asyncio.create_task(service.pause(download.id))
        await settle()
        resuming = asyncio.create_task(service.resume(download.id))
        await settle()
        if "a" in home.disk.running:
            await home.disk.let("a")
        for written in writes.values():
            written.set()
            await settle()
        await asyncio.gather(pausing, resuming)
        may_conclude.set()
        if "a" in home.disk.running:
            await home.disk.let("a")
        assert (await ended(service, download.id)).state is DownloadState.DONE


async def test_a_cancelled_download_that_is_forgotten_meanwhile_is_told_all_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.downloads.service.MAX_ENDED", 0)
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        await until(lambda: "a" in home.disk.running)
        is_discarding, may_go_on = asyncio.Event(), asyncio.Event()

        async def discard(*_: object) -> None:
            is_discarding.set()
            await may_go_on.wait()

        monkeypatch.setattr(home.disk, "discard", discard)
        cancelling = asyncio.create_task(service.cancel(download.id))
        await is_discarding.wait()
        await service.submit(order_of("b"))
        may_go_on.set()
        assert (await cancelling).state is DownloadState.CANCELLED


async def test_unknown_downloads_are_told(home: Home) -> None:
    async with home.run() as service:
        for method in (service.pause, service.resume, service.cancel):
            with pytest.raises(NotFoundError, match="There is no download dl_no"):
                await method("dl_no")


async def test_too_many_downloads_are_told_to_come_again(home: Home) -> None:
    async with home.run() as service:
        for number in range(MAX_OPEN):
            await service.submit(order_of(str(number)))
        with pytest.raises(OverloadedError):
            await service.submit(order_of("one more"))


async def test_only_the_last_ended_downloads_are_listed() -> None:
    board = Board()
    for number in range(MAX_ENDED + 2):
        board.add(Job(str(number), order_of(str(number)), 0, state=DownloadState.DONE))
    board.add(Job("open", order_of("open"), 0))
    assert [job.id for job in board.surplus(MAX_ENDED)] == ["0", "1"]


async def test_a_disk_that_forgets_states_stops_no_download(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a"))

        async def fail(_: Job) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(service._journal, "write", fail)
        await home.disk.let("a")
        assert (await ended(service, download.id)).state is DownloadState.DONE


async def test_a_download_is_done_when_what_follows_has_happened(home: Home) -> None:
    may_go_on = asyncio.Event()
    named = []

    async def name(order: DownloadOrder) -> None:
        await may_go_on.wait()
        named.append(order.name)

    async with home.run() as service:
        service._on_done = name
        download = await service.submit(order_of("a"))
        await home.disk.let("a")
        assert service.get(download.id).state is DownloadState.RUNNING
        may_go_on.set()
        assert (await ended(service, download.id)).state is DownloadState.DONE
        assert named == [download.name]


async def test_what_follows_a_download_may_fail_and_the_download_is_done(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(order: DownloadOrder) -> None:
        raise StoreError(f"no room for the name {order.asked}")

    async with home.run() as service:
        service._on_done = fail
        download = await service.submit(order_of("a"))
        await home.disk.let("a")
        assert (await ended(service, download.id)).state is DownloadState.DONE
    assert "what follows is not" in caplog.text


# Memory


def test_cards_of_their_own_add_to_the_memory_and_those_that_share_it_do_not() -> None:
    def card(name: str, kind: str) -> Device:
        return Device(name, name, kind, memory_total_bytes=8 << 30, memory_free_bytes=4 << 30)

    alone = measure_room(())
    assert alone.free_bytes > 0
    with_cards = measure_room([card("CUDA0", "gpu"), card("Vulkan1", "igpu"), card("MTL0", "gpu")])
    assert with_cards.total_bytes - alone.total_bytes == 8 << 30


def test_in_a_container_there_is_what_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Memory(total_bytes=4 << 30, available_bytes=3 << 30, is_limited=True)
    monkeypatch.setattr(room, "read_memory", lambda: small)
    measured = measure_room(())
    assert (measured.free_bytes, measured.total_bytes) == (3 << 30, int((4 << 30) * 0.85))


# Listeners


async def read_until_end(service: DownloadService, seen: list[Download]) -> None:
    with service.listen() as news:
        seen.extend([download async for download in news])


async def test_every_listener_hears_how_it_goes_and_ends_with_the_daemon(home: Home) -> None:
    listeners: Sequence[list[Download]] = ([], [])
    async with home.run() as service:
        tasks = [asyncio.create_task(read_until_end(service, seen)) for seen in listeners]
        await service.submit(order_of("a"))
        await home.disk.let("a")
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    for seen in listeners:
        assert seen[-1].state is DownloadState.DONE
        assert DownloadState.RUNNING in {each.state for each in seen}


async def test_a_slow_listener_gets_the_newest_state_only(home: Home) -> None:
    async with home.run() as service:
        with service.listen() as news:
            download = await service.submit(order_of("a"))
            await home.disk.let("a")
            await ended(service, download.id)
            assert (await anext(news)).state is DownloadState.DONE
            await service.close()
            with pytest.raises(StopAsyncIteration):
                await anext(news)


async def test_nobody_is_left_out_while_another_download_tells_something_all_the_time(home: Home) -> None:
    async with home.run() as service:
        first, second = [await service.submit(order_of(name)) for name in ("a", "b")]
        await until(lambda: len(home.disk.running) == 2)
        with service.listen() as news:
            heard = []
            for _ in range(4):
                heard.append((await anext(news)).id)
                for job in service._board.jobs():
                    service._tell(job)
        assert heard == [first.id, second.id, first.id, second.id]


async def test_what_is_read_again_from_the_disk_is_no_speed(home: Home) -> None:
    home.disk.have["a"] = 60
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        await until(lambda: "a" in home.disk.running)
        job = service._job(download.id)
        [file] = job.files
        for second, note, have_bytes in (
            (1, "reading what is there", 5),
            (2, "reading what is there", 60),
            (3, "", 60),
            (5, "", 70),
        ):
            home.time_s = second
            service.note_doing(job, file, note)
            service.note_arrival(job, file, have_bytes, SIZE)
        assert service.get(download.id).rate_bytes_s == pytest.approx(10 / 5)
        service.note_arrival(job, file, 0, SIZE)
        service.note_arrival(job, file, 5, SIZE)
        assert service.get(download.id).rate_bytes_s == pytest.approx(15 / 5), "it began anew"


async def test_waiting_ends_after_its_time(home: Home) -> None:
    async with home.run() as service:
        download = await service.submit(order_of("a"))
        assert (await service.wait(download.id, 0.01)).state is DownloadState.RUNNING


async def test_a_listener_that_leaves_costs_nothing_more(home: Home) -> None:
    async with home.run() as service:
        task = asyncio.create_task(read_until_end(service, []))
        await settle()
        assert len(service._listeners) == 1
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not service._listeners


# The rate


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = RateEstimator()
    for second in range(20):
        rate.note(second, second * 100)
    assert rate.rate(19) == pytest.approx(100)
    for second in range(20, 40):
        rate.note(second, 1900 + (second - 19) * 500)
    assert rate.rate(39) == pytest.approx(500)
    assert rate.time_left(39, 5000) == pytest.approx(10)


def test_it_is_too_early_to_tell_in_the_first_second() -> None:
    rate = RateEstimator()
    assert rate.rate(0) is None
    rate.note(0, 0)
    rate.note(0.5, 1_000_000)
    assert rate.rate(0.5) is None
    assert rate.time_left(0.5, 10) is None


def test_the_rate_falls_while_nothing_comes() -> None:
    rate = RateEstimator()
    rate.note(0, 0)
    rate.note(1, 1000)
    assert rate.rate(10) == pytest.approx(100)


def test_what_was_there_before_is_no_speed() -> None:
    rate = RateEstimator()
    rate.note(0, 5_000_000)
    rate.note(2, 5_000_200)
    assert rate.rate(2) == pytest.approx(100)


def test_a_thousand_notes_a_second_take_no_memory() -> None:
    rate = RateEstimator()
    for step in range(100_000):
        rate.note(step / 1000, step)
    assert len(rate._points) < 200
    assert rate.rate(100) == pytest.approx(1000, rel=0.02)


def test_nothing_left_takes_no_time() -> None:
    assert RateEstimator().time_left(0, 0) == 0
