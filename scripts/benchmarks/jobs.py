"""A job of 200 tasks against 200 single calls, one after the other."""

import time
from pathlib import Path

from benchmarks.daemon import Daemon, run_daemon

_TASKS = 200
_CHARACTERS = "Tell me a story about llama number"


def measure_jobs(model: Path, tokens: int) -> None:
    """Print how long each takes, with the same conversations and limits."""
    with run_daemon("--model", str(model)) as daemon:
        daemon.completion_tokens()
        prompts = [f"{_CHARACTERS} {i}." for i in range(_TASKS)]
        single_s = _run_single_calls(daemon, prompts, tokens)
        job_s = _run_job(daemon, prompts, tokens)
    print(f"{_TASKS} single calls          {_TASKS / single_s:.1f} tasks/s")
    print(f"a job of {_TASKS} tasks        {_TASKS / job_s:.1f} tasks/s, {single_s / job_s:.2f} times that")


def _run_single_calls(daemon: Daemon, prompts: list[str], tokens: int) -> float:
    started_s = time.perf_counter()
    for prompt in prompts:
        messages = [{"role": "user", "content": prompt}]
        daemon.post("/chat", {"messages": messages, "max_length": tokens, "temperature": 0.7})
    return time.perf_counter() - started_s


def _run_job(daemon: Daemon, prompts: list[str], tokens: int) -> float:
    status = daemon.get("/puna/v1/status")
    path = f"/api/v1/organizations/{status['organisation']}/generate"
    started_s = time.perf_counter()
    body = {
        "model_id": "demo",
        "messages": [[{"role": "user", "content": f"{prompt} "}] for prompt in prompts],
        "temperature": 0.7,
        "max_tokens": tokens,
    }
    job_id = daemon.post(path, body)["job_id"]
    while daemon.get(f"{path}/{job_id}")["job_status"] != "completed":
        time.sleep(0.02)
    return time.perf_counter() - started_s
