"""How long people wait while a job of 200 tasks runs: measured on a virtual clock, so exactly the same each time."""

import asyncio
from statistics import mean

from msgspec import Struct

from fakes.boundless_memory import BoundlessMemory
from fakes.memory_jobs import MemoryJobs, order_of
from fakes.scripted_model import ListedCatalogue
from fakes.stepping_worker import STEP_S, SteppingLauncher
from fakes.virtual_time import now_s, run_virtually
from puna.domain.generation import GenerationRequest, TextPrompt
from puna.jobs.admission import JobLimits
from puna.jobs.runner import JobOptions
from puna.jobs.service import JobService
from puna.residency.coordinator import Coordinator

TASKS = 200
TOKENS = 64
ANSWER = GenerationRequest(prompt=TextPrompt("x"), max_tokens=TOKENS)


class Wait(Struct, frozen=True):
    """What one person saw of one answer."""

    slot_s: float
    answer_s: float


class Day(Struct, frozen=True):
    """What became of it."""

    waits: list[Wait]
    done_s: float
    """When the job, or what stands for it, was done."""


class Desk:
    """A daemon with one model on the virtual clock."""

    def __init__(self, share: float) -> None:
        self.residency = Coordinator(
            ListedCatalogue("demo"),
            SteppingLauncher(),
            BoundlessMemory(),
            default_model="demo",
            max_loaded_models=1,
            queue_limit=1000,
        )
        limits = JobLimits(tasks=1000, characters=10_000, open_jobs_of_organisation=10, open_jobs=10)
        self.jobs = JobService(
            MemoryJobs(), self.residency, limits, JobOptions(share=share, keep_s=1e6), clock=now_s
        )

    async def ask(self) -> Wait:
        """Ask as a person does, who waits for the whole answer."""
        asked_s = now_s()
        async with self.residency.acquire("demo") as lease:
            completion = await lease.complete(ANSWER)
        return Wait(completion.finished.timing.queue_s, now_s() - asked_s)

    async def converse(self, answers: int, *, thinks_s: float) -> list[Wait]:
        """Ask, read, ask again."""
        waits = []
        for _ in range(answers):
            waits.append(await self.ask())
            await asyncio.sleep(thinks_s)
        return waits

    async def run_job(self) -> float:
        """Run the job and return when it was done."""
        await self.jobs.start()
        job_id = await self.jobs.submit(order_of(*["x"] * TASKS, max_tokens=TOKENS))
        while (await self.jobs.report("org_a", job_id)).ended_tasks < TASKS:
            await asyncio.sleep(0.1)
        return now_s()

    async def run_single_calls(self) -> float:
        """Ask as many questions as the job has tasks, all at once, as somebody without jobs would."""
        await asyncio.gather(*(self.ask() for _ in range(TASKS)))
        return now_s()


async def spend(*, people: int, work: str | None, share: float = 0.25, thinks_s: float = 3.0) -> Day:
    """Let people converse beside the job, single calls, or nothing."""
    desk = Desk(share)
    works = {"job": desk.run_job, "calls": desk.run_single_calls}
    working = asyncio.create_task(works[work]()) if work else None
    await asyncio.sleep(0.5)
    talks = await asyncio.gather(*(desk.converse(5, thinks_s=thinks_s) for _ in range(people)))
    done_s = await working if working else 0.0
    await desk.jobs.close()
    await desk.residency.close()
    return Day([wait for talk in talks for wait in talk], done_s)


def test_nobody_waits_longer_for_a_slot_than_a_step_while_a_job_runs() -> None:
    day = run_virtually(spend(people=1, work="job"))
    assert max(wait.slot_s for wait in day.waits) <= max(STEP_S)


def test_four_people_at_once_get_slots_within_a_step_too() -> None:
    day = run_virtually(spend(people=4, work="job"))
    assert max(wait.slot_s for wait in day.waits) <= max(STEP_S)


def test_an_answer_beside_a_job_takes_as_long_as_beside_two_other_people() -> None:
    alone = run_virtually(spend(people=1, work=None))
    beside = run_virtually(spend(people=1, work="job"))
    assert [round(wait.answer_s, 3) for wait in alone.waits] == [round(TOKENS * STEP_S[0], 3)] * 5
    # The first answer finds all slots but one taken; from then on the job keeps to its quarter.
    assert beside.waits[0].answer_s < TOKENS * STEP_S[-1]
    assert all(wait.answer_s < TOKENS * STEP_S[2] for wait in beside.waits[1:])


def test_the_same_work_as_single_calls_keeps_a_person_waiting_until_it_is_done() -> None:
    job = run_virtually(spend(people=1, work="job"))
    calls = run_virtually(spend(people=1, work="calls"))
    assert calls.waits[0].slot_s > 70
    assert max(wait.slot_s for wait in job.waits) < 0.05
    assert job.done_s < 1.5 * calls.done_s


def test_the_share_decides_who_waits() -> None:
    days = [run_virtually(spend(people=1, work="job", share=share)) for share in (0.0, 0.25, 1.0)]
    answers = [mean(wait.answer_s for wait in day.waits) for day in days]
    assert answers == sorted(answers)
    assert days[-1].done_s < min(day.done_s for day in days[:-1])


def test_a_job_goes_on_however_many_people_ask() -> None:
    busy = run_virtually(spend(people=12, work="job", thinks_s=0.0))
    assert busy.done_s > 0


def test_a_job_alone_is_as_fast_as_the_slots_it_may_use() -> None:
    day = run_virtually(spend(people=0, work="job"))
    slots = len(STEP_S) - 1
    ideal_s = TASKS / slots * TOKENS * STEP_S[slots - 1]
    assert day.done_s < ideal_s * 1.1
