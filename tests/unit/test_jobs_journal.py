"""Jobs on disk: what was written is there after a crash, and half of a write never is."""

import random
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fakes.memory_jobs import MemoryJobs, order_of
from puna.domain.chat import Message, Role
from puna.domain.generation import ChatPrompt, Priority, Sampling
from puna.jobs.entries import Entry, JobEnd, TaskAttempt, TaskEnd
from puna.jobs.job import JobOrder, JobState, TaskRef, TaskState
from puna.jobs.journal import JobJournal, apply_entries, insert_job, select_open_jobs
from puna.store.database import Database

DAY_S = 86_400


class Disk:
    """A database that can be left behind as a killed daemon leaves it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = 1_000_000.0
        self.database = Database.open(path)
        self.organisation = self.database.run_blocking(
            lambda connection: str(connection.execute("SELECT id FROM organisations").fetchone()[0])
        )

    @property
    def journal(self) -> JobJournal:
        return JobJournal(self.database, now=lambda: self.now_s)

    def order(self, *texts: str) -> JobOrder:
        return order_of(*texts, organisation=self.organisation)

    def copy_as_after_a_crash(self) -> "Disk":
        """Copy the files as they are, without a proper close, and open the copy."""
        copy = self.path.with_name("after-the-crash.sqlite")
        for ending in ("", "-wal"):
            copy.with_name(copy.name + ending).write_bytes(
                self.path.with_name(self.path.name + ending).read_bytes()
            )
        return Disk(copy)


def spoil(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE tasks SET conversation = '[{}]' WHERE task_index = 0")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "puna.sqlite")
    yield disk
    disk.database.close()


def completed(job_id: str, index: int, text: str = "text") -> TaskEnd:
    return TaskEnd(ref=TaskRef(job_id, index), state=TaskState.COMPLETED, result=text)


async def test_a_task_that_another_version_wrote_hides_no_other(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    await disk.journal.add("job_a", disk.order("one", "two"))
    await disk.database.run(spoil)
    spoilt, sound = await disk.journal.requests([TaskRef("job_a", 0), TaskRef("job_a", 1)])
    assert spoilt is None
    assert sound is not None
    assert "task 0 of job_a cannot be read" in caplog.text


async def test_a_job_is_on_disk_as_it_was_ordered(disk: Disk) -> None:
    turns = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "a\u2028b \U0001f999 \x00 ' \""))
    order = JobOrder(
        organisation_id=disk.organisation,
        model="org/model:q4",
        conversations=((Message(Role.USER, "first"),), turns),
        sampling=Sampling(temperature=0.3),
        max_tokens=77,
    )
    await disk.journal.add("job_a", order)
    after = disk.copy_as_after_a_crash()
    (job,) = await after.journal.open_jobs()
    (request,) = await after.journal.requests([TaskRef("job_a", 1)])
    after.database.close()
    assert (job.id, job.organisation_id, job.model, job.pending) == (
        "job_a",
        disk.organisation,
        "org/model:q4",
        (0, 1),
    )
    assert request is not None
    assert request.prompt == ChatPrompt(turns)
    assert request.sampling == Sampling(temperature=0.3)
    assert request.max_tokens == 77
    assert request.priority is Priority.BACKGROUND


async def test_ended_tasks_are_not_left_to_do_and_their_results_stay(disk: Disk) -> None:
    await disk.journal.add("job_a", disk.order("x", "y", "z"))
    failed = TaskEnd(ref=TaskRef("job_a", 0), state=TaskState.FAILED, error="too long")
    await disk.journal.write([completed("job_a", 2, "third"), failed, TaskAttempt(TaskRef("job_a", 1), 2)])
    (job,) = await disk.journal.open_jobs()
    assert (job.pending, job.attempts) == ((1,), {1: 2})
    await disk.journal.write(
        [completed("job_a", 1, "second"), JobEnd(job_id="job_a", state=JobState.COMPLETED)]
    )
    report = await disk.journal.report(disk.organisation, "job_a")
    assert report is not None
    assert report.state is JobState.COMPLETED
    assert [(task.index, task.state.value, task.result, task.error) for task in report.tasks] == [
        (0, "failed", None, "too long"),
        (1, "completed", "second", None),
        (2, "completed", "third", None),
    ]
    assert await disk.journal.open_jobs() == []


async def test_a_result_is_stored_once(disk: Disk) -> None:
    await disk.journal.add("job_a", disk.order("x"))
    end = JobEnd(job_id="job_a", state=JobState.COMPLETED)
    await disk.journal.write([completed("job_a", 0, "first"), end])
    late = JobEnd(job_id="job_a", state=JobState.FAILED, error="late")
    await disk.journal.write([completed("job_a", 0, "again"), late])
    report = await disk.journal.report(disk.organisation, "job_a")
    assert report is not None
    assert (report.state, report.error, report.tasks[0].result) == (JobState.COMPLETED, None, "first")


async def test_a_failed_job_fails_the_tasks_that_have_not_ended(disk: Disk) -> None:
    await disk.journal.add("job_a", disk.order("x", "y"))
    await disk.journal.write([completed("job_a", 0)])
    await disk.journal.write([JobEnd(job_id="job_a", state=JobState.FAILED, error="no such model")])
    report = await disk.journal.report(disk.organisation, "job_a")
    assert report is not None
    assert (report.state, report.error, report.ended_tasks) == (JobState.FAILED, "no such model", 2)
    assert [task.state for task in report.tasks] == [TaskState.COMPLETED, TaskState.FAILED]
    assert report.tasks[1].error == "no such model"


async def test_a_job_is_shown_to_its_organisation_only(disk: Disk) -> None:
    await disk.journal.add("job_a", disk.order("x"))
    assert await disk.journal.report("org_other", "job_a") is None
    assert await disk.journal.report(disk.organisation, "job_b") is None


async def test_conversations_do_not_outlive_their_tasks(disk: Disk) -> None:
    await disk.journal.add("job_a", disk.order("one secret", "another secret"))
    await disk.journal.write(
        [completed("job_a", 0), JobEnd(job_id="job_a", state=JobState.FAILED, error="no")]
    )
    texts = await disk.database.run(lambda db: db.execute("SELECT conversation FROM tasks").fetchall())
    assert texts == [("",), ("",)]


async def test_old_jobs_are_forgotten_and_open_ones_never(disk: Disk) -> None:
    for name in ("old", "young", "open"):
        await disk.journal.add(name, disk.order("x"))
    end = partial(JobEnd, state=JobState.COMPLETED)
    await disk.journal.write([completed("old", 0), end(job_id="old")])
    disk.now_s += 5 * DAY_S
    await disk.journal.write([completed("young", 0), end(job_id="young")])
    disk.now_s += 3 * DAY_S
    assert await disk.journal.remove_ended(7 * DAY_S) == 1
    assert await disk.journal.report(disk.organisation, "old") is None
    assert await disk.journal.report(disk.organisation, "young") is not None
    tasks = await disk.database.run(lambda db: db.execute("SELECT DISTINCT job_id FROM tasks").fetchall())
    assert sorted(tasks) == [("open",), ("young",)]


class CutError(Exception):
    """The daemon dies here."""


def fail_after(connection: sqlite3.Connection, steps: int) -> None:
    """Make the connection stop after so many virtual-machine steps, as a power cut would."""

    def stop() -> int:
        nonlocal steps
        steps -= 1
        return int(steps < 0)

    connection.set_progress_handler(stop, 1)


@pytest.mark.parametrize("steps", [0, 1, 5, 20, 40, 60, 90])
async def test_a_job_that_was_cut_off_while_it_was_written_was_never_there(disk: Disk, steps: int) -> None:
    def cut_off(connection: sqlite3.Connection) -> None:
        fail_after(connection, steps)
        try:
            insert_job(connection, job_id="job_a", order=disk.order(*"abcdefgh"), now_s=1)
        finally:
            connection.set_progress_handler(None, 1)

    with pytest.raises(sqlite3.OperationalError):
        await disk.database.run(cut_off)
    assert await disk.journal.open_jobs() == []
    assert await disk.database.run(lambda db: db.execute("SELECT count(*) FROM tasks").fetchone()) == (0,)


@pytest.mark.parametrize("written", range(4))
async def test_of_results_that_were_cut_off_none_is_there(disk: Disk, written: int) -> None:
    await disk.journal.add("job_a", disk.order("x", "y", "z"))
    entries: list[Entry] = [
        *(completed("job_a", index) for index in range(3)),
        JobEnd(job_id="job_a", state=JobState.COMPLETED),
    ]

    def cut_off(connection: sqlite3.Connection) -> None:
        apply_entries(connection, entries=entries[:written], now_s=1)
        raise CutError

    with pytest.raises(CutError):
        await disk.database.run(cut_off)
    (job,) = await disk.database.run(select_open_jobs)
    assert job.pending == (0, 1, 2)


@pytest.mark.parametrize("seed", range(5))
async def test_disk_and_the_fake_of_the_tests_agree(disk: Disk, seed: int) -> None:
    chance, memory = random.Random(seed), MemoryJobs()
    for name in ("a", "b", "c"):
        order = disk.order(*map(str, range(chance.randint(1, 5))))
        await disk.journal.add(name, order)
        await memory.add(name, order)
    for _ in range(12):
        entries = random_entries(chance, memory)
        await disk.journal.write(entries)
        await memory.write(entries)
        assert list(await disk.journal.open_jobs()) == list(await memory.open_jobs())
        for name in ("a", "b", "c"):
            assert await disk.journal.report(disk.organisation, name) == await memory.report(
                disk.organisation, name
            )
        refs = [TaskRef(job.id, index) for job in await memory.open_jobs() for index in job.pending]
        assert list(await disk.journal.requests(refs)) == list(await memory.requests(refs))


def random_entries(chance: random.Random, memory: MemoryJobs) -> list[Entry]:
    jobs = memory.list_open()
    if not jobs:
        return []
    job = chance.choice(jobs)
    if chance.random() < 0.2 or not job.pending:
        state = chance.choice([JobState.FAILED, JobState.CANCELED]) if job.pending else JobState.COMPLETED
        return [JobEnd(job_id=job.id, state=state, error="why")]
    ref = TaskRef(job.id, chance.choice(job.pending))
    choices: list[Entry] = [
        TaskEnd(ref=ref, state=TaskState.COMPLETED, result="text"),
        TaskEnd(ref=ref, state=TaskState.FAILED, error="why"),
        TaskAttempt(ref, chance.randint(1, 3)),
    ]
    return [chance.choice(choices)]
