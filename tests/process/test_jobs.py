"""Generation jobs of real daemons that are killed or stopped, and of workers that die."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections import Counter
from functools import partial
from typing import Any

import pytest
import requests
from aiohttp import web

from fakes.fake_engine import FakeEngine, chunk, event, run_engine, says, usage
from process.conftest import RunningDaemon, StartDaemon, wait_until

TASKS = 30
ASK = "Tell me a story about a llama with the number"


class Jobs:
    """A client of one daemon's ModelStudio API."""

    def __init__(self, daemon: RunningDaemon, model: str = "demo") -> None:
        self.model = model
        self.headers = {"Authorization": f"Bearer {daemon.endpoint.token}"}
        self.url = f"{daemon.url}/api/v1/organizations/{daemon.status.organisation}/generate"

    def submit(self, tasks: int, max_tokens: int = 60) -> str:
        """Ask for stories at the highest temperature: no two are the same."""
        body = {
            "model_id": self.model,
            "messages": [[{"role": "user", "content": f"{ASK} {index}."}] for index in range(tasks)],
            "temperature": 1,
            "max_tokens": max_tokens,
        }
        answer = requests.post(self.url, json=body, headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def look(self, job_id: str) -> Any:
        """Return the job as it is."""
        answer = requests.get(f"{self.url}/{job_id}", headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, job_id: str, tasks: int) -> Any:
        """Return the job once so many tasks have ended."""
        wait_until(lambda: self.look(job_id)["completed_tasks"] >= tasks, timeout_s=60)
        return self.look(job_id)


def results_on_disk(daemon: RunningDaemon) -> dict[int, str]:
    """Return the results that the file holds, by task."""
    with contextlib.closing(sqlite3.connect(daemon.paths.database_file)) as connection:
        return dict(connection.execute("SELECT task_index, result FROM tasks WHERE state = 'completed'"))


def texts_of(report: Any) -> dict[int, str]:
    return {task["task_index"]: task["result"] for task in report["results"] if task["result"] is not None}


class HeldEngine:
    """Answers a few requests, each with a text of its own, and all others once it is let go."""

    def __init__(self, engine: FakeEngine, few: int) -> None:
        self.goes_on = asyncio.Event()
        self._few = few
        self._numbers = itertools.count(1)
        self._engine = engine
        engine.answers["/v1/chat/completions"] = self._answer

    @property
    def asked(self) -> Counter[str]:
        """How often each question came."""
        bodies: list[Any] = [each.body for each in self._engine.asked if each.method == "POST"]
        return Counter(body["messages"][-1]["content"] for body in bodies)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number = next(self._numbers)
        if number > self._few:
            await self.goes_on.wait()
        text = chunk({"content": f"story {number}"})
        end = chunk({}, finish_reason="stop")
        return await says(text, end, usage(5, 2), event("[DONE]"))(request)


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
async def test_a_daemon_that_ends_in_the_middle_of_a_job_finishes_it_after_the_next_start(
    start_daemon: StartDaemon, kill: bool
) -> None:
    async with run_engine() as engine:
        held = HeldEngine(engine, few=8)
        far = f"--remote-model=far={engine.url} model=org/big"
        start = partial(asyncio.to_thread, start_daemon, "--no-load-on-start", far)
        daemon = await start()
        jobs = await asyncio.to_thread(Jobs, daemon, "far")
        job_id = await asyncio.to_thread(jobs.submit, TASKS)
        told = texts_of(await asyncio.to_thread(jobs.wait_for, job_id, 8))
        if kill:
            daemon.process.kill()
            await asyncio.to_thread(daemon.process.wait, 60)
        else:
            assert await asyncio.to_thread(daemon.stop) == 0
        kept = results_on_disk(daemon)
        assert len(kept) == 8
        assert told == kept, "what was told is on disk"

        held.goes_on.set()
        jobs = await asyncio.to_thread(Jobs, await start(), "far")
        report = await asyncio.to_thread(jobs.wait_for, job_id, TASKS)
        assert report["job_status"] == "completed"
        assert [task["status"] for task in report["results"]] == ["completed"] * TASKS
        assert kept.items() <= texts_of(report).items()
        assert [held.asked[f"{ASK} {index}."] for index in kept] == [1] * 8, "a finished task ran again"


def test_a_job_outlives_the_death_of_its_worker(daemon: RunningDaemon) -> None:
    jobs = Jobs(daemon)
    job_id = jobs.submit(16)
    jobs.wait_for(job_id, 2)
    (worker,) = daemon.workers
    worker.kill()
    report = jobs.wait_for(job_id, 16)
    assert report["job_status"] == "completed"
    assert [task["status"] for task in report["results"]] == ["completed"] * 16


def test_people_are_answered_while_a_job_runs(daemon: RunningDaemon) -> None:
    jobs = Jobs(daemon)
    job_id = jobs.submit(600, max_tokens=100)
    jobs.wait_for(job_id, 1)
    body = {"prompt": "Hello", "max_length": 10}
    answers = [requests.post(f"{daemon.url}/generate", json=body, timeout=60) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    report = jobs.look(job_id)
    assert (report["job_status"], report["completed_tasks"] < 600) == ("processing", True)
    requests.delete(f"{jobs.url}/{job_id}", headers=jobs.headers, timeout=60).raise_for_status()
    wait_until(lambda: daemon.status.models[0].busy_slots == 0)
