"""Who gets a slot: interactive requests first, jobs in what they leave free."""

import random
import statistics
from dataclasses import dataclass

from puna.domain.generation import Priority
from puna.worker.admission import Turn, plan_turn

ASK, JOB = Priority.INTERACTIVE, Priority.BACKGROUND


def test_a_job_alone_gets_every_slot() -> None:
    assert plan_turn([], [JOB] * 10, slots=8) == Turn(tuple(range(8)), ())


def test_interactive_requests_go_first() -> None:
    assert plan_turn([ASK] * 6, [JOB, JOB, ASK, ASK], slots=8) == Turn((2, 3), ())


def test_beside_interactive_requests_a_job_keeps_a_quarter() -> None:
    assert plan_turn([ASK], [JOB] * 10, slots=8) == Turn((0, 1), ())


def test_a_job_gives_slots_back_only_when_they_are_needed() -> None:
    assert plan_turn([JOB] * 8, [ASK], slots=8) == Turn((0,), (7,))
    assert plan_turn([JOB] * 7, [ASK], slots=8) == Turn((0,), ())


def test_a_job_is_never_pushed_out_whole() -> None:
    assert plan_turn([JOB] * 8, [ASK] * 20, slots=8) == Turn(tuple(range(6)), (7, 6, 5, 4, 3, 2))
    assert plan_turn([ASK, JOB], [ASK] * 5, slots=2) == Turn((), ())


def test_one_slot_is_shared_in_turns() -> None:
    assert plan_turn([], [JOB, ASK], slots=1) == Turn((1,), ())
    assert plan_turn([JOB], [ASK], slots=1) == Turn((), ())


def test_random_turns_hold_the_invariants() -> None:
    rng = random.Random(9)
    for _ in range(3000):
        slots = rng.randint(1, 16)
        active = [rng.choice([ASK, JOB]) for _ in range(rng.randint(0, slots))]
        waiting = [rng.choice([ASK, JOB]) for _ in range(rng.randint(0, 20))]
        turn = plan_turn(active, waiting, slots=slots)
        after = len(active) - len(turn.give_back) + len(turn.admit)
        assert after <= slots
        assert len(set(turn.admit)) == len(turn.admit)
        assert all(active[i] is JOB for i in turn.give_back)
        if turn.give_back:
            assert len([i for i in turn.admit if waiting[i] is ASK]) >= len(turn.give_back)
        if active or waiting:
            assert after > 0
        if len(active) < slots and any(priority is ASK for priority in waiting):
            assert turn.admit


@dataclass(eq=False)
class SimulatedRequest:
    priority: Priority
    tokens: int
    arrived_s: int


class SimulatedWorker:
    """Slots under a fake clock: each step takes one second and gives every active request one token."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.now_s = 0
        self.active: list[SimulatedRequest] = []
        self.waiting: list[SimulatedRequest] = []
        self.waits_s: list[int] = []
        self.finished_jobs = 0

    def submit(self, priority: Priority, tokens: int) -> None:
        self.waiting.append(SimulatedRequest(priority, tokens, self.now_s))

    def step(self) -> None:
        turn = plan_turn(
            [one.priority for one in self.active], [one.priority for one in self.waiting], slots=self.slots
        )
        moved = [self.active[i] for i in turn.give_back]
        started = [self.waiting[i] for i in turn.admit]
        self.active = [one for one in self.active if one not in moved] + started
        self.waiting = moved + [one for one in self.waiting if one not in started]
        self.waits_s += [self.now_s - one.arrived_s for one in started if one.priority is ASK]
        self.now_s += 1
        for one in self.active:
            one.tokens -= 1
        self.finished_jobs += sum(one.priority is JOB and not one.tokens for one in self.active)
        self.active = [one for one in self.active if one.tokens]


def run(*, job_tasks: int) -> SimulatedWorker:
    """Let an interactive request of 20 tokens come every 5 steps, beside a job with tasks of 100 tokens."""
    worker = SimulatedWorker(slots=8)
    for i in range(job_tasks):
        worker.submit(JOB, 100 + i % 7)
    for step in range(1000):
        if step % 5 == 0:
            worker.submit(ASK, 20 + step % 3)
        worker.step()
    return worker


def test_a_job_of_200_tasks_does_not_make_interactive_requests_wait_and_goes_on() -> None:
    alone, beside = run(job_tasks=0), run(job_tasks=200)
    assert statistics.mean(alone.waits_s) == 0
    assert statistics.mean(beside.waits_s) < 1
    assert max(beside.waits_s) <= 5
    assert beside.finished_jobs >= 10
