"""The database: what was written stays, what failed was never there, and a broken file stops nobody."""

import asyncio
import logging
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from puna.errors import DaemonError, OverloadedError, StoreError
from puna.store import opening
from puna.store.database import Database
from puna.store.schema import MIGRATIONS

NOTES = ("CREATE TABLE notes (text TEXT NOT NULL)",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "puna.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database.open(path, migrations=NOTES) as database:
        yield database


def write(connection: sqlite3.Connection, text: str = "a") -> None:
    connection.execute("INSERT INTO notes VALUES (?)", (text,))


def write_500(connection: sqlite3.Connection) -> None:
    connection.executemany("INSERT INTO notes VALUES (?)", [("x" * 100,)] * 500)


def notes(path: Path) -> list[str]:
    """Read the file as another program does."""
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]
    finally:
        connection.close()


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


async def test_what_was_written_is_on_disk_when_run_returns(database: Database, path: Path) -> None:
    await database.run(write)
    assert notes(path) == ["a"]


async def test_nothing_is_kept_of_what_fails(database: Database, path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        write(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(fail)
    await database.run(lambda connection: write(connection, "b"))
    assert notes(path) == ["b"]


async def test_work_is_done_one_after_the_other_in_one_thread(database: Database, path: Path) -> None:
    threads: set[str] = set()

    def note(connection: sqlite3.Connection, number: int) -> int:
        threads.add(threading.current_thread().name)
        write(connection, str(number))
        return number

    numbers = await asyncio.gather(*(database.run(partial(note, number=i)) for i in range(20)))
    assert numbers == list(range(20))
    assert notes(path) == [str(i) for i in range(20)]
    assert threads == {"puna-database_0"}


async def test_a_caller_that_is_cancelled_does_not_stop_its_work(database: Database, path: Path) -> None:
    may_go_on = threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        may_go_on.wait(5)
        write(connection)

    tasks = [asyncio.create_task(database.run(work)) for work in (slow, lambda c: write(c, "queued"))]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError)
        for end in await asyncio.gather(*tasks, return_exceptions=True)
    )
    may_go_on.set()
    await asyncio.to_thread(database.close)
    assert notes(path) == ["a", "queued"]


def test_closing_finishes_first_and_may_be_done_twice(path: Path) -> None:
    others = set(threading.enumerate())
    database = Database.open(path, migrations=NOTES)
    database.run_blocking(write)
    database.close()
    database.close()
    assert notes(path) == ["a"]
    own = set(threading.enumerate()) - others
    assert not any(thread.name.startswith("puna-database") for thread in own)


def test_it_writes_ahead_waits_for_the_disk_and_checks_references(database: Database) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert database.run_blocking(pragmas) == ["wal", 2, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_only_its_user_can_read_it(database: Database, path: Path) -> None:
    database.run_blocking(write)
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_was_there_is_there_again(path: Path) -> None:
    for expected in (0, 1, 2):
        with Database.open(path, migrations=NOTES) as database:
            count = database.run_blocking(lambda c: len(c.execute("SELECT * FROM notes").fetchall()))
            assert count == expected
            database.run_blocking(write)


def test_an_older_file_gets_the_steps_that_it_lacks(path: Path) -> None:
    with Database.open(path, migrations=NOTES) as database:
        database.run_blocking(write)
    later = (*NOTES, "ALTER TABLE notes ADD COLUMN size INTEGER NOT NULL DEFAULT 7")
    with Database.open(path, migrations=later) as database:
        assert database.run_blocking(lambda c: c.execute("SELECT * FROM notes").fetchall()) == [("a", 7)]
    assert version(path) == 2


def test_a_step_that_fails_is_not_half_done(path: Path) -> None:
    with Database.open(path, migrations=NOTES) as database:
        database.run_blocking(write)
    broken = (*NOTES, "CREATE TABLE more (x); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(DaemonError, match="nowhere"):
        Database.open(path, migrations=broken)
    assert version(path) == 1
    with Database.open(path, migrations=(*NOTES, "CREATE TABLE more (x)")):
        assert notes(path) == ["a"]


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    with Database.open(path, migrations=(*NOTES, "CREATE TABLE more (x)")):
        pass
    content = path.read_bytes()
    with pytest.raises(DaemonError, match=r"version 2, this Puna knows 1") as refused:
        Database.open(path, migrations=NOTES)
    assert "PUNA_HOME" in refused.value.message
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", ["not a database", "a page of noise", "empty"])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Database.open(path, migrations=NOTES) as database:
        database.run_blocking(write_500)
    content = path.read_bytes()
    damaged = {
        "not a database": b"\x00 nothing that SQLite knows " * 200,
        "a page of noise": content[:4096] + b"\xff" * 8192 + content[12_288:],
        "empty": b"",
    }[damage]
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING), Database.open(path, migrations=NOTES) as database:
        database.run_blocking(write)
    assert notes(path) == ["a"]
    aside = [file for file in path.parent.iterdir() if ".damaged-" in file.name]
    if damage == "empty":
        assert aside == []
        return
    assert [file.read_bytes() for file in aside] == [damaged]
    assert "put aside" in caplog.text


def test_a_file_that_cannot_be_used_is_said_with_its_path(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(DaemonError, match=r"puna\.db cannot be used"):
        Database.open(path)


async def test_a_full_disk_is_told_without_a_path_and_the_database_goes_on(
    database: Database, path: Path
) -> None:
    [pages] = await database.run(lambda c: c.execute("PRAGMA page_count").fetchone())
    database.run_blocking(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
    with pytest.raises(StoreError, match="the disk is full") as refused:
        await database.run(lambda connection: write(connection, "x" * 100_000))
    assert str(path.parent) not in refused.value.message
    await database.run(write)
    assert notes(path) == ["a"]


async def test_a_program_that_locks_the_file_makes_requests_come_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_BUSY_TIMEOUT_S", 0.01)
    other = None
    with Database.open(path, migrations=NOTES) as database:
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OverloadedError) as refused:
                await database.run(write)
            assert refused.value.retry_after_s == 1
            other.execute("ROLLBACK")
            await database.run(write)
        finally:
            other.close()


async def test_a_mistake_in_the_code_is_not_taken_for_a_broken_disk(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.run(lambda connection: connection.execute("SELECT * FROM nowhere"))


def test_the_first_step_makes_the_default_organisation(path: Path) -> None:
    with Database.open(path, migrations=MIGRATIONS) as database:
        rows = database.run_blocking(
            lambda c: c.execute("SELECT id, name FROM organisations WHERE is_default = 1").fetchall()
        )
    [(organisation_id, name)] = rows
    assert organisation_id.startswith("org_")
    assert len(organisation_id) == 20
    assert name == "default"
