"""The open jobs: whose task is next, and that none is lost or done twice, whatever happens."""

import random
from collections import Counter

import pytest

from fakes.memory_jobs import MemoryJobs, order_of
from puna.jobs.backlog import DEADLY_TASKS, TASK_ATTEMPTS, Backlog, OpenJob
from puna.jobs.entries import (
    Answered,
    Entry,
    Interrupted,
    JobEnd,
    Lost,
    ModelUnusable,
    Outcome,
    Refused,
    TaskAttempt,
    TaskEnd,
)
from puna.jobs.job import JobState, TaskRef, TaskState


def job(name: str, tasks: int, *, organisation: str = "org_a", model: str = "m") -> OpenJob:
    return OpenJob(id=name, organisation_id=organisation, model=model, pending=tuple(range(tasks)))


def backlog_of(*jobs: OpenJob) -> Backlog:
    backlog = Backlog()
    for each in jobs:
        backlog.add(each)
    return backlog


def take_all(backlog: Backlog, model: str = "m") -> list[str]:
    taken = []
    while (ref := backlog.take(model)) is not None:
        taken.append(f"{ref.job_id}{ref.index}")
    return taken


def taken(backlog: Backlog, model: str = "m") -> TaskRef:
    ref = backlog.take(model)
    assert ref is not None
    return ref


def test_tasks_of_a_job_start_in_their_order() -> None:
    assert take_all(backlog_of(job("a", 3))) == ["a0", "a1", "a2"]


def test_organisations_take_turns_and_so_do_the_jobs_of_each() -> None:
    backlog = backlog_of(
        job("a", 2, organisation="one"),
        job("b", 2, organisation="one"),
        job("c", 4, organisation="two"),
    )
    assert take_all(backlog) == ["a0", "c0", "b0", "c1", "a1", "c2", "b1", "c3"]


def test_a_new_job_of_a_patient_organisation_comes_before_the_rest_of_a_long_one() -> None:
    backlog = backlog_of(job("long", 1000, organisation="one"))
    for _ in range(5):
        taken(backlog)
    backlog.add(job("short", 1, organisation="two"))
    assert "short" in {taken(backlog).job_id for _ in range(2)}


def test_only_tasks_of_the_model_whose_turn_it_is_start() -> None:
    backlog = backlog_of(job("a", 1, model="m"), job("b", 2, model="n"))
    assert backlog.models_waiting() == ["m", "n"]
    assert take_all(backlog, "n") == ["b0", "b1"]
    assert backlog.models_waiting() == ["m"]


def test_a_job_is_completed_with_its_last_task_whether_that_went_well_or_not() -> None:
    backlog = backlog_of(job("a", 2))
    first, second = taken(backlog), taken(backlog)
    assert backlog.end(second, Refused("too long")) == (
        TaskEnd(ref=second, state=TaskState.FAILED, error="too long"),
    )
    assert backlog.end(first, Answered("text")) == (
        TaskEnd(ref=first, state=TaskState.COMPLETED, result="text"),
        JobEnd(job_id="a", state=JobState.COMPLETED),
    )
    assert len(backlog) == 0


def test_an_interrupted_task_is_the_next_to_run() -> None:
    backlog = backlog_of(job("a", 3))
    first = taken(backlog)
    taken(backlog)
    assert backlog.end(first, Interrupted(1)) == ()
    assert taken(backlog) == first


def test_a_task_that_lost_its_worker_runs_again_alone() -> None:
    backlog = backlog_of(job("a", 4))
    first, second = taken(backlog), taken(backlog)
    assert backlog.end(first, Lost("died")) == (TaskAttempt(first, 1),)
    assert backlog.take("m") is None, "it would share the worker with a suspect"
    backlog.end(second, Answered("x"))
    assert backlog.take("m") == first
    assert backlog.take("m") is None
    backlog.end(first, Answered("x"))
    assert take_all(backlog) == ["a2", "a3"]


def test_a_task_that_kills_every_worker_fails_and_the_others_are_done() -> None:
    backlog, entries = backlog_of(job("a", 5)), list[Entry]()
    lost = 0
    while (ref := backlog.take("m")) is not None:
        lost += ref.index == 2
        entries += backlog.end(ref, Lost("died") if ref.index == 2 else Answered("x"))
    ends = {entry.ref.index: entry.state for entry in entries if isinstance(entry, TaskEnd)}
    assert lost == TASK_ATTEMPTS
    assert ends == {index: TaskState.FAILED if index == 2 else TaskState.COMPLETED for index in range(5)}
    assert entries[-1] == JobEnd(job_id="a", state=JobState.COMPLETED)


def test_a_model_that_kills_its_worker_with_every_task_fails_the_job() -> None:
    backlog, entries = backlog_of(job("a", 1000)), list[Entry]()
    starts = 0
    while (ref := backlog.take("m")) is not None:
        starts += 1
        entries += backlog.end(ref, Lost("died"))
    assert starts == DEADLY_TASKS * TASK_ATTEMPTS
    assert entries[-1] == JobEnd(job_id="a", state=JobState.FAILED, error="died")


def test_tasks_that_kill_workers_now_and_then_leave_the_job_alone() -> None:
    backlog, entries = backlog_of(job("a", 12)), list[Entry]()
    while (ref := backlog.take("m")) is not None:
        entries += backlog.end(ref, Lost("died") if ref.index % 2 else Answered("x"))
    assert entries[-1] == JobEnd(job_id="a", state=JobState.COMPLETED)


def test_a_model_that_cannot_be_loaded_fails_its_job_and_leaves_the_others() -> None:
    backlog = backlog_of(job("a", 3), job("b", 1))
    ref = taken(backlog)
    other = taken(backlog)
    assert (ref.job_id, other.job_id) == ("a", "b")
    assert backlog.end(ref, ModelUnusable("no")) == (JobEnd(job_id="a", state=JobState.FAILED, error="no"),)
    assert backlog.remaining("a") == 0
    assert backlog.end(ref, Answered("late")) == ()
    assert backlog.remaining("b") == 1


def test_a_cancelled_job_starts_nothing_more_and_what_ends_late_counts_no_more() -> None:
    backlog = backlog_of(job("a", 3))
    ref = taken(backlog)
    assert backlog.cancel("a") == (JobEnd(job_id="a", state=JobState.CANCELED),)
    assert backlog.cancel("a") == ()
    assert backlog.take("m") is None
    assert backlog.end(ref, Answered("late")) == ()
    assert backlog.in_flight == 0


class History:
    """A daemon's life in random order, over a disk that keeps only what was written before a crash.

    The disk asserts that nothing ends twice and that no ended task starts again.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk = MemoryJobs()
        self.backlog = Backlog()
        self.unwritten: list[Entry] = []
        self.in_flight: set[TaskRef] = set()
        self.deaths: Counter[TaskRef] = Counter()

    def live(self, steps: int) -> None:
        acts = [self.submit, self.start, self.start, self.start, self.end, self.end, self.write]
        for _ in range(steps):
            self.chance.choice(acts)()
            if self.chance.random() < 0.03:
                self.crash()
            self.check()

    def submit(self) -> None:
        name = f"job{len(self.disk.orders)}"
        texts = [str(index) for index in range(self.chance.randint(1, 6))]
        order = order_of(*texts, organisation=self.chance.choice("abc"), model=self.chance.choice(["m", "n"]))
        self.disk.insert(name, order)
        self.backlog.add(next(each for each in self.disk.list_open() if each.id == name))

    def start(self) -> None:
        for model in self.backlog.models_waiting()[:1]:
            ref = self.backlog.take(model)
            if ref is not None:
                assert ref not in self.disk.ends
                assert ref not in self.in_flight
                self.in_flight.add(ref)

    def end(self, outcome: Outcome | None = None) -> None:
        if not self.in_flight:
            return
        ref = self.chance.choice(sorted(self.in_flight, key=lambda each: (each.job_id, each.index)))
        self.in_flight.remove(ref)
        choices: list[Outcome] = [Answered("x"), Answered("x"), Refused("no"), Interrupted(0), Lost("died")]
        outcome = outcome or self.chance.choice(choices)
        self.deaths[ref] += isinstance(outcome, Lost)
        self.unwritten += self.backlog.end(ref, outcome)

    def write(self) -> None:
        self.disk.apply(self.unwritten)
        self.unwritten.clear()
        self.in_flight = {ref for ref in self.in_flight if self.backlog.job(ref.job_id)}

    def crash(self) -> None:
        self.unwritten.clear()
        self.in_flight.clear()
        self.backlog = backlog_of(*self.disk.list_open())

    def check(self) -> None:
        for open_job in self.disk.list_open():
            left = self.backlog.remaining(open_job.id)
            to_write = {
                entry.ref.index
                for entry in self.unwritten
                if isinstance(entry, TaskEnd) and entry.ref.job_id == open_job.id
            }
            given_up = any(
                isinstance(entry, JobEnd) and entry.job_id == open_job.id and entry.state is JobState.FAILED
                for entry in self.unwritten
            )
            assert given_up or left == len(open_job.pending) - len(to_write)
        suspects = [
            ref for ref in self.in_flight if self.backlog.job(ref.job_id) and self.disk.attempts.get(ref)
        ]
        assert not suspects or self.backlog.in_flight == 1, "a suspect shares the worker"

    def finish(self) -> None:
        for _ in range(10_000):
            if not len(self.backlog):
                break
            self.start()
            self.end(Answered("x"))
        self.write()


@pytest.mark.parametrize("seed", range(60))
def test_in_any_history_with_crashes_every_task_ends_once_and_every_job(seed: int) -> None:
    history = History(seed)
    history.live(400)
    history.finish()
    disk = history.disk
    assert set(disk.job_ends) == set(disk.orders)
    expected = {
        TaskRef(name, index)
        for name, order in disk.orders.items()
        for index in range(len(order.conversations))
    }
    assert set(disk.ends) == expected
    assert len(disk.orders) > 20
