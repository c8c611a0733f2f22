"""Generation jobs of real daemons that are killed, and of workers that die."""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import requests

from process.conftest import RunningDaemon, wait_until

TASKS = 30


class Jobs:
    """A client of one daemon's ModelStudio API."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self.headers = {"Authorization": f"Bearer {daemon.endpoint.token}"}
        self.url = f"{daemon.url}/api/v1/organizations/{daemon.status.organisation}/generate"

    def submit(self, tasks: int, max_tokens: int = 60) -> str:
        """Ask for stories at the highest temperature: no two are the same."""
        ask = "Tell me a story about a llama with the number"
        body = {
            "model_id": "demo",
            "messages": [[{"role": "user", "content": f"{ask} {index}."}] for index in range(tasks)],
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


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "stopped"])
def test_a_daemon_that_ends_in_the_middle_of_a_job_finishes_it_after_the_next_start(
    start_daemon: Callable[..., RunningDaemon], daemon: RunningDaemon, kill: bool
) -> None:
    jobs = Jobs(daemon)
    job_id = jobs.submit(TASKS)
    told = texts_of(jobs.wait_for(job_id, 8))
    if kill:
        workers = daemon.workers
        daemon.process.kill()
        daemon.process.wait(60)
        wait_until(lambda: not any(worker.is_running() for worker in workers))
    else:
        assert daemon.stop() == 0
    kept = results_on_disk(daemon)
    assert 8 <= len(told) <= len(kept) < TASKS
    assert told.items() <= kept.items(), "what was told is on disk"

    second = start_daemon()
    report = Jobs(second).wait_for(job_id, TASKS)
    assert report["job_status"] == "completed"
    assert [task["status"] for task in report["results"]] == ["completed"] * TASKS
    assert kept.items() <= texts_of(report).items(), "a finished task ran again"
    tokens = second.status.models[0].completion_tokens
    assert tokens is not None
    assert tokens <= (TASKS - len(kept)) * 60


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
    job_id = jobs.submit(60, max_tokens=100)
    jobs.wait_for(job_id, 1)
    body = {"prompt": "Hello", "max_length": 10}
    answers = [requests.post(f"{daemon.url}/generate", json=body, timeout=60) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    report = jobs.look(job_id)
    assert (report["job_status"], report["completed_tasks"] < 60) == ("processing", True)
    requests.delete(f"{jobs.url}/{job_id}", headers=jobs.headers, timeout=60).raise_for_status()
    wait_until(lambda: daemon.status.models[0].busy_slots == 0)
