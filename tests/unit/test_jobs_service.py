"""Jobs over the real coordinator and a scripted model: what runs, what is told, and what is left after a stop."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fakes.boundless_memory import BoundlessMemory
from fakes.memory_jobs import MemoryJobs, order_of
from fakes.running_daemon import until
from fakes.scripted_model import ListedCatalogue, Script, ScriptedLauncher, text_of
from puna.domain.generation import FinishReason, GenerationRequest, Priority
from puna.errors import (
    GenerationError,
    GenerationTimeoutError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    StoreError,
    WorkerDiedError,
)
from puna.jobs.admission import JobLimits
from puna.jobs.job import JobReport, JobState, TaskRef, TaskState
from puna.jobs.runner import JobOptions
from puna.jobs.service import JobFigures, JobService
from puna.residency.coordinator import Coordinator

LIMITS = JobLimits(tasks=100, characters=1000, open_jobs_of_organisation=3, open_jobs=4)
STALLED = Script(deltas=("so far",), is_stalled=True)


class Home:
    """A disk that stays, and daemons that come and go."""

    def __init__(self) -> None:
        self.disk = MemoryJobs()
        self.time_s = 0.0
        self.launcher = ScriptedLauncher()
        self.launcher.script = lambda request: Script(deltas=("answer to ", text_of(request)))
        self.residency = self.make_residency()
        self.jobs = self.make_jobs()

    def make_residency(self) -> Coordinator:
        catalogue = ListedCatalogue("demo", "other")
        return Coordinator(
            catalogue,
            self.launcher,
            BoundlessMemory(),
            default_model="demo",
            max_loaded_models=2,
            queue_limit=256,
        )

    def make_jobs(self) -> JobService:
        options = JobOptions(share=0.25, keep_s=1.0)
        return JobService(self.disk, self.residency, LIMITS, options, clock=lambda: self.time_s)

    async def stop(self) -> None:
        await self.jobs.close()
        await self.residency.close()

    async def restart(self) -> None:
        """Stop as asked, and start again."""
        await self.stop()
        await self.start_again()

    async def start_again(self) -> None:
        self.residency = self.make_residency()
        self.jobs = self.make_jobs()
        await self.jobs.start()

    async def result(self, job_id: str, organisation: str = "org_a") -> JobReport:
        """Wait for the end of a job and return it."""
        async with asyncio.timeout(60):
            while True:
                report = await self.jobs.report(organisation, job_id, wait_s=1)
                if report.state is not JobState.OPEN:
                    return report
                await asyncio.sleep(0.001)

    @property
    def prompts(self) -> list[str]:
        return [text_of(request) for request in self.launcher.worker.requests]


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    home = Home()
    await home.jobs.start()
    yield home
    # Where a test failed in between, they are closed.
    home.disk.gate.set()
    home.disk.reading_gate.set()
    await home.stop()


def texts(report: JobReport) -> list[str | None]:
    return [task.result for task in report.tasks]


async def test_results_come_in_the_order_of_the_conversations(home: Home) -> None:
    asked = [str(number) for number in range(40)]
    report = await home.result(await home.jobs.submit(order_of(*asked)))
    assert report.state is JobState.COMPLETED
    assert [task.index for task in report.tasks] == list(range(40))
    assert texts(report) == [f"answer to {each}" for each in asked]


async def test_tasks_run_side_by_side_and_leave_a_slot_free(home: Home) -> None:
    await home.result(await home.jobs.submit(order_of(*"abcdefghijklmnopqrstuvwxyz")))
    assert home.launcher.worker.most_at_once == home.launcher.loaded.slots - 1
    assert {request.priority for request in home.launcher.worker.requests} == {Priority.BACKGROUND}


async def test_a_job_is_on_disk_when_it_is_accepted(home: Home) -> None:
    home.disk.gate.clear()
    submitting = asyncio.create_task(home.jobs.submit(order_of("a")))
    await asyncio.sleep(0.01)
    assert not submitting.done()
    home.disk.gate.set()
    assert await submitting in home.disk.orders


async def test_a_client_that_leaves_while_its_job_is_written_has_a_job_that_runs(home: Home) -> None:
    home.disk.gate.clear()
    submitting = asyncio.create_task(home.jobs.submit(order_of("a")))
    await asyncio.sleep(0.01)
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    home.disk.gate.set()
    await until(lambda: bool(home.disk.job_ends))
    assert home.prompts == ["a"]


async def test_nothing_counts_as_done_and_nothing_starts_while_the_disk_is_full(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("puna.jobs.runner._DISK_RETRY_S", 0.05)
    job_id = await home.jobs.submit(order_of(*map(str, range(40))))
    home.disk.is_full = True
    await until(lambda: "The disk is full" in caplog.text and not home.jobs.figures.running_tasks)
    started = list(home.prompts)
    for _ in range(5):
        home.time_s += 1
        await asyncio.sleep(0.06)
    report = await home.jobs.report("org_a", job_id)
    assert (report.state, report.ended_tasks) == (JobState.OPEN, 0)
    assert home.prompts == started
    home.disk.is_full = False
    home.time_s += 1
    assert (await home.result(job_id)).state is JobState.COMPLETED
    assert sorted(home.prompts) == sorted(map(str, range(40))), "each task ran once"


async def test_tasks_that_could_not_be_read_are_read_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.jobs.runner._DISK_RETRY_S", 0.01)
    home.disk.broken_reads = 1
    job_id = await home.jobs.submit(order_of("a", "b"))
    await until(lambda: not home.disk.broken_reads)
    home.time_s += 1
    assert texts(await home.result(job_id)) == ["answer to a", "answer to b"]


async def test_results_that_come_while_the_disk_writes_share_the_next_write(home: Home) -> None:
    job_id = await home.jobs.submit(order_of(*map(str, range(70))))
    await home.result(job_id)
    assert home.disk.writes <= 40


async def test_completed_tasks_count_up_while_the_job_runs(home: Home) -> None:
    home.launcher.script = lambda request: STALLED if text_of(request) == "b" else Script()
    job_id = await home.jobs.submit(order_of("a", "b", "c"))
    await until(lambda: len(home.disk.ends) == 2)
    report = await home.jobs.report("org_a", job_id)
    assert (report.state, report.ended_tasks) == (JobState.OPEN, 2)
    assert [task.state for task in report.tasks] == [
        TaskState.COMPLETED,
        TaskState.PENDING,
        TaskState.COMPLETED,
    ]


async def test_a_task_that_fails_leaves_the_others_alone(home: Home) -> None:
    def script(request: GenerationRequest) -> Script:
        return Script(failure=GenerationError("no template")) if text_of(request) == "b" else Script()

    home.launcher.script = script
    report = await home.result(await home.jobs.submit(order_of("a", "b", "c")))
    assert report.state is JobState.COMPLETED
    assert texts(report) == ["Hello world", None, "Hello world"]
    assert report.tasks[1].error == "no template"


async def test_an_error_that_nobody_expected_fails_its_task_without_telling_much(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.launcher.script = Script(failure=ValueError("/home/someone"))
    report = await home.result(await home.jobs.submit(order_of("a")))
    assert report.tasks[0].error == "Internal error; see `puna logs`."
    assert "/home/someone" in caplog.text


async def test_a_model_that_cannot_be_loaded_fails_the_job(home: Home) -> None:
    home.launcher.broken["other"] = "other.gguf cannot be run: no."
    report = await home.result(await home.jobs.submit(order_of("a", "b", model="other")))
    assert (report.state, report.error) == (JobState.FAILED, "other.gguf cannot be run: no.")
    assert [task.error for task in report.tasks] == [report.error] * 2


async def test_a_model_that_is_gone_after_a_restart_fails_the_job(home: Home) -> None:
    home.launcher.gate.clear()
    job_id = await home.jobs.submit(order_of("a", model="/models/gone.gguf"))
    await home.stop()
    home.disk.orders[job_id] = order_of("a", model="gone")
    await home.start_again()
    report = await home.result(job_id)
    assert report.state is JobState.FAILED
    assert report.error is not None
    assert "gone" in report.error


@pytest.mark.parametrize("failure", [WorkerDiedError("it died"), GenerationTimeoutError("it is silent")])
async def test_a_task_that_loses_its_worker_is_tried_three_times(home: Home, failure: Exception) -> None:
    def script(request: GenerationRequest) -> Script:
        return Script(failure=failure) if text_of(request) == "b" else Script()

    home.launcher.script = script
    report = await home.result(await home.jobs.submit(order_of(*"abcdefghij")))
    assert report.state is JobState.COMPLETED
    assert home.prompts.count("b") == 3
    assert [task.error for task in report.tasks if task.error] == [str(failure)]


async def test_attempts_are_counted_across_restarts(home: Home) -> None:
    failures = iter([WorkerDiedError("died"), None, WorkerDiedError("died"), WorkerDiedError("died")])

    def script(request: GenerationRequest) -> Script:
        failure = next(failures)
        return Script(failure=failure) if failure else STALLED

    home.launcher.script = script
    job_id = await home.jobs.submit(order_of("a"))
    await until(lambda: len(home.prompts) == 2 and home.launcher.worker.running == 1)
    await home.restart()
    report = await home.result(job_id)
    assert report.tasks[0].error == "died"
    assert next(failures, None) is None


async def test_a_conversation_that_cannot_be_read_fails_and_holds_up_no_other(home: Home) -> None:
    home.disk.reading_gate.clear()
    job_id = await home.jobs.submit(order_of("a", "b", "c"))
    home.disk.unreadable = {TaskRef(job_id, 0), TaskRef(job_id, 1)}
    home.disk.reading_gate.set()
    other = await home.jobs.submit(order_of("d"))
    assert (await home.result(other)).state is JobState.COMPLETED
    report = await home.result(job_id)
    assert report.state is JobState.COMPLETED
    assert texts(report) == [None, None, "answer to c"]
    assert ["cannot be read" in (task.error or "") for task in report.tasks] == [True, True, False]


@pytest.mark.parametrize(
    "script", [Script(reason=FinishReason.ABORT), Script(failure=OverloadedError("full", retry_after_s=0.05))]
)
async def test_an_interrupted_task_runs_again_after_a_while(
    home: Home, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("puna.jobs.execution._RETRY_AFTER_S", 0.05)
    home.launcher.script = script
    job_id = await home.jobs.submit(order_of("a"))
    await until(lambda: bool(home.prompts) and home.jobs.figures.running_tasks == 0)
    assert home.prompts == ["a"]
    assert not home.disk.ends
    home.launcher.script = Script()
    home.time_s += 5
    assert (await home.result(job_id)).state is JobState.COMPLETED


async def test_a_stop_leaves_what_has_not_ended_for_the_next_start(home: Home) -> None:
    home.launcher.script = lambda request: STALLED if text_of(request) in "cd" else Script()
    job_id = await home.jobs.submit(order_of(*"abcd"))
    await until(lambda: len(home.disk.ends) == 2 and len(home.prompts) == 4)
    first = home.launcher.worker
    await home.stop()
    assert (first.aborted, first.running) == (2, 0)
    before = dict(home.disk.ends)
    assert sorted(ref.index for ref in before) == [0, 1]
    home.launcher.script = Script(deltas=("later",))
    await home.start_again()
    report = await home.result(job_id)
    assert texts(report) == ["Hello world", "Hello world", "later", "later"]
    assert sorted(home.prompts) == ["c", "d"]
    assert {ref: home.disk.ends[ref] for ref in before} == before


async def test_a_stopping_daemon_takes_no_job_and_starts_no_task_but_lets_those_end_that_run(
    home: Home,
) -> None:
    home.launcher.gate.clear()
    await home.jobs.submit(order_of(*"abc"))
    await until(lambda: home.jobs.figures.running_tasks == 1)
    home.jobs.stop_taking()
    with pytest.raises(OverloadedError, match="stopping"):
        await home.jobs.submit(order_of("a"))
    home.launcher.gate.set()
    await until(lambda: len(home.disk.ends) == 1)
    await asyncio.sleep(0.01)
    assert home.prompts == ["a"]
    assert home.jobs.figures == JobFigures(queued_jobs=1, waiting_tasks=2)


async def test_a_stop_waits_for_jobs_that_are_being_written(home: Home) -> None:
    home.disk.gate.clear()
    submitting = asyncio.create_task(home.jobs.submit(order_of("a")))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(home.jobs.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    home.disk.gate.set()
    assert await submitting in home.disk.orders
    await closing


async def test_a_job_that_is_nearly_done_is_waited_for_and_a_long_one_is_not(home: Home) -> None:
    home.launcher.gate.clear()
    short = await home.jobs.submit(order_of("a"))
    long = await home.jobs.submit(order_of(*map(str, range(50))))
    asking = asyncio.create_task(home.jobs.report("org_a", short, wait_s=60))
    assert (await home.jobs.report("org_a", long, wait_s=600)).state is JobState.OPEN
    assert (await home.jobs.report("org_a", short, wait_s=0.01)).state is JobState.OPEN
    home.launcher.gate.set()
    assert (await asking).state is JobState.COMPLETED


async def test_those_who_wait_are_let_go_when_the_daemon_stops(home: Home) -> None:
    home.launcher.script = STALLED
    job_id = await home.jobs.submit(order_of("a"))
    asking = asyncio.create_task(home.jobs.report("org_a", job_id, wait_s=600))
    await until(lambda: home.launcher.worker.running == 1)
    await home.jobs.close()
    assert (await asking).state is JobState.OPEN


async def test_a_job_of_another_organisation_is_not_there(home: Home) -> None:
    job_id = await home.jobs.submit(order_of("a", organisation="org_b"))
    with pytest.raises(NotFoundError):
        await home.jobs.report("org_a", job_id)
    with pytest.raises(NotFoundError):
        await home.jobs.cancel("org_a", job_id)
    assert (await home.result(job_id, "org_b")).state is JobState.COMPLETED


async def test_a_cancelled_job_frees_its_slots_and_keeps_what_it_has(home: Home) -> None:
    home.launcher.script = lambda request: Script() if text_of(request) == "a" else STALLED
    job_id = await home.jobs.submit(order_of(*"abcdefghijkl"))
    await until(lambda: len(home.disk.ends) == 1 and home.launcher.worker.running == 7)
    report = await home.jobs.cancel("org_a", job_id)
    assert report.state is JobState.CANCELED
    assert report.tasks[0].result == "Hello world"
    assert {task.state for task in report.tasks[1:]} == {TaskState.CANCELED}
    await until(lambda: home.launcher.worker.running == 0)
    assert (await home.jobs.cancel("org_a", job_id)) == report


async def test_a_job_that_is_cancelled_while_it_starts_never_runs(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.disk.reading_gate.clear()
    job_id = await home.jobs.submit(order_of("a"))
    await until(lambda: home.jobs.figures.running_tasks == 1)
    cancelling = asyncio.create_task(home.jobs.cancel("org_a", job_id))
    await until(lambda: home.jobs.figures.running_tasks == 0)
    home.disk.reading_gate.set()
    assert (await cancelling).state is JobState.CANCELED
    assert home.prompts == []
    assert "jobs wait" not in caplog.text


async def test_old_jobs_are_looked_for_at_the_start_and_every_hour(home: Home) -> None:
    await until(lambda: home.disk.sweeps == [1.0])
    home.time_s += 3599
    await home.result(await home.jobs.submit(order_of("a")))
    assert home.disk.sweeps == [1.0]
    home.time_s += 1
    await home.result(await home.jobs.submit(order_of("a")))
    await until(lambda: home.disk.sweeps == [1.0, 1.0])


async def test_a_finished_job_cannot_be_cancelled_any_more(home: Home) -> None:
    job_id = await home.jobs.submit(order_of("a"))
    await home.result(job_id)
    assert (await home.jobs.cancel("org_a", job_id)).state is JobState.COMPLETED


async def test_jobs_beyond_the_bounds_are_refused_clearly(home: Home) -> None:
    home.launcher.gate.clear()
    with pytest.raises(InvalidRequestError, match="at most 100"):
        await home.jobs.submit(order_of(*["x"] * 101))
    with pytest.raises(InvalidRequestError, match="at most 1000"):
        await home.jobs.submit(order_of("x" * 1001))
    submitting = [home.jobs.submit(order_of("x")) for _ in range(5)]
    outcomes = await asyncio.gather(*submitting, return_exceptions=True)
    assert [type(each) for each in outcomes] == [str] * 3 + [OverloadedError] * 2
    await home.jobs.submit(order_of("x", organisation="org_b"))
    with pytest.raises(OverloadedError, match="4 jobs"):
        await home.jobs.submit(order_of("x", organisation="org_c"))


async def test_a_job_that_could_not_be_written_takes_no_room(home: Home) -> None:
    home.disk.is_full = True
    for _ in range(5):
        with pytest.raises(StoreError):
            await home.jobs.submit(order_of("x"))
    home.disk.is_full = False
    assert (await home.result(await home.jobs.submit(order_of("x")))).state is JobState.COMPLETED


async def test_organisations_share_the_model(home: Home) -> None:
    first = await home.jobs.submit(order_of(*["long"] * 100))
    second = await home.jobs.submit(order_of(*["short"] * 10, organisation="org_b"))
    await home.result(second, "org_b")
    assert len(home.disk.ends) < 60
    await home.result(first)


async def test_jobs_use_one_model_at_a_time(home: Home) -> None:
    home.launcher.script = STALLED
    await home.jobs.submit(order_of("a", "b"))
    await home.jobs.submit(order_of("c", model="other"))
    await until(lambda: home.launcher.worker.running == 2)
    await asyncio.sleep(0.01)
    assert [resident.entry.id for resident in home.residency.residents()] == ["demo"]
    await home.jobs.cancel("org_a", next(iter(home.disk.orders)))
    await until(lambda: len(home.residency.residents()) == 2)


async def test_a_model_is_held_only_while_tasks_are_in_flight(home: Home) -> None:
    job_id = await home.jobs.submit(order_of("a", "b"))
    await home.result(job_id)
    async with home.residency.acquire("other") as lease:
        assert lease.open_requests == 0
    assert await home.residency.unload("demo") is not None


async def test_the_figures_tell_what_there_is_to_do(home: Home) -> None:
    assert home.jobs.figures == JobFigures()
    home.launcher.script = STALLED
    await home.jobs.submit(order_of(*"abcdefghij"))
    await home.jobs.submit(order_of("k", model="other"))
    await until(lambda: home.jobs.figures.running_tasks == 7)
    assert home.jobs.figures == JobFigures(queued_jobs=1, running_jobs=1, waiting_tasks=4, running_tasks=7)
